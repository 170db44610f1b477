"""What a program of one layer costs to compile and to run, with regrad and with libtorch.

Needs GNU time (package time).
"""
import pathlib
import statistics
import subprocess
import tempfile
import time

from children import ROOT, environment, torch_flags

OURS = """#include <regrad.h>
#include <cstdio>
using namespace regrad;
int main() {
  nn::Linear layer(4, 3);
  sum(layer(ones({2, 4}))).backward();
  std::printf("%f\\n", sum(layer.weight.grad()).item<double>());
}
"""
THEIRS = """#include <torch/torch.h>
#include <cstdio>
int main() {
  torch::nn::Linear layer(4, 3);
  layer->forward(torch::ones({2, 4})).sum().backward();
  std::printf("%f\\n", layer->weight.grad().sum().item<double>());
}
"""


def cost(command, repetitions):
    """Median seconds and greatest peak of memory in MiB, by GNU time: it is small, and so does not
    lend the program a peak of its own, as this process would."""
    seconds, memory = [], []
    with tempfile.NamedTemporaryFile("r") as report:
        for _ in range(repetitions):
            start = time.perf_counter()
            subprocess.run(["time", "-f", "%M", "-o", report.name, *command], check=True,
                           stdout=subprocess.DEVNULL, env=environment(1))
            seconds.append(time.perf_counter() - start)
            memory.append(float(pathlib.Path(report.name).read_text()) / 1024)
    return statistics.median(seconds), max(memory)


def one(name, source, compile_flags, link_flags, folder, repetitions):
    text, binary = folder / f"{name}.cpp", folder / name
    text.write_text(source)
    compiled = cost(["c++", "-std=c++20", "-O2", str(text), *compile_flags, "-o", str(binary),
                     "-Wl,--no-as-needed", *link_flags], repetitions)
    return (name, *compiled, *cost([str(binary)], 15))


def table(build):
    library = ROOT / build
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        rows = [one("regrad", OURS, [f"-I{ROOT}"],
                    [f"-L{library}", f"-Wl,-rpath,{library}", "-lregrad"], folder, 3)]
        flags = torch_flags()
        if flags is not None:
            rows.append(one("libtorch", THEIRS, *flags, folder, 1))
        stripped = folder / "stripped.so"
        subprocess.run(["strip", "-o", str(stripped), str(library / "libregrad.so")], check=True)
        size = stripped.stat().st_size / 1e6
    lines = ["| | compile, link s | its memory MiB | run ms | its memory MiB |", "|---|---|---|---|---|"]
    for name, compile_s, compile_mib, run_s, run_mib in rows:
        lines.append(f"| {name} | {compile_s:.2f} | {compile_mib:.0f} | {run_s * 1e3:.1f} "
                     f"| {run_mib:.1f} |")
    return "\n".join(lines + ["", f"regrad's shared library, stripped: {size:.2f} MB."])

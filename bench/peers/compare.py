"""regrad against PyTorch and the BLAS libraries, in turn in one run: prints tables of ratios.

  python3 bench/peers/compare.py [--build build] [--threads 1 2] [--rounds 7] [--only TEXT]
                                 [--parts cases libtorch products build] [--avx2] [--write]

Both programs build a case, and then they are timed in turn, `rounds` times each, a repetition
lasting 30 ms or more. A ratio is PyTorch's median over regrad's: above 1, regrad is faster. The
spread is the greater of both programs' largest time over their least. `of limit` is the time that
the machine's limits ask for, measured in the same run (limits.cpp), over the time that regrad takes.
--write puts the tables into docs/performance.md, between their markers. --avx2 keeps every program
to AVX2, and --write then means docs/performance-avx2.md, as far as it has their places. Needs PyTorch
for python3 (pip install torch); the libraries of part `products` are used where they are installed.
"""
import argparse
import math
import os
import platform
import statistics
import subprocess
import sys

import build_cost
import children
from children import ROOT

FAMILIES = ("overhead", "ops", "models")
CACHES = (32 << 10, 512 << 10, 32 << 20)  # bytes up to which the first copy limits hold


def machine():
    with open("/proc/cpuinfo") as info:
        names = [line.split(":")[1].strip() for line in info if line.startswith("model name")]
    return f"{names[0]}, {len(names)} cores" if names else platform.machine()


def measure_limits(build, threads):
    answer = subprocess.run([str(ROOT / build / "bench" / "peers"), "--limits", str(threads)],
                            capture_output=True, text=True, check=True).stdout.split()
    return {"gflops": float(answer[2]), "copy": [float(x) for x in answer[4:8]],
            "exponentials": float(answer[9])}


def limit_ms(need, limits):
    """The time without which no program can do it: the longest of its three needs."""
    level = sum(need["bytes"] > size for size in CACHES)
    return 1e3 * max(need["flop"] / limits["gflops"] / 1e9,
                     need["bytes"] / limits["copy"][level] / 1e9,
                     need["exponentials"] / limits["exponentials"] / 1e9)


def time_case(name, programs, rounds):
    """For each program its answer to make, the times of its repetitions, its peak of memory."""
    made = [program.ask(f"make {name}").split() for program in programs]
    times = [[] for _ in programs]
    for _ in range(rounds):
        for program, found in zip(programs, times):
            found.append(program.numbers("time")["ms"])
    memory = [program.numbers("drop")["mem_mb"] for program in programs]
    return made, times, memory


def row_of(name, made, times, memory, limits):
    mine, theirs = (statistics.median(t) for t in times)
    need = {made[0][i]: float(made[0][i + 1]) for i in range(0, 6, 2)}
    share = limit_ms(need, limits) / mine if limits else 0
    spread = max(max(t) / min(t) for t in times)
    print(f"{name:42} {mine:10.4f} {theirs:10.4f} {theirs / mine:7.2f}x  spread {spread:.2f}"
          f"  limit {100 * share:.0f} %", flush=True)
    return name, mine, theirs, theirs / mine, spread, share, memory


def compare(programs, names, rounds, limits):
    rows = []
    for name in names:
        rows.append(row_of(name, *time_case(name, programs, rounds), limits))
    for program in programs:
        program.close()
    return rows


def geometric_mean(values):
    return math.exp(statistics.fmean(math.log(value) for value in values))


def table(rows, peer):
    lines = [f"| case | regrad ms | {peer} ms | ratio | spread | of limit | regrad MB | {peer} MB |",
             "|---|---|---|---|---|---|---|---|"]
    for name, mine, theirs, ratio, spread, share, memory in rows:
        of_limit = f"{100 * share:.0f} %" if share > 0 else "-"
        lines.append(f"| {name} | {mine:.4g} | {theirs:.4g} | {ratio:.2f} | {spread:.2f} "
                     f"| {of_limit} | {memory[0]:.0f} | {memory[1]:.0f} |")
    ratios = [row[3] for row in rows]
    return "\n".join(lines + ["", f"{len(ratios)} cases; geometric mean {geometric_mean(ratios):.2f}, "
                              f"least {min(ratios):.2f}; {sum(r < 1 for r in ratios)} below 1."])


def compare_with_torch(arguments, threads):
    limits = measure_limits(arguments.build, threads)
    copy = ", ".join(f"{x:.0f}" for x in limits["copy"])
    parts = [f"{machine()}; {threads} thread(s). Limits: {limits['gflops']:.0f} GFLOP/s; copies of "
             f"16 KiB, 256 KiB, 8 MiB, 256 MiB at {copy} GB/s; {limits['exponentials']:.2f} "
             "exponentials a ns."]
    for family in FAMILIES:
        ours = children.regrad(arguments.build, family, threads)
        names = [name for name in ours.ask("names").split() if arguments.only in name]
        if not names:
            ours.close()
            continue
        rows = compare([ours, children.torch(family, threads)], names, arguments.rounds, limits)
        parts.append(f"**{family}**\n\n{table(rows, 'PyTorch')}")
    return "\n\n".join(parts)


def compare_with_libtorch(arguments):
    theirs = children.libtorch(arguments.build)
    if theirs is None:
        return "PyTorch's headers were not found."
    ours = children.regrad(arguments.build, "overhead", 1)
    names = [name for name in ours.ask("names").split() if name in theirs.ask("names").split()]
    return table(compare([ours, theirs], names, arguments.rounds, None), "libtorch")


def compare_products(arguments, threads):
    done = subprocess.run([str(ROOT / arguments.build / "bench" / "gemm_peers"), "--threads",
                           str(threads), "--only", arguments.only], capture_output=True, text=True,
                          env=children.environment(threads), preexec_fn=children.one_core(threads))
    print(done.stdout + done.stderr[-500:])
    return f"```text\n{done.stdout.strip()}\n```"


def put(page, name, text):
    begin, end = (f"<!-- {word} {name} -->" for word in ("begin", "end"))
    if begin not in page:
        return page
    head, rest = page.split(begin)
    return head + begin + "\n" + text + "\n" + end + rest.split(end)[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parts = ("cases", "libtorch", "products", "build")
    parser.add_argument("--parts", nargs="+", default=parts, choices=parts)
    parser.add_argument("--avx2", action="store_true", help="nobody uses more than AVX2")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    if arguments.avx2:
        os.environ.update(children.AVX2)
    found = {}
    for threads in arguments.threads:
        if "cases" in arguments.parts:
            found[f"cases {threads}"] = compare_with_torch(arguments, threads)
        if "products" in arguments.parts:
            found[f"products {threads}"] = compare_products(arguments, threads)
    if "libtorch" in arguments.parts:
        found["libtorch"] = compare_with_libtorch(arguments)
    if "build" in arguments.parts:
        found["build"] = build_cost.table(arguments.build)
    for name, text in found.items():
        print(f"\n## {name}\n\n{text}")
    if arguments.write:
        path = ROOT / "docs" / ("performance-avx2.md" if arguments.avx2 else "performance.md")
        page = path.read_text()
        for name, text in found.items():
            page = put(page, name, text)
        path.write_text(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())

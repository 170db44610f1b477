"""Includes point one way: examples -> optim, nn -> ops -> autograd; kernels never see a Tensor.
Within the examples attention -> report -> text, runs.

Also holds the size limits of docs/design.md. Prints every breach, then a closing line.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIBRARY = {"autograd", "ops", "nn", "optim"}
MAY_SEE = {
    "autograd": {"autograd"},
    "autograd/trace": {"autograd", "autograd/trace"},
    "ops": {"autograd", "ops", "ops/kernels"},
    "ops/kernels": {"ops/kernels"},
    "ops/cpu": {"ops/cpu", "ops/kernels"},
    "ops/cuda": {"ops/cuda", "ops/kernels"},
    "nn": {"autograd", "ops", "nn"},
    "optim": {"autograd", "ops", "optim"},
    # The rooms of the attention program: only the program itself sees all of them.
    "examples/text": {"examples/text"},
    "examples/runs": {"examples/runs"},
    "examples/report": {"examples/text", "examples/runs", "examples/report"},
    "examples/attention": {"examples/text", "examples/runs", "examples/report",
                           "examples/attention"},
    # Other examples are on regrad.h alone; the tutorial is a command of the program.
    "examples": {"examples/attention", "examples/runs"},
}
# The seam between kernels and ops: chosen at run time, compiled without instruction set flags.
SEAM = {"ops/cpu/select.cpp": {"autograd/check.h", "autograd/error.h", "ops/backend.h"},
        "ops/cpu/select.h": {"ops/backend.h"},
        "ops/cpu/parallel.cpp": {"ops/backend.h", "autograd/check.h", "autograd/error.h"},
        "ops/cpu/random.cpp": {"ops/random.h"},
        "ops/cuda/load.cpp": {"autograd/plugin.h"},
        "ops/cuda/device.cu": {"autograd/error.h"},
        "ops/cuda/gemm.cu": {"autograd/error.h"},
        "ops/cuda/table.cu": {"autograd/error.h"}}
# A library of its own, which writes files whole as every other writer does.
SEAM |= {f"autograd/trace/{name}.cpp": {"nn/files.h"} for name in ("profile", "recorder")}
CHOOSES_BACKENDS = "ops/backend.cpp", {"ops/cpu/select.h", "ops/cuda/load.h"}
# Beside the installed headers an example may use these: errors in one line, text made printable, files
# that are replaced whole. A second implementation would be worse than the arrow.
EXAMPLES_SEE = {"autograd/check.h", "autograd/text.h", "nn/files.h"}
LONGEST_FILE = 400
# autograd/ without blank lines and comments, and without what only looks at a graph, as trace/ does.
CORE_LINES = 1985
NOT_CORE = {"anomaly", "audit", "dot", "explain", "notes", "origin", "reasons", "trace", "trace_library"}


def folder_of(path):
    parts = path.split("/")
    return "/".join(parts[:2]) if parts[0] in {"autograd", "ops", "examples"} and len(parts) > 2 else parts[0]


def installed():
    for folder in LIBRARY:
        text = (ROOT / folder / "meson.build").read_text()
        names = re.search(rf"{folder}_headers = files\((.*?)\)", text, re.S).group(1)
        yield from (f"{folder}/{name}" for name in re.findall(r"'([^']+)'", names))


def sources():
    for folder in ["autograd", "ops", "nn", "optim", "examples", "tests", "bench"]:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in {".h", ".cpp", ".cu"} and "brought" not in path.parts:
                yield path.relative_to(ROOT).as_posix(), path.read_text()


def breaches():
    core = 0
    for_examples = EXAMPLES_SEE | set(installed())
    for path, text in sources():
        lines = text.splitlines()
        if len(lines) > LONGEST_FILE and not path.startswith("tests/"):
            yield f"{path}: {len(lines)} lines, at most {LONGEST_FILE}"
        folder = folder_of(path)
        if (folder == "autograd" and not path.startswith("autograd/trace/")
                and pathlib.Path(path).stem not in NOT_CORE):
            core += sum(1 for line in lines if line.strip() and not line.strip().startswith("//"))
        for seen in re.findall(r'^#include "([^"]+)"', text, re.M):
            allowed = MAY_SEE.get(folder)
            if folder.startswith("examples") and folder_of(seen) in LIBRARY:
                if seen not in for_examples:
                    yield f"{path} includes {seen}, which is not installed"
                continue
            if allowed is None or folder_of(seen) in allowed or "/" not in seen:
                continue  # without a folder: made by the build from files of that folder
            if seen in SEAM.get(path, set()):
                continue
            if path == CHOOSES_BACKENDS[0] and seen in CHOOSES_BACKENDS[1]:
                continue
            yield f"{path} includes {seen}: {folder} may only see {', '.join(sorted(allowed))}"
        if folder in {"autograd", "nn", "optim"} or (folder == "ops" and path != "ops/backend.cpp"):
            for number, line in enumerate(lines, 1):
                if re.match(r"\s*#\s*(if|ifdef|ifndef|elif)\b", line):
                    yield f"{path}:{number}: conditional compilation above the backends"
    if core > CORE_LINES:
        yield f"autograd/ has {core} lines of code, at most {CORE_LINES}"


def main():
    found = list(breaches())
    print("\n".join(found))
    print(f"arrows: {len(found)} breaches")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

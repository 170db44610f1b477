"""No function is longer than 40 lines in the library and the examples, 60 in kernels, from its first
line to its closing brace.

LONGER lists those that are, with their length: one that grows is a breach, and so is an entry that
is no longer needed, so that the list can only shrink.
"""
import pathlib
import sys

from cpp import Source

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ["autograd", "ops", "nn", "optim", "examples"]
KERNELS = ("ops/cpu/", "ops/cuda/")
LIMIT, KERNEL_LIMIT = 40, 60
LONGER = {}


def functions(source, span=None):
    for one in source.declarations(span):
        if one.is_namespace or one.is_class:
            yield from functions(source, one.body)
        elif one.is_function and one.body:
            yield one


def lengths():
    """The longest function of each name in each file."""
    found = {}
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix not in {".h", ".cpp", ".cu"}:
                continue
            name = path.relative_to(ROOT).as_posix()
            for one in functions(Source(path.read_text())):
                key = f"{name}: {one.name}"
                found[key] = max(found.get(key, 0), one.last - one.first + 1)
    return found


def breaches(found):
    for key, length in sorted(found.items()):
        limit = KERNEL_LIMIT if key.startswith(KERNELS) else LIMIT
        if length > LONGER.get(key, limit):
            yield f"{key} has {length} lines, at most {LONGER.get(key, limit)}"
    for key in LONGER:
        if found.get(key, 0) <= (KERNEL_LIMIT if key.startswith(KERNELS) else LIMIT):
            yield f"{key} has {found.get(key, 0)} lines: take it out of LONGER"


def main():
    found = lengths()
    wrong = list(breaches(found))
    print("\n".join(wrong))
    print(f"functions: {len(wrong)} breaches among {len(found)}")
    return 1 if wrong or len(found) < 1000 else 0


if __name__ == "__main__":
    sys.exit(main())

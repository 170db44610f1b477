"""Every test file is named in tests/meson.build: one that is not would never run."""
import pathlib
import re
import sys

TESTS = pathlib.Path(__file__).resolve().parents[1]


def main():
    text = (TESTS / "meson.build").read_text()
    listed = {f"{folder}/{name}_test.cpp"
              for folder, names in re.findall(r"^  '(\w+)': \[([^\]]*)\]", text, re.M)
              for name in re.findall(r"'(\w+)'", names)}
    there = {path.relative_to(TESTS).as_posix() for path in TESTS.glob("*/*_test.cpp")}
    for path in sorted(there - listed):
        print(f"tests/{path} is not named in tests/meson.build")
    print(f"listed: {len(there - listed)} of {len(there)} test files are not named")
    return 1 if there - listed or len(listed) < 50 else 0


if __name__ == "__main__":
    sys.exit(main())

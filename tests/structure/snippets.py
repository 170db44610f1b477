"""The README's C++ is compiled as a user would, and its program must print what the README says.

Usage: snippets.py BUILD_FOLDER. Losses may differ in the last two digits between processors.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]


def main(build):
    text = (ROOT / "README.md").read_text()
    program, *others = re.findall(r"```cpp\n(.*?)```", text, re.S)
    expected = re.search(r"```text\n(.*?)```", text, re.S).group(1)
    source = program + "\n".join(others)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder)
        (path / "readme.cpp").write_text(source)
        compiler = os.environ.get("CXX", "c++").split()
        subprocess.run(compiler + ["-std=c++20", "-O1", "-Wall", "-Wextra", "-Wconversion", "-Werror",
                                   f"-I{ROOT}", str(path / "readme.cpp"), "-o", str(path / "readme"),
                                   f"-L{build}", "-lregrad", f"-Wl,-rpath,{build}"], check=True)
        printed = subprocess.run([str(path / "readme")], capture_output=True, text=True,
                                 check=True).stdout
    print(printed)
    numbers = [[float(x) for x in re.findall(r"[\d.]+", part)] for part in (printed, expected)]
    close = len(numbers[0]) == len(numbers[1]) and all(
        abs(a - b) <= 0.02 * abs(b) + 5e-4 for a, b in zip(*numbers))
    print("README: the program prints what the README says" if close else f"expected\n{expected}")
    return 0 if close else 1


if __name__ == "__main__":
    sys.exit(main(os.path.abspath(sys.argv[1])))

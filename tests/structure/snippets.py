"""The C++ of the documents is compiled as a user would, and each program prints what its page says.

Usage: snippets.py BUILD_FOLDER. Losses may differ in the last two digits between processors.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCUMENTS = ["README.md", "docs/how-backward-works.md", "docs/seeing.md"]


def printed_by(name, source, build):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder)
        (path / name).write_text(source)
        compiler = os.environ.get("CXX", "c++").split()
        subprocess.run(compiler + ["-std=c++20", "-O1", "-g", "-Wall", "-Wextra", "-Wconversion", "-Werror",
                                   f"-I{ROOT}", str(path / name), "-o",
                                   str(path / "snippets"), f"-L{build}", "-lregrad",
                                   f"-Wl,-rpath,{build}"], check=True)
        return subprocess.run([str(path / "snippets")], capture_output=True, text=True,
                              check=True).stdout


def agrees(printed, expected):
    words = [re.sub(r"[\d.]+", "#", part).split() for part in (printed, expected)]
    numbers = [[float(x) for x in re.findall(r"\d+\.?\d*", part)] for part in (printed, expected)]
    return words[0] == words[1] and all(
        abs(a - b) <= 0.02 * abs(b) + 5e-4 for a, b in zip(*numbers))


def main(build):
    wrong = 0
    for document in DOCUMENTS:
        text = (ROOT / document).read_text()
        expected = re.search(r"```text\n(.*?)```", text, re.S).group(1)
        printed = printed_by(f"{pathlib.Path(document).stem}.cpp", "\n".join(re.findall(r"```cpp\n(.*?)```", text, re.S)), build)
        agree = agrees(printed, expected)
        print(f"{document}: the program prints what the page says" if agree
              else f"{document}: printed\n{printed}expected\n{expected}")
        wrong += not agree
    return wrong


if __name__ == "__main__":
    sys.exit(main(os.path.abspath(sys.argv[1])))

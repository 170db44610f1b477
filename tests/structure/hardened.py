"""Programs that read files are hardened as distributions harden theirs: relro, all symbols bound at the
start, position independent code, and, where the compiler put any in, guards on the stack. usage: hardened.py FILE..."""
import subprocess
import sys


def readelf(option, path):
    return subprocess.run(["readelf", "-W", option, path], capture_output=True, text=True,
                          check=True).stdout


def lacks(path):
    dynamic = readelf("-d", path)
    if "BIND_NOW" not in dynamic and " NOW" not in dynamic:
        yield "BIND_NOW"
    if "GNU_RELRO" not in readelf("-l", path):
        yield "RELRO"
    if "DYN (" not in readelf("-h", path):
        yield "PIE"
    if "__stack_chk_fail" not in readelf("--dyn-syms", path):
        yield "stack protector"


def main():
    found = [f"{path}: no {what}" for path in sys.argv[1:] for what in lacks(path)]
    print("\n".join(found) or "hardened")
    return 1 if found else 0


sys.exit(main())

"""No function compiled for one instruction set may reach a machine that lacks it, and none may be
called once for each vector.

A weak symbol is merged by the linker: if an object built for AVX-512 defines one whose name does
not carry its instruction set, every caller may get the AVX-512 copy. And a formula that the compiler
does not inline loads its constants again for every vector. Reads the kernel objects given as
arguments; prints each such symbol.
"""
import re
import subprocess
import sys

FORMULA = re.compile(r"pointwise::(Function<|apply_|logistic_)|\(xsimd::batch<")
ARCHS = re.compile(r"xsimd::(sse2|avx2|avx512|fma3|avx)")


def main(objects):
    bad = []
    for path in objects:
        names = subprocess.run(["nm", "-C", path], capture_output=True, text=True, check=True).stdout
        for line in names.splitlines():
            match = re.match(r"^[0-9a-f]*\s+([WVuw])\s+(.*)$", line)
            if match and not ARCHS.search(match.group(2)) and "DW.ref" not in match.group(2):
                if match.group(1) in "wv" or " guard variable" in match.group(2):
                    continue  # a reference, not a definition
                bad.append(f"{path.split('/')[-1]}: {match.group(2)}")
            match = re.match(r"^[0-9a-f]+\s+[tTwW]\s+(.*)$", line)
            if match and FORMULA.search(match.group(1)):
                bad.append(f"{path.split('/')[-1]}: called for each vector: {match.group(1)}")
    print("\n".join(sorted(set(bad))))
    print(f"symbols: {len(bad)} wrong in {len(objects)} objects")
    return 1 if bad or not objects else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

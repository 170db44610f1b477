"""regrad against PyTorch, case by case, alternating in one run: prints a table of ratios.

  python3 bench/peers/compare.py [--build build] [--threads 1] [--rounds 3] [--only TEXT] [--write]

Each round runs every case in a process of its own, regrad and PyTorch in turn; the figures are
medians over rounds, the spread is the greatest over the least. --write puts the table into
docs/performance.md, between its markers. Needs PyTorch (pip install torch) for python3.
"""
import argparse
import math
import os
import pathlib
import platform
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def run(command, threads):
    environment = dict(os.environ, REGRAD_NUM_THREADS=str(threads), OMP_NUM_THREADS=str(threads))
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT)
    for line in done.stdout.splitlines():
        if line.startswith("case "):
            words = line.split()
            return float(words[5]), float(words[7])
    print(f"no result from {' '.join(command)}: {done.stderr.strip()[-200:]}", file=sys.stderr)
    return None


def machine():
    with open("/proc/cpuinfo") as info:
        names = [line.split(":")[1].strip() for line in info if line.startswith("model name")]
    return f"{names[0]}, {len(names)} cores" if names else platform.machine()


def measure(arguments):
    binary = str(ROOT / arguments.build / "bench" / "peers")
    listed = subprocess.run([binary, "--list"], capture_output=True, text=True, check=True)
    rows = []
    for name in listed.stdout.split():
        if arguments.only not in name:
            continue
        ours, theirs = [], []
        for _ in range(arguments.rounds):
            ours.append(run([binary, "--only", name], arguments.threads))
            theirs.append(run([sys.executable, str(ROOT / "bench/peers/torch_cases.py"), "--only",
                               name, "--threads", str(arguments.threads)], arguments.threads))
        if None in ours or None in theirs:
            continue
        mine = statistics.median(ms for ms, _ in ours)
        peer = statistics.median(ms for ms, _ in theirs)
        spread = max(max(t)[0] / min(t)[0] for t in (ours, theirs))
        rows.append((name, mine, peer, peer / mine, spread, ours[0][1], theirs[0][1]))
        print(f"{name:45} {mine:10.4f} {peer:10.4f} {peer / mine:7.2f}x  spread {spread:.2f}",
              flush=True)
    return rows


def table(rows, threads):
    lines = [f"Machine: {machine()}; {threads} thread(s). Ratio above 1: regrad is faster.", "",
             "| case | regrad ms | PyTorch ms | ratio | spread | regrad MB | PyTorch MB |",
             "|---|---|---|---|---|---|---|"]
    for name, mine, peer, ratio, spread, memory, peer_memory in rows:
        lines.append(f"| {name} | {mine:.4g} | {peer:.4g} | {ratio:.2f} | {spread:.2f} "
                     f"| {memory:.0f} | {peer_memory:.0f} |")
    mean = math.exp(statistics.fmean(math.log(row[3]) for row in rows))
    return "\n".join(lines + ["", f"Geometric mean of the ratios: {mean:.2f}."])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    rows = measure(arguments)
    if not rows:
        return 1
    text = table(rows, arguments.threads)
    print(text)
    if arguments.write:
        page = ROOT / "docs" / "performance.md"
        begin, end = (f"<!-- {word} {arguments.threads} -->" for word in ("begin", "end"))
        old = page.read_text()
        head, rest = old.split(begin)
        page.write_text(head + begin + "\n" + text + "\n" + end + rest.split(end)[1])
    return 0


if __name__ == "__main__":
    sys.exit(main())

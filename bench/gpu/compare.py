"""regrad on a GPU against PyTorch on the same GPU, in turn in one run, and against the GPU itself.

  python3 bench/gpu/compare.py [--build build-gpu] [--rounds 5] [--minutes 6]
      [--families models large ops overhead] [--only TEXT] [--write]

The GPU's own limits are measured in the same run: its copy bandwidth, by a copy of 1 GiB, and its
rate of full float32 products, by one of 8192 squared. Stops taking new cases when the minutes are
over, and says how many it left. --write puts the table into docs/performance.md.
"""
import argparse
import os
import pathlib
import statistics
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench" / "peers"))
import children  # noqa: E402
import compare as cpu  # noqa: E402

FAMILIES = ("models", "large", "ops", "overhead")


def timed(torch, body, rounds=10):
    body()
    torch.cuda.synchronize()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        body()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def limits_of(torch):
    """Of this GPU: bytes a second of a copy (read and written), FLOP a second of a product."""
    torch.backends.cuda.matmul.allow_tf32 = False
    x, y = (torch.empty(1 << 28, device="cuda") for _ in range(2))
    copy = 2 * 4 * x.numel() / timed(torch, lambda: y.copy_(x))
    del x, y
    a, b = (torch.randn(8192, 8192, device="cuda") for _ in range(2))
    product = 2 * 8192 ** 3 / timed(torch, lambda: a @ b)
    return torch.cuda.get_device_name(0), copy, product


def programs(build, family):
    torch_cases = [sys.executable, str(ROOT / "bench/peers/torch_cases.py"), "--device", "cuda",
                   "--serve", family]
    return [children.Child([str(ROOT / build / "bench" / "peers"), "--serve", family], 1),
            children.Child(torch_cases, 1)]


def row_of(name, made, times, copy, product):
    mine, theirs = (statistics.median(t) for t in times)
    need = {made[0][i]: float(made[0][i + 1]) for i in range(0, 6, 2)}
    gigabytes, teraflop = need["bytes"] / mine / 1e6, need["flop"] / mine / 1e9
    share = max(1e9 * gigabytes / copy, 1e12 * teraflop / product)
    row = (f"| {name} | {mine:.4g} | {theirs:.4g} | {theirs / mine:.2f} | {gigabytes:.0f} "
           f"| {teraflop:.1f} | {100 * share:.0f} % |")
    print(row, flush=True)
    return row, theirs / mine


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default="build-gpu")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=6)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--families", nargs="+", default=FAMILIES, choices=FAMILIES)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    os.environ["REGRAD_DEVICE"] = "cuda"
    import torch  # pylint: disable=import-outside-toplevel
    name, copy, product = limits_of(torch)
    head = (f"{name}: copies at {copy / 1e9:.0f} GB/s, float32 products at {product / 1e12:.1f} "
            "TFLOP/s.")
    lines = [head, "", "| case | regrad ms | PyTorch ms | ratio | GB/s | TFLOP/s | of limit |",
             "|---|---|---|---|---|---|---|"]
    print("\n".join(lines))
    end, ratios, left = time.monotonic() + 60 * arguments.minutes, [], 0
    for family in arguments.families:
        both = programs(arguments.build, family)
        for case in [one for one in both[0].ask("names").split() if arguments.only in one]:
            if time.monotonic() > end:
                left += 1
                continue
            made, times, _ = cpu.time_case(case, both, arguments.rounds)
            row, ratio = row_of(case, made, times, copy, product)
            lines.append(row)
            ratios.append(ratio)
        for one in both:
            one.close()
    lines += ["", f"{len(ratios)} cases; geometric mean {cpu.geometric_mean(ratios):.2f}, least "
                  f"{min(ratios):.2f}; {sum(r < 1 for r in ratios)} below 1; {left} not reached."]
    print(lines[-1])
    if arguments.write:
        path = ROOT / "docs" / "performance.md"
        path.write_text(cpu.put(path.read_text(), "gpu", "\n".join(lines)))
    return 0


if __name__ == "__main__":
    sys.exit(main())

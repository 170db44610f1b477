"""bench/ops/conv.cpp's cases in PyTorch, in turn with it: the ratios of PyTorch's time to regrad's.

Usage: conv_cases.py CONV_PROGRAM [--threads N] [--rounds N] [--seconds S]. Each round runs one, then the
other; the best call of all rounds counts. Above 1: regrad is faster.
"""
import argparse
import math
import os
import re
import subprocess
import time

options = argparse.ArgumentParser()
options.add_argument("program")
options.add_argument("--threads", type=int, default=1)
options.add_argument("--rounds", type=int, default=3)
options.add_argument("--seconds", type=float, default=0.2)
options = options.parse_args()
os.environ["OMP_NUM_THREADS"] = os.environ["REGRAD_NUM_THREADS"] = str(options.threads)
import torch  # noqa: E402

torch.set_num_threads(options.threads)
# batch, in, out, size, kernel, and what F.conv2d is given
CASES = {
    "lenet_1": (32, 1, 6, (28, 28), (5, 5), {"padding": 2}),
    "lenet_2": (32, 6, 16, (14, 14), (5, 5), {}),
    "lenet_3": (32, 16, 120, (5, 5), (5, 5), {}),
    "resnet_56": (4, 64, 64, (56, 56), (3, 3), {"padding": 1}),
    "resnet_56_28": (4, 64, 128, (56, 56), (3, 3), {"stride": 2, "padding": 1}),
    "resnet_56_28_1x1": (4, 64, 128, (56, 56), (1, 1), {"stride": 2}),
    "resnet_28": (4, 128, 128, (28, 28), (3, 3), {"padding": 1}),
    "resnet_28_14": (4, 128, 256, (28, 28), (3, 3), {"stride": 2, "padding": 1}),
    "resnet_14": (4, 256, 256, (14, 14), (3, 3), {"padding": 1}),
    "resnet_14_7": (4, 256, 512, (14, 14), (3, 3), {"stride": 2, "padding": 1}),
    "resnet_7": (4, 512, 512, (7, 7), (3, 3), {"padding": 1}),
    "speech_1": (1, 1, 512, (16000,), (10,), {"stride": 5}),
    "speech_2": (1, 512, 512, (3199,), (3,), {"stride": 2}),
    "speech_3": (1, 512, 512, (1599,), (3,), {"stride": 2}),
    "speech_4": (1, 512, 512, (399,), (2,), {"stride": 2}),
    "speech_mel": (1, 80, 384, (3000,), (3,), {"padding": 1}),
    "depthwise_56": (4, 64, 64, (56, 56), (3, 3), {"padding": 1, "groups": 64}),
    "depthwise_56_28": (4, 128, 128, (56, 56), (3, 3), {"stride": 2, "padding": 1, "groups": 128}),
    "depthwise_14": (4, 512, 512, (14, 14), (3, 3), {"padding": 1, "groups": 512}),
    "depthwise_7": (4, 512, 512, (7, 7), (5, 5), {"padding": 2, "groups": 512}),
}


def best(work):
    work()
    least, begin, count = math.inf, time.perf_counter(), 0
    while count < 5 or time.perf_counter() - begin < options.seconds:
        start = time.perf_counter()
        work()
        least, count = min(least, time.perf_counter() - start), count + 1
    return 1000 * least


def run_torch():
    for name, (batch, inputs, outputs, size, kernel, given) in CASES.items():
        x = torch.randn(batch, inputs, *size, requires_grad=True)
        w = torch.randn(outputs, inputs // given.get("groups", 1), *kernel, requires_grad=True)
        call = torch.nn.functional.conv2d if len(size) == 2 else torch.nn.functional.conv1d
        g = torch.ones_like(call(x, w, **given))

        def forward():
            with torch.no_grad():
                call(x, w, **given)

        def both():
            x.grad = w.grad = None
            call(x, w, **given).backward(g)

        yield name, best(forward), best(both)


def run_regrad():
    text = subprocess.run([options.program, str(options.seconds)], capture_output=True, text=True, check=True)
    line = r"case (\w+) threads \d+ forward ([\d.]+) ms .* both ([\d.]+) ms"
    for name, forward, both in re.findall(line, text.stdout):
        yield name, float(forward), float(both)


def main():
    times = {name: [math.inf] * 4 for name in CASES}
    for _ in range(options.rounds):
        for first, run in ((0, run_regrad), (2, run_torch)):
            for name, forward, both in run():
                times[name][first] = min(times[name][first], forward)
                times[name][first + 1] = min(times[name][first + 1], both)
    logs = [0.0, 0.0]
    for name, (forward, both, torch_forward, torch_both) in times.items():
        logs = [logs[0] + math.log(torch_forward / forward), logs[1] + math.log(torch_both / both)]
        print(f"{name:18} forward {forward:9.4f} ms {torch_forward / forward:5.2f}"
              f"   both {both:9.4f} ms {torch_both / both:5.2f}")
    means = [math.exp(one / len(times)) for one in logs]
    print(f"geometric mean of {len(times)}, threads {options.threads}: forward {means[0]:.2f}, both {means[1]:.2f}")


if __name__ == "__main__":
    main()

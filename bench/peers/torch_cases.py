"""PyTorch's side of the comparison: the same work as overhead_, op_ and model_cases.cpp.

  torch_cases.py --only NAME [--threads N]      times one case, as `peers --only NAME` does
  torch_cases.py --serve FAMILY [--threads N]   answers requests, as `peers --serve FAMILY` does
"""
import argparse
import gc
import os
import statistics
import sys
import time

parser = argparse.ArgumentParser()
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--only", default="")
parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
parser.add_argument("--serve", default="", choices=["", "overhead", "ops", "large", "models"])
arguments = parser.parse_args()
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = str(arguments.threads)

import torch  # noqa: E402  (the variables above must come first)
import torch.nn as nn  # noqa: E402
import torch.nn.functional as F  # noqa: E402

torch.set_num_threads(arguments.threads)
torch.set_default_device(arguments.device)
torch.manual_seed(1)
cases = {}


def case(name, make):
    cases[name] = make


def wait():
    if arguments.device == "cuda":
        torch.cuda.synchronize()


def peak_mb():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))


class Running:
    """A case that is being timed: warmed up, a repetition lasting 30 ms or more."""

    def __init__(self, name):
        gc.collect()
        try:
            with open("/proc/self/clear_refs", "w") as file:
                file.write("5")
        except OSError:
            pass
        self.body = cases[name]()
        self.body()
        self.body()
        wait()
        start = time.perf_counter()
        self.body()
        wait()
        self.loops = max(1, int(0.03 / max(time.perf_counter() - start, 1e-7)))
        self.time()

    def time(self):
        body, loops = self.body, self.loops
        if arguments.threads > 1:  # the other program's threads may still spin on our core
            time.sleep(0.02)
            body()
            wait()
        start = time.perf_counter()
        for _ in range(loops):
            body()
        wait()
        return (time.perf_counter() - start) / loops * 1e3


def random(*shape, gradient=False):
    return torch.randn(*shape, requires_grad=gradient)


def forward(name, shape, op):
    def make():
        x = random(*shape)

        def body():
            with torch.no_grad():
                op(x)
        return body
    case(name, make)


def both(name, shape, op, others=()):
    def make():
        x = random(*shape, gradient=True)
        with torch.no_grad():
            g = torch.randn_like(op(x))

        def body():
            x.grad = None
            for other in others:
                other.grad = None
            op(x).backward(g)
        return body
    case("fb_" + name, make)


def step(model, loss):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

    def body():
        optimizer.zero_grad(set_to_none=True)
        loss(model).backward()
        optimizer.step()
    return body


def overhead_cases():
    a, b, g = torch.ones(1, 1), torch.ones(1, 1), torch.ones(1, 1, requires_grad=True)
    case("tiny_add_1x1_nograd", lambda: lambda: a + b)
    case("tiny_add_1x1_grad", lambda: lambda: g + b)

    def chain():
        x = g
        for _ in range(100):
            x = x + b
        return x

    def chain_backward():
        g.grad = None
        chain().backward()
    case("chain100_add_1x1_forward", lambda: chain)
    case("chain100_add_1x1_forward_backward", lambda: chain_backward)
    for width, batch in ((16, 16), (256, 64)):
        def make(width=width, batch=batch):
            model = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width),
                                  nn.ReLU(), nn.Linear(width, width))
            x, y = random(batch, width), random(batch, width)
            return step(model, lambda m: F.mse_loss(m(x), y))
        case(f"mlp3_{width}x{width}_b{batch}_step", make)


def cross_entropy_case(r, c):
    targets = torch.randint(0, c, (r,))

    def make():
        x = random(r, c, gradient=True)

        def body():
            x.grad = None
            F.cross_entropy(x, targets).backward()
        return body
    case(f"fb_log_softmax_nll_{r}x{c}", make)


def pointwise_cases(n, tag):
    def make_add():
        a, b = random(n), random(n)
        return lambda: a + b
    case(f"add_{tag}", make_add)

    def make_mul():
        a, b = random(n), random(n)
        return lambda: a * b
    case(f"mul_{tag}", make_mul)
    factor = random(n)
    both(f"mul_{tag}", (n,), lambda x: x * factor)
    for name, op in (("exp", torch.exp), ("tanh", torch.tanh), ("sigmoid", torch.sigmoid),
                     ("gelu", F.gelu), ("relu", torch.relu)):
        forward(f"{name}_{tag}", (n,), op)
        both(f"{name}_{tag}", (n,), op)


def scalar_cases(n, tag):
    y, t = random(n), torch.rand(n)
    forward(f"sum_{tag}", (n,), torch.sum)
    both(f"mean_{tag}", (n,), torch.mean)
    both(f"mse_loss_{tag}", (n,), lambda x: F.mse_loss(x, y))
    both(f"bce_logits_{tag}", (n,), lambda x: F.binary_cross_entropy_with_logits(x, t))
    both(f"dropout_{tag}", (n,), lambda x: F.dropout(x, 0.1))


def row_cases(r, c):
    tag = f"{r}x{c}"
    forward(f"softmax_{tag}", (r, c), lambda x: F.softmax(x, -1))
    both(f"softmax_{tag}", (r, c), lambda x: F.softmax(x, -1))
    forward(f"softmax_axis0_{tag}", (r, c), lambda x: F.softmax(x, 0))
    both(f"softmax_axis0_{tag}", (r, c), lambda x: F.softmax(x, 0))
    both(f"log_softmax_{tag}", (r, c), lambda x: F.log_softmax(x, -1))
    cross_entropy_case(r, c)
    w, b = random(c, gradient=True), random(c, gradient=True)
    forward(f"layer_norm_{tag}", (r, c), lambda x: F.layer_norm(x, (c,), w, b))
    both(f"layer_norm_{tag}", (r, c), lambda x: F.layer_norm(x, (c,), w, b), (w, b))
    forward(f"sum_axis0_{tag}", (r, c), lambda x: x.sum(0))
    forward(f"sum_axis1_{tag}", (r, c), lambda x: x.sum(1))
    both(f"sum_axis0_{tag}", (r, c), lambda x: x.sum(0))
    both(f"sum_axis1_{tag}", (r, c), lambda x: x.sum(1))
    forward(f"max_axis0_{tag}", (r, c), lambda x: x.amax(0))
    forward(f"max_axis1_{tag}", (r, c), lambda x: x.amax(1))
    forward(f"transpose_contig_{tag}", (r, c), lambda x: x.t().contiguous())


def op_cases():
    for n, tag in ((4096, "4k"), (262144, "256k"), (1 << 20, "1m"), (1 << 24, "16m")):
        pointwise_cases(n, tag)
    row = random(1024)
    forward("add_bias_1024x1024", (1024, 1024), lambda x: x + row)
    bias = random(1024, gradient=True)
    both("add_bias_1024x1024", (1024, 1024), lambda x: x + bias, (bias,))
    for n, tag in ((262144, "256k"), (1 << 24, "16m")):
        scalar_cases(n, tag)
    cross_entropy_case(768, 8000)
    for r, c in ((1024, 1024), (4096, 64), (4096, 5), (4096, 30)):
        row_cases(r, c)
    forward("transpose_heads_16x128x8x32", (16, 128, 8, 32), lambda x: x.transpose(1, 2).contiguous())
    for count in (64, 8000):
        index = torch.randint(0, count, (64, 30))
        for run in (forward, both):
            run(f"embedding_{count}x256_n1920", (count, 256),
                lambda w, index=index: F.embedding(index, w))
    for b, m, k, n in ((256, 20, 64, 20), (64, 128, 64, 128), (256, 64, 64, 64)):
        y, z, v = random(b, k, n), random(b, n, k), random(b, k, n, gradient=True)
        forward(f"bmm_{b}x{m}x{k}x{n}", (b, m, k), lambda x, y=y: torch.bmm(x, y))
        forward(f"bmm_nt_{b}x{m}x{k}x{n}", (b, m, k),
                lambda x, z=z: torch.bmm(x, z.transpose(1, 2)))
        both(f"bmm_{b}x{m}x{k}x{n}", (b, m, k), lambda x, v=v: torch.bmm(x, v), (v,))
    for m, k, n in ((32, 256, 256), (640, 256, 1024), (32, 512, 10000), (2048, 64, 2048),
                    (1, 256, 256), (512, 512, 512), (1024, 1024, 1024)):
        w, b = random(n, k, gradient=True), random(n, gradient=True)
        forward(f"linear_{m}x{k}x{n}", (m, k), lambda x, w=w, b=b: F.linear(x, w, b))
        both(f"linear_{m}x{k}x{n}", (m, k), lambda x, w=w, b=b: F.linear(x, w, b), (w, b))


def large_cases():
    """Beyond any cache: what a GPU is for."""
    pointwise_cases(1 << 26, "64m")
    scalar_cases(1 << 26, "64m")
    row_cases(65536, 1024)
    row_cases(16384, 4096)


def recurrent_cases():
    for batch, width in ((1, 256), (32, 256), (64, 256), (32, 64)):
        for kind in ("gru", "lstm"):
            def make(kind=kind, batch=batch, width=width):
                cell = (nn.GRUCell if kind == "gru" else nn.LSTMCell)(width, width)
                x, h, c = (random(batch, width, gradient=True) for _ in range(3))
                g = random(batch, width)

                def body():
                    cell.zero_grad(set_to_none=True)
                    x.grad = h.grad = c.grad = None
                    (cell(x, h) if kind == "gru" else cell(x, (h, c))[0]).backward(g)
                return body
            case(f"fb_{kind}_cell_b{batch}_h{width}", make)
    for kind in ("gru", "lstm"):
        def make_layer(kind=kind):
            layer = (nn.GRU if kind == "gru" else nn.LSTM)(256, 256)
            x, g = random(30, 64, 256, gradient=True), random(30, 64, 256)

            def body():
                layer.zero_grad(set_to_none=True)
                x.grad = None
                layer(x)[0].backward(g)
            return body
        case(f"fb_{kind}_seq_t30_b64_h256", make_layer)


class Tutorial(nn.Module):
    """The tutorial's Seq2SeqModel in the form that runs, O = H."""

    def __init__(self, width):
        super().__init__()
        self.input_layer, self.hidden_layer = nn.Linear(width, width), nn.Linear(width, width)
        self.output_layer, self.score = nn.Linear(width, width), nn.Linear(width, 1)

    def forward(self, x):
        hidden = self.hidden_layer(torch.relu(self.input_layer(x)))
        outputs = []
        for t in range(x.size(1)):
            weights = torch.softmax(self.score(hidden), 1)
            outputs.append(self.output_layer(torch.bmm(weights.transpose(1, 2), hidden)))
            if t + 1 < x.size(1):
                hidden = self.hidden_layer(torch.cat((hidden, outputs[-1]), 1))
        return torch.cat(outputs, 1)


class Translation(nn.Module):
    """GRU encoder, GRU decoder, additive attention, teacher forcing."""

    def __init__(self, vocabulary, width):
        super().__init__()
        self.source = nn.Embedding(vocabulary, width)
        self.target = nn.Embedding(vocabulary, width)
        self.encoder = nn.GRU(width, width, batch_first=True)
        self.query, self.key = nn.Linear(width, width), nn.Linear(width, width, bias=False)
        self.energy = nn.Linear(width, 1, bias=False)
        self.decoder, self.output = nn.GRUCell(2 * width, width), nn.Linear(2 * width, vocabulary)

    def forward(self, source, target):
        memory, last = self.encoder(self.source(source))
        state, keys, embedded = last[0], self.key(memory), self.target(target)
        read = []
        for t in range(target.size(1)):
            scores = self.energy(torch.tanh(self.query(state).unsqueeze(1) + keys))
            context = torch.bmm(torch.softmax(scores, 1).transpose(1, 2), memory).squeeze(1)
            state = self.decoder(torch.cat((embedded[:, t], context), 1), state)
            read.append(torch.cat((state, context), 1))
        return self.output(torch.stack(read, 1))


class Block(nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.heads = heads
        self.n1, self.n2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.qkv, self.proj = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.up, self.down = nn.Linear(d, 4 * d), nn.Linear(4 * d, d)

    def forward(self, x):
        b, t, d = x.shape
        parts = self.qkv(self.n1(x)).split(d, 2)
        q, k, v = (p.view(b, t, self.heads, d // self.heads).transpose(1, 2) for p in parts)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.proj(y.transpose(1, 2).reshape(b, t, d))
        return x + self.down(F.gelu(self.up(self.n2(x))))


class Gpt(nn.Module):
    def __init__(self, vocabulary, steps, layers, d, heads):
        super().__init__()
        self.token, self.position = nn.Embedding(vocabulary, d), nn.Embedding(steps, d)
        self.blocks = nn.Sequential(*(Block(d, heads) for _ in range(layers)))
        self.norm, self.head = nn.LayerNorm(d), nn.Linear(d, vocabulary, bias=False)
        self.register_buffer("index", torch.arange(steps))

    def forward(self, ids):
        return self.head(self.norm(self.blocks(self.token(ids) + self.position(self.index))))


def model_cases():
    for batch, width in ((1, 64), (32, 64), (32, 256)):
        def make(batch=batch, width=width):
            x, y = random(batch, 20, width), random(batch, 20, width)
            return step(Tutorial(width), lambda m: F.mse_loss(m(x), y))
        case(f"seq2seq_b{batch}_t20_h{width}_step", make)
    for v, batch, width in ((64, 8, 64), (64, 64, 256), (8000, 64, 256)):
        def make(v=v, batch=batch, width=width):
            source, target = torch.randint(0, v, (batch, 30)), torch.randint(0, v, (batch, 12))
            gold = torch.randint(0, v, (batch * 12,))
            return step(Translation(v, width),
                        lambda m: F.cross_entropy(m(source, target).view(-1, v), gold))
        case(f"gru_attn_v{v}_b{batch}_s30_t12_h{width}_step", make)
    for layers, d, heads, t, batch in ((2, 64, 4, 64, 8), (4, 256, 8, 128, 16)):
        def make(layers=layers, d=d, heads=heads, t=t, batch=batch):
            ids, gold = torch.randint(0, 64, (batch, t)), torch.randint(0, 64, (batch * t,))
            return step(Gpt(64, t, layers, d, heads),
                        lambda m: F.cross_entropy(m(ids).view(-1, 64), gold))
        case(f"gpt_l{layers}_d{d}_h{heads}_t{t}_b{batch}_v64_sdpa_step", make)
    for t in (1024, 4096):
        name, shape = f"attention_b4_h8_t{t}_d64_sdpa_", (4, 8, t, 64)

        def make_forward(shape=shape):
            q, k, v = random(*shape), random(*shape), random(*shape)
            return lambda: F.scaled_dot_product_attention(q, k, v)

        def make_both(shape=shape):
            inputs = [random(*shape, gradient=True) for _ in range(3)]
            g = random(*shape)

            def body():
                for x in inputs:
                    x.grad = None
                F.scaled_dot_product_attention(*inputs).backward(g)
            return body
        case(name + "forward", make_forward)
        case(name + "fb", make_both)


def serve():
    running = None
    for line in sys.stdin:
        request, _, name = line.strip().partition(" ")
        if request == "names":
            print(*cases)
        elif request == "make" and name in cases:
            running = Running(name)
            print("made")
        elif request == "time" and running is not None:
            print(f"ms {running.time():.9g}")
        elif request == "drop":
            running = None
            print(f"mem_mb {peak_mb():.1f}")
        else:
            print(f"error: no such request or case: {line.strip()}")
        sys.stdout.flush()


for family, add in (("overhead", overhead_cases), ("ops", op_cases), ("ops", recurrent_cases),
                    ("models", model_cases)):
    if arguments.serve in ("", family):
        add()
if arguments.serve == "large":
    large_cases()
if arguments.serve:
    serve()
else:
    timed = Running(arguments.only)
    times = [timed.time() for _ in range(7)]
    print(f"case {arguments.only} threads {arguments.threads} ms {statistics.median(times):.6g} "
          f"mem_mb {peak_mb():.1f}")

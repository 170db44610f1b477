"""A tape that records as the library does, in float64: what its recordings hold is computed here,
and not by what is tested.
"""
import contextlib
import json
import math
import sys


def number(x):
    """As a program prints it: the shortest text that reads back the same."""
    if isinstance(x, bool):
        return json.dumps(x)
    if not math.isfinite(x):
        return json.dumps("nan" if math.isnan(x) else "inf" if x > 0 else "-inf")
    return repr(x).removesuffix(".0")


class Raw(float):
    """A number that json writes as it stands."""
    def __repr__(self):
        return self.text


def raw(text):
    value = Raw(0)
    value.text = text
    return value


def encode(thing):
    """JSON with every Raw as its text (json.dumps would ask float for it)."""
    if isinstance(thing, Raw):
        return thing.text
    if isinstance(thing, dict):
        return "{" + ", ".join(f"{json.dumps(k)}: {encode(v)}" for k, v in thing.items()) + "}"
    if isinstance(thing, (list, tuple)):
        return "[" + ", ".join(map(encode, thing)) + "]"
    return json.dumps(thing)


def blocks(data, rows, columns):
    """Means over at most 32 by 32 blocks, None where one is not finite."""
    high, wide = min(rows, 32), min(columns, 32)
    cut = lambda i, parts, size: range(i * size // parts, (i + 1) * size // parts)
    for i in range(high):
        for j in range(wide):
            block = [data[r * columns + c]
                     for r in cut(i, high, rows) for c in cut(j, wide, columns)]
            yield sum(block) / len(block) if all(map(math.isfinite, block)) else None


def value(data, shape, whole=256):
    if len(data) <= whole:
        return {"v": [raw(number(x)) for x in data]}
    finite = [x for x in data if math.isfinite(x)]
    columns = shape[-1]
    means = list(blocks(data, len(data) // columns, columns))
    low, high = (f((x for x in means if x is not None), default=0) for f in (min, max))
    byte = lambda x: -1 if x is None else round(255 * (x - low) / ((high - low) or 1))
    result = {"mean": sum(finite) / max(len(finite), 1), "min": min(finite, default=0),
              "max": max(finite, default=0),
              "norm": math.hypot(*finite), "low": low, "high": high}
    result = {name: raw(number(x)) for name, x in result.items()}
    return {**result, "nan": sum(map(math.isnan, data)), "inf": sum(map(math.isinf, data)),
            "rows": min(len(data) // columns, 32), "columns": min(columns, 32),
            "map": list(map(byte, means)),
            "first": [raw(number(x)) for x in data[:min(columns, 32)]]}


def address():
    """Where the program, not this file, was when it called."""
    frame = sys._getframe(1)
    while frame.f_code.co_filename in (__file__, contextlib.__file__):
        frame = frame.f_back
    return frame.f_lasti


class Tensor:
    def __init__(self, tape, data, shape, grad, name="", op=-1, dims=()):
        self.data, self.shape, self.grad, self.name, self.op = data, list(shape), grad, name, op
        self.dims, self.gradient, self.index = list(dims), None, len(tape.tensors)
        self.derivatives, self.inputs = [], []
        tape.tensors.append(self)


class Tape:
    """Records what is called on it. `source` is the text of the program that it pretends to be."""

    def __init__(self, program, source, arguments=()):
        self.program, self.arguments, self.source = program, list(arguments), source.split("\n")
        self.file = program + ".cpp"
        self.tensors, self.ops, self.steps, self.stack = [], [], [], []
        self.frame_numbers, self.stack_numbers = {}, {}
        self.failed, self.ended, self.notes, self.lines = None, "", [], set()

    def line(self, text):
        return next(i for i, line in enumerate(self.source, 1) if text in line) if text else 0

    def frame(self, function, line, caller):
        """The number of a frame: two calls on one line are two, as they have two addresses."""
        file = "" if function.startswith("nn::") else self.file
        frame = (function, file, line, caller)
        return self.frame_numbers.setdefault(frame, len(self.frame_numbers))

    @contextlib.contextmanager
    def call(self, function, at=""):
        """A call of `function` from the line `at` of the one that is running."""
        if self.stack:
            self.stack[-1] = (self.stack[-1][0], self.line(at), address())
        self.stack.append((function, 0, 0))
        yield
        self.stack.pop()

    def place(self, at):
        library = self.stack[-1][0].startswith("nn::")
        self.stack[-1] = (self.stack[-1][0], 0 if library else self.line(at), address())
        stack = [self.frame(*one) for one in self.stack]
        user = len(stack) - 1 - library
        self.lines.add(self.stack[user][1])
        return self.stack_numbers.setdefault((tuple(stack), user), len(self.stack_numbers))

    def leaf(self, data, shape=(), name="", grad=True, dims=()):
        return Tensor(self, data, shape, grad, name, dims=dims)

    def op(self, name, inputs, data, shape, derivatives, at="", formula="", parameters=(), texts=(),
           why=""):
        needs = any(x.grad for x in inputs) and not why
        result = Tensor(self, data, shape, needs, op=len(self.ops))
        result.inputs, result.derivatives = inputs, derivatives
        if not needs and not why:
            why = "no input requires a gradient"
        self.ops.append({"name": name, "stack": self.place(at), "inputs": [x.index for x in inputs],
                         "output": result.index, "why": why, "step": -1, "formula": formula,
                         "parameters": list(parameters), "derivatives": list(texts)})
        return result

    def fail(self, name, text, at):
        self.failed = {"text": text, "name": name, "stack": self.place(at)}
        self.ended = f"Error: {text}"

    def backward(self, loss, own=None):
        loss.gradient = [1.0] * len(loss.data)
        reached, todo = set(), [loss]
        while todo:
            x = todo.pop()
            if x.op >= 0 and x.index not in reached:
                reached.add(x.index)
                todo += [y for y in x.inputs if y.grad]
        of = {}
        for index in reached:
            for x in self.tensors[index].inputs:
                if x.grad:
                    of[x.index] = of.get(x.index, 0) + 1
        nth = {}
        for index in sorted(reached, reverse=True):
            node = self.tensors[index]
            op = self.ops[node.op]
            op["step"] = len(self.steps)
            gives = []
            for i, (x, derivative) in enumerate(zip(node.inputs, node.derivatives)):
                if not x.grad:
                    continue
                addend = derivative(node.gradient)
                x.gradient = [a + b for a, b in zip(x.gradient, addend)] if x.gradient else addend
                nth[x.index] = nth.get(x.index, 0) + 1
                gives.append({"input": i, "tensor": x.index, "addend": value(addend, x.shape),
                              "sum": value(x.gradient, x.shape), "nth": nth[x.index],
                              "of": of[x.index]})
            self.steps.append({"op": node.op, "name": op["name"],
                               "gradient": value(node.gradient, node.shape), "gives": gives,
                               "ops": (own or {}).get(op["name"], ["mul"])})

    def recording(self):
        near = {n for line in self.lines if line for n in (line - 1, line, line + 1)}
        sources = {self.file: {str(n): self.source[n - 1]
                               for n in sorted(near) if 0 < n <= len(self.source)}}
        tensors = [{"name": x.name, "shape": x.shape, "dtype": "float64",
                    **({"dims": x.dims} if x.dims else {}), "op": x.op, "grad": x.grad,
                    "value": value(x.data, x.shape),
                    "gradient": value(x.gradient, x.shape) if x.gradient else None}
                   for x in self.tensors]
        return {"format": 1, "program": f"build/{self.program}", "arguments": self.arguments,
                "step": 1 if self.steps else 0, "complete": not self.ended, "ended": self.ended,
                "notes": self.notes, "numbers": True,
                "frames": [{"f": f, "file": file, "line": line}
                           for f, file, line, _ in self.frame_numbers],
                "stacks": [list(stack) for stack, _ in self.stack_numbers],
                "user": [user for _, user in self.stack_numbers], "sources": sources,
                "tensors": tensors, "ops": self.ops,
                "failed": self.failed, "backward": self.steps}

    # Ops. Where one operand is a scalar it goes with every element of the other.

    def pair(self, name, a, b, f, da, db, at, formula, texts):
        n, shape = max((len(a.data), a.shape), (len(b.data), b.shape))
        x, y = (t.data * (n if len(t.data) == 1 else 1) for t in (a, b))
        fold = lambda t, g: [math.fsum(g)] if len(t.data) == 1 else g
        return self.op(name, [a, b], list(map(f, x, y)), shape,
                       [lambda g: fold(a, [da(*t) for t in zip(g, x, y)]),
                        lambda g: fold(b, [db(*t) for t in zip(g, x, y)])],
                       at, formula, ["a", "b"], texts)

    def mul(self, a, b, at=""):
        return self.pair("mul", a, b, lambda x, y: x * y, lambda g, x, y: g * y,
                         lambda g, x, y: g * x, at, "a b", ["g b", "g a"])

    def add(self, a, b, at=""):
        return self.pair("add", a, b, lambda x, y: x + y, lambda g, x, y: g, lambda g, x, y: g, at,
                         "a + b", ["g", "g"])

    def sub(self, a, b, at=""):
        return self.pair("sub", a, b, lambda x, y: x - y, lambda g, x, y: g, lambda g, x, y: -g, at,
                         "a - b", ["g", "-g"])

    def each(self, name, x, f, slope, at, formula, text):
        y = list(map(f, x.data))
        return self.op(name, [x], y, x.shape,
                       [lambda g: [a * slope(b, c) for a, b, c in zip(g, x.data, y)]], at, formula,
                       ["x"], [text])

    def tanh(self, x, at=""):
        return self.each("tanh", x, math.tanh, lambda x, y: 1 - y * y, at, "tanh(x)", "g (1 - y y)")

    def log(self, x, at=""):
        return self.each("log", x, lambda x: math.log(x) if x > 0 else -math.inf,
                         lambda x, _: 1 / x if x else math.inf, at, "log(x)", "g / x")

    def square(self, x, at=""):  # a user's own op: nobody knows its formula
        return self.each("my_square", x, lambda x: x * x, lambda x, _: 2 * x, at, "", "")

    def sum(self, x, at=""):
        exact = all(map(math.isfinite, x.data))
        return self.op("sum", [x], [math.fsum(x.data) if exact else sum(x.data)], [],
                       [lambda g: g * len(x.data)], at, "Σ x", ["x"], ["g for every element"])

    def softmax(self, x, at=""):
        most = max(x.data)
        powers = [math.exp(v - most) for v in x.data]
        y = [p / sum(powers) for p in powers]

        def derivative(g):
            inner = sum(a * b for a, b in zip(g, y))
            return [b * (a - inner) for a, b in zip(g, y)]
        return self.op("softmax", [x], y, x.shape, [derivative], at, "exp(x) / Σ exp(x)", ["x"],
                       ["y (g - Σ y g)"])

    def matmul(self, a, b, at=""):
        (n, k), m = a.shape, b.shape[1]
        dot = lambda p, q: sum(map(lambda x, y: x * y, p, q))
        rows = lambda d, w: [d[i:i + w] for i in range(0, len(d), w)]
        columns = lambda d, w: [d[i::w] for i in range(w)]
        product = lambda p, q: [dot(x, y) for x in p for y in q]
        return self.op("matmul", [a, b], product(rows(a.data, k), columns(b.data, m)), [n, m],
                       [lambda g: product(rows(g, m), rows(b.data, m)),
                        lambda g: product(columns(a.data, k), columns(g, m))],
                       at, "a b", ["a", "b"], ["g bᵀ", "aᵀ g"])

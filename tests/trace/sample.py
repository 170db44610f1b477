"""Recordings of small programs, as REGRAD_TRACE=out.json writes them, with numbers that are computed.

Run with a name of PROGRAMS, it is such a program: it writes its recording where REGRAD_TRACE says.
"""
import json
import math
import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "autograd/trace"))
import formulas  # noqa: E402

FORMULAS = formulas.read(formulas.catalogue(ROOT / "ops/ops.h"))


def softmax(x):
    exps = [math.exp(one) for one in x]
    return [one / sum(exps) for one in exps]


# name: (y of the inputs' values, gradients of all inputs from g, y and those values)
OPS = {
    "add": (lambda a, b: [p + q for p, q in zip(a, b)], lambda g, y, a, b: (g, g)),
    "sub": (lambda a, b: [p - q for p, q in zip(a, b)], lambda g, y, a, b: (g, [-one for one in g])),
    "mul": (lambda a, b: [p * q for p, q in zip(a, b)],
            lambda g, y, a, b: ([p * q for p, q in zip(g, b)], [p * q for p, q in zip(g, a)])),
    "expand": (lambda x: x * 3, lambda g, y, x: ([sum(g)],)),
    "sum": (lambda x: [sum(x)], lambda g, y, x: (g * len(x),)),
    "square": (lambda x: [one * one for one in x], lambda g, y, x: ([2 * p * q for p, q in zip(g, x)],)),
    "tanh": (lambda x: [math.tanh(one) for one in x],
             lambda g, y, x: ([p * (1 - q * q) for p, q in zip(g, y)],)),
    "relu": (lambda x: [max(one, 0.0) for one in x],
             lambda g, y, x: ([p * (q > 0) for p, q in zip(g, x)],)),
    "log": (lambda x: [math.log(one) if one > 0 else math.nan for one in x],
            lambda g, y, x: ([p / q for p, q in zip(g, x)],)),
    "detach": (lambda x: x, None),
    "softmax": (lambda x: softmax(x),
                lambda g, y, x: ([q * (p - sum(s * t for s, t in zip(g, y))) for p, q in zip(g, y)],)),
}


def value(numbers, columns):
    text = [one if math.isfinite(one) else str(one) for one in numbers]
    if len(numbers) <= 256:
        return {"v": text}
    finite = [one for one in numbers if math.isfinite(one)]
    return {"mean": sum(finite) / len(finite), "min": min(finite), "max": max(finite),
            "norm": math.sqrt(sum(one * one for one in finite)),
            "nan": sum(map(math.isnan, numbers)), "inf": sum(map(math.isinf, numbers)), "first": text[:columns]}


class Tape:
    """Computes ops and records them; its caller's stack is what `at` says."""

    def __init__(self, lines, lines_known=True):
        self.known, self.numbers = lines_known, []
        self.recording = {
            "format": 1, "program": "build/toy", "arguments": [], "step": 0, "complete": False,
            "ended": "", "notes": [], "numbers": True, "frames": [], "stacks": [], "user": [],
            "sources": {"toy.cpp": {str(i): line for i, line in enumerate(lines, 1)}} if lines_known else {},
            "tensors": [], "ops": [], "failed": None, "backward": []}

    def at(self, line, *inside):
        """A stack: main at a line, then functions as (name, line)."""
        frames, stack = self.recording["frames"], []
        for f, where in (("main", line),) + inside:
            frame = {"f": f, "file": "toy.cpp" if self.known else "", "line": where if self.known else 0}
            if frame not in frames:
                frames.append(frame)
            stack.append(frames.index(frame))
        if stack not in self.recording["stacks"]:
            self.recording["stacks"].append(stack)
            self.recording["user"].append(len(stack) - 1)
        return self.recording["stacks"].index(stack)

    def tensor(self, name, shape, numbers, grad=True, op=-1):
        columns = shape[-1] if shape else 1
        self.recording["tensors"].append(
            {"name": name, "shape": shape, "dtype": "float64", "op": op, "grad": grad,
             "value": value(numbers, columns), "gradient": None})
        self.numbers.append(numbers)
        return len(self.numbers) - 1

    def op(self, name, stack, *inputs, shape=None, why=""):
        tensors, ops = self.recording["tensors"], self.recording["ops"]
        y = OPS[name][0](*(self.numbers[one] for one in inputs))
        grad = any(tensors[one]["grad"] for one in inputs) and not why
        formula = FORMULAS[name]
        shape = tensors[inputs[0]]["shape"] if shape is None else shape
        output = self.tensor("", shape, y, grad, len(ops))
        ops.append({"name": name, "stack": stack, "inputs": list(inputs), "output": output,
                    "why": why or ("" if grad else "no input requires a gradient"), "step": -1,
                    "formula": formula.text, "parameters": formula.parameters,
                    "derivatives": formula.derivatives})
        return output

    def backward(self, loss):
        tensors, ops = self.recording["tensors"], self.recording["ops"]
        reached, waiting = [], [loss]
        while waiting:
            made = tensors[waiting.pop()]["op"]
            if made >= 0 and made not in reached and not ops[made]["why"]:
                reached.append(made)
                waiting += ops[made]["inputs"]
        uses = {}
        for made in reached:
            for one in ops[made]["inputs"]:
                uses[one] = uses.get(one, 0) + tensors[one]["grad"]
        sums, given = {loss: [1.0]}, {}
        for made in sorted(reached, reverse=True):
            op, g = ops[made], sums[ops[made]["output"]]
            op["step"] = len(self.recording["backward"])
            gives = []
            addends = OPS[op["name"]][1](g, self.numbers[op["output"]], *(self.numbers[i] for i in op["inputs"]))
            for i, (one, addend) in enumerate(zip(op["inputs"], addends)):
                if not tensors[one]["grad"]:
                    continue
                sums[one] = [p + q for p, q in zip(sums[one], addend)] if one in sums else addend
                given[one] = given.get(one, 0) + 1
                columns = (tensors[one]["shape"] or [1])[-1]
                gives.append({"input": i, "tensor": one, "addend": value(addend, columns),
                              "sum": value(sums[one], columns), "nth": given[one], "of": uses[one]})
            self.recording["backward"].append({"op": made, "name": op["name"], "gives": gives, "ops": ["mul"],
                                               "gradient": value(g, (tensors[op["output"]]["shape"] or [1])[-1])})
        for one, total in sums.items():
            tensors[one]["gradient"] = value(total, (tensors[one]["shape"] or [1])[-1])
        self.recording |= {"step": 1, "complete": True}


def toy(lines_known=True):
    """h is used twice: in the scores and in the sum that the weights are for."""
    tape = Tape(["int main() {", "  Tensor h = tensor({1.0, 2.0, 4.0}, {3}).set_requires_grad(true);",
                 "  Tensor w = scalar(0.5).set_requires_grad(true);",
                 "  Tensor b = scalar(0.1).set_requires_grad(true);", "  Tensor scores = w * h + b;",
                 "  Tensor weights = softmax(scores, 0);", "  Tensor loss = square(sum(weights * h) - 2);",
                 "  backward(loss);"], lines_known)
    h, w, b = tape.tensor("h", [3], [1.0, 2.0, 4.0]), tape.tensor("w", [], [0.5]), tape.tensor("b", [], [0.1])
    scores = tape.op("mul", tape.at(5), tape.op("expand", tape.at(5), w, shape=[3]), h)
    scores = tape.op("add", tape.at(5), scores, tape.op("expand", tape.at(5), b, shape=[3]))
    weights = tape.op("softmax", tape.at(6), scores)
    total = tape.op("sum", tape.at(7), tape.op("mul", tape.at(7), weights, h), shape=[])
    two = tape.tensor("", [], [2.0], grad=False)
    tape.backward(tape.op("square", tape.at(7), tape.op("sub", tape.at(7), total, two)))
    return tape.recording


def without_lines():
    recording = toy(lines_known=False)
    recording["notes"] = ["compile with -g to see source lines"]
    return recording


def loop():
    """A cell for four time steps: one call site."""
    tape = Tape(["struct Cell {", "  Tensor operator()(const Tensor& x, const Tensor& h) {",
                 "    return tanh(w * h + x);", "  }", "};", "int main() {",
                 "  for (const Tensor& x : steps) h = cell(x, h);", "  backward(sum(h));"])
    w, h = tape.tensor("cell.w", [3], [0.5, -0.5, 1.0]), tape.tensor("", [3], [0.0, 0.1, 0.2], grad=False)
    inside = tape.at(7, ("Cell::operator()(const Tensor&, const Tensor&)", 3))
    for t in range(4):
        x = tape.tensor("", [3], [0.1 * t, 0.2, -0.1 * t], grad=False)
        h = tape.op("tanh", inside, tape.op("add", inside, tape.op("mul", inside, w, h), x))
    tape.backward(tape.op("sum", tape.at(8), h, shape=[]))
    return tape.recording


def nan():
    tape = Tape(["int main() {", "  Tensor x = tensor({1.0, -2.0, 3.0}, {3}).set_requires_grad(true);",
                 "  Tensor loss = sum(log(x) * x);", "  backward(loss);"])
    x = tape.tensor("x", [3], [1.0, -2.0, 3.0])
    product = tape.op("mul", tape.at(3), tape.op("log", tape.at(3), x), x)
    tape.backward(tape.op("sum", tape.at(3), product, shape=[]))
    return tape.recording


def failed():
    tape = Tape(["int main() {", "  Tensor x = tensor({1.0, 2.0, 3.0}, {3}).set_requires_grad(true);",
                 "  Tensor y = x * x;", "  Tensor z = matmul(y, ones({4, 4}));"])
    x = tape.tensor("x", [3], [1.0, 2.0, 3.0])
    tape.op("mul", tape.at(3), x, x)
    text = "matmul: [1, 3] has 3 columns, [4, 4] has 4 rows; they must be equal"
    tape.recording |= {"failed": {"text": text, "name": "matmul", "stack": tape.at(4)}, "ended": "Error: " + text}
    return tape.recording


def cut():
    """Gradients that are missing or zero: NoGrad, detach(), a leaf without, one that is not used, relu."""
    tape = Tape(["int main() {", "  Tensor scale = w * w;  // under NoGrad", "  Tensor kept = (w * v).detach();",
                 "  Tensor y = x * kept + relu(u) * scale;", "  Tensor aside = v * x;", "  backward(sum(y));"])
    x, w = tape.tensor("x", [3], [1.0, 2.0, 3.0]), tape.tensor("w", [3], [0.5, 0.6, 0.7])
    v, u = tape.tensor("v", [3], [1.0, 1.5, 2.0]), tape.tensor("u", [3], [-1.0, -2.0, -0.5])
    tape.tensor("unused", [3], [1.0, 1.0, 1.0])
    plain = tape.tensor("plain", [3], [2.0, 2.0, 2.0], grad=False)
    scale = tape.op("mul", tape.at(2), w, w, why="NoGrad")
    scale = tape.op("mul", tape.at(2), scale, plain)
    kept = tape.op("detach", tape.at(3), tape.op("mul", tape.at(3), w, v), why="detached")
    left = tape.op("mul", tape.at(4), x, kept)
    y = tape.op("add", tape.at(4), left, tape.op("mul", tape.at(4), tape.op("relu", tape.at(4), u), scale))
    tape.op("mul", tape.at(5), v, x)
    tape.backward(tape.op("sum", tape.at(6), y, shape=[]))
    return tape.recording


def large():
    tape = Tape(["int main() {", "  backward(sum(square(x)));"])
    x = tape.tensor("\x1b[31mx\u202e", [32, 32], [0.01 * i for i in range(1024)])
    tape.backward(tape.op("sum", tape.at(2), tape.op("square", tape.at(2), x), shape=[]))
    return tape.recording


PROGRAMS = {"toy": toy, "without_lines": without_lines, "loop": loop, "nan": nan, "failed": failed,
            "cut": cut, "large": large}

if __name__ == "__main__":
    print("the program's own line")
    pathlib.Path(os.environ["REGRAD_TRACE"]).write_text(json.dumps(PROGRAMS[sys.argv[1]]()), encoding="utf-8")
    sys.exit(3 if sys.argv[1] == "failed" else 0)

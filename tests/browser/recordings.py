"""Recordings of small programs, and the pages that they make, for the tests of the trace page.

usage: recordings.py folder
"""
import importlib.util
import math
import pathlib
import random
import re
import sys

from recorded import Tape, encode, raw

TRACE = pathlib.Path(__file__).resolve().parents[2] / "autograd" / "trace"
SCRIPTS = re.findall(r"'(page\w*\.js)'", (TRACE / "meson.build").read_text())


def scalars():
    tape = Tape("scalars", """#include <regrad.h>

int main() {
  Tensor a = scalar(2), b = scalar(-3), c = scalar(10);
  Tensor e = a * b;
  Tensor d = e + c;
  Tensor f = tanh(d * 0.25);
  f.backward();
}""")
    with tape.call("main"):
        a, b, c, quarter = (tape.leaf([x], grad=x != 0.25) for x in (2.0, -3.0, 10.0, 0.25))
        d = tape.add(tape.mul(a, b, "e = a"), c, "d = e")
        f = tape.tanh(tape.mul(d, quarter, "f = tanh"), "f = tanh")
    tape.backward(f)
    return tape


def attention():
    tape = Tape("attention", """#include <regrad.h>

Tensor attend(const Tensor& w, const Tensor& b, const Tensor& h) {
  Tensor s = w * h + b;
  Tensor a = softmax(s, 0);
  return sum(a * h);
}

int main() {
  Tensor loss = my_square(attend(w, b, h) - target);
  loss.backward();
}""")
    w, b = tape.leaf([0.5], name="linear.weight"), tape.leaf([0.1], name="linear.bias")
    h, target = tape.leaf([1.0, 2.0, 4.0], [3], "h", dims=["time"]), tape.leaf([2.0], grad=False)
    with tape.call("main"):
        with tape.call("attend", "Tensor loss"):
            s = tape.add(tape.mul(w, h, "Tensor s"), b, "Tensor s")
            o = tape.sum(tape.mul(tape.softmax(s, "Tensor a ="), h, "return sum"), "return sum")
        loss = tape.square(tape.sub(o, target, "Tensor loss"), "Tensor loss")
    tape.backward(loss, {"softmax": ["mul", "sum", "sub", "mul"]})
    return tape


def loop(steps=12):
    tape = Tape("loop", """#include <regrad.h>

Tensor Cell::operator()(const Tensor& x, const Tensor& h) const {
  Tensor mixed = recurrent(h);
  return tanh(mixed + x);
}

Tensor Encoder::operator()(const std::vector<Tensor>& xs) const {
  Tensor h = zeros({1, 4});
  for (const Tensor& x : xs) {
    h = cell(x, h);
    sizes.push_back(sum(h.detach()));
  }
  return h;
}

void train(const Encoder& encoder) {
  Tensor loss = sum(encoder(batch));
  loss.backward();
}

int main() {
  train(encoder);
}""", ["--steps", "12"])
    rng = random.Random(1)
    w = tape.leaf([rng.uniform(-1, 1) for _ in range(16)], [4, 4], "encoder.cell.recurrent.weight")
    h = tape.leaf([0.0] * 4, [1, 4], grad=False)
    with tape.call("main"), tape.call("train", "  train(encoder)"):
        with tape.call("Encoder::operator()", "Tensor loss"):
            for _ in range(steps):
                x = tape.leaf([round(rng.uniform(-1, 1), 2) for _ in range(4)], [1, 4], grad=False)
                with tape.call("Cell::operator()", "h = cell"):
                    with tape.call("nn::Linear::operator()", "Tensor mixed"):
                        mixed = tape.matmul(h, w)
                    h = tape.tanh(tape.add(mixed, x, "return tanh"), "return tanh")
                tape.op("sum", [h], [math.fsum(h.data)], [], [], "sizes.push", "Σ x", ["x"], [],
                        "detached")
        loss = tape.sum(h, "Tensor loss")
    tape.backward(loss, {"matmul": ["transpose", "matmul", "transpose", "matmul"]})
    return tape


def failing():
    tape = Tape("failing", """#include <regrad.h>

int main() {
  Tensor x = ones({2, 3}), w = ones({3, 4});
  Tensor y = matmul(x, w);
  Tensor z = linear(y, weight);
  sum(z).backward();
}""")
    with tape.call("main"):
        x, w = tape.leaf([1.0] * 6, [2, 3], grad=False), tape.leaf([1.0] * 12, [3, 4], "w")
        tape.matmul(x, w, "Tensor y")
        tape.fail("linear", "linear: input [2, 4], weight [5, 3]: the last sizes must be the same; "
                  "weight was made at failing.cpp:4", "Tensor z")
    tape.notes = ["backward() did not run."]
    return tape


def planted_nan():
    tape = Tape("planted_nan", """#include <regrad.h>

int main() {
  Tensor p = tensor({1, 0, 2}), seen = tensor({1, 0, 1});
  Tensor q = p * scale;
  Tensor bits = log(q) * seen;
  sum(bits).backward();
}""")
    with tape.call("main"):
        p, seen = tape.leaf([1.0, 0.0, 2.0], [3], "p"), tape.leaf([1.0, 0.0, 1.0], [3], grad=False)
        scale = tape.leaf([0.5], name="scale")
        q = tape.mul(p, scale, "Tensor q")
        loss = tape.sum(tape.mul(tape.log(q, "Tensor bits"), seen, "Tensor bits"), "  sum(bits)")
    tape.backward(loss)
    return tape


def large():
    """Tensors too large to print, one of three dimensions, and names that try to be markup."""
    tape = Tape("large", """#include <regrad.h>

int main() {
  Tensor hidden = tanh(matmul(images, weight));  // </script><b>bold</b>
  { NoGrad guard; report(sum(noise)); }  // noise
  Tensor logits = matmul(hidden, head);
  Tensor loss = sum(mul(logits, reshape(spread, {64, 6})));
  loss.backward();
}""", ["</script><script>document.title='broken'</script>"])
    rng = random.Random(2)
    normal = lambda n, scale: [rng.gauss(0, scale) for _ in range(n)]
    images = tape.leaf(normal(64 * 48, 1), [64, 48], grad=False, dims=["batch", "pixel"])
    weight = tape.leaf(normal(48 * 40, 0.2), [48, 40], "<img src=x onerror=alert(1)>")
    head = tape.leaf(normal(40 * 6, 1e-5), [40, 6], "head.weight")
    noise = tape.leaf(normal(90 * 70, 1), [90, 70], grad=False)
    noise.data[700:720] = [math.nan] * 20
    noise.data[5000] = math.inf
    spread = tape.leaf([float(i) for i in range(24)], [2, 3, 4], "spread")
    with tape.call("main"):
        hidden = tape.tanh(tape.matmul(images, weight, "Tensor hidden"), "Tensor hidden")
        tape.op("sum", [noise], [math.nan], [], [], "// noise", "Σ x", ["x"], [], "NoGrad")
        logits = tape.matmul(hidden, head, "Tensor logits")
        parts = tape.sum(logits, "Tensor loss"), tape.sum(spread, "Tensor loss")
        loss = tape.add(*parts, "Tensor loss")
    tape.backward(loss)
    tape.notes = ["2 ops had no source line: compile with -g to see them."]
    return tape


def many(functions=50, lines=200):
    """10,000 ops, each on a line of its own."""
    source = "\n".join(f"  x = tanh(x * w);  // {i}." for i in range(1, lines + 1))
    tape = Tape("many", source)
    x = tape.leaf([0.5, -1.0, 2.0, 0.25], [4])
    w = tape.leaf([1.01, 0.99, 1.02, 0.98], [4], "w")
    with tape.call("main"):
        for f in range(functions):
            with tape.call(f"block_{f}", f"// {f + 1}."):
                for i in range(lines):
                    at = f"// {i + 1}."
                    x = tape.mul(x, w, at) if i % 2 else tape.tanh(x, at)
        loss = tape.sum(x, f"// {lines}.")
    tape.backward(loss)
    return tape


class Odd:
    """What the library may write, and the programs above do not give rise to."""

    def recording(self):
        made = attention().recording()
        whole = lambda *texts: {"v": [raw(text) for text in texts]}
        constant = {"op": -1, "grad": False, "gradient": None, "name": ""}
        first = len(made["tensors"])
        made["tensors"] += [
            {**constant, "shape": [2, 2], "dtype": "int64", "dims": ["batch", "time"],
             "value": whole("9007199254740993", "-0", "0", "12")},
            {**constant, "shape": [3], "dtype": "bool", "value": whole("true", "false", "true")},
            {**constant, "shape": [0, 4], "dtype": "float32", "value": whole()},
            {**constant, "shape": [5], "dtype": "float32",
             "value": whole("1e+20", "0.1", "16777216", "-1e-07", '"inf"')},
            {**constant, "shape": [100, 100], "dtype": "float32", "value": {
                "mean": raw("0.5"), "min": raw("-1"), "max": raw("1e+20"), "norm": raw("1e+20"),
                "nan": 3, "inf": 0}},
            {**constant, "shape": [], "dtype": "float32", "value": None}]
        made["frames"] += [{"f": f, "file": "", "line": 0} for f in ("main+91", "step+0x1f")]
        n = len(made["frames"])
        made["stacks"] += [[n - 2, n - 1], []]
        made["user"] += [1, -1]
        for i, stack in enumerate([-2, -2, -1]):
            made["ops"].append({
                "name": "gather", "stack": len(made["stacks"]) + stack,
                "output": first + 5 - (i < 1),
                "inputs": [first + i, -1, first + 3], "why": "NoGrad", "step": -1,
                "formula": "" if i else "a at index",
                "parameters": [] if i else ["a", "index", "b"],
                "derivatives": []})
        given = whole("1", "2", "3")
        made["backward"].append({
            "op": -1, "name": "linear", "gradient": whole("0.5", "1.5"), "ops": [],
            "gives": [{"input": 0, "tensor": 2, "addend": given, "sum": given, "nth": 3, "of": 3}]})
        for one in made["backward"]:
            for give in one["gives"]:
                give["of"] = 3 if give["tensor"] == 2 else give["of"]
        made.update(program="build/odd", numbers=False, complete=False, ended="interrupted",
                    notes=["Past 4 MB only statistics are kept."])
        return made


PROGRAMS = {"scalars": scalars, "attention": attention, "loop": loop, "failing": failing,
            "planted_nan": planted_nan, "large": large, "odd": Odd}


def page(recording):
    """The page as the library would write it."""
    spec = importlib.util.spec_from_file_location("embed", TRACE / "embed.py")
    embed = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(embed)
    first, second, *rest = embed.parts(TRACE / "page.html", TRACE / "page.css",
                                       [TRACE / name for name in SCRIPTS])
    title = recording["program"].replace("&", "&amp;").replace("<", "&lt;")
    data = encode(recording).replace("<", "\\u003c")
    return first + title + second + data + "".join(rest)


def write_pages(folder, programs):
    paths = []
    for name, program in programs.items():
        paths.append(pathlib.Path(folder) / f"{name}.html")
        paths[-1].write_text(page(program().recording()), "utf-8")
    return paths


if __name__ == "__main__":
    write_pages(sys.argv[1], {**PROGRAMS, "many": many})

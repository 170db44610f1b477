"""Every op has its formula and derivatives in ops/ops.h, where traces take them from.

For each call of record() and record_fused() in ops/, nn/ and optim/: the name has a formula, with as
many derivatives as the op has inputs, named as the parameters of its declaration.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "autograd/trace"))
import formulas  # noqa: E402

# Where a name comes as a variable, the calls that it comes from.
NAMES = {("ops/reduce.cpp", "op"): r'\bextreme\("(\w+)"',
         ("ops/pointwise.cpp", "f.name"): r'\bapply<[\w:]+>\("(\w+)"',
         ("ops/dispatch.h", "name"): None}  # record_fused() itself
FEWER = {"pow"}  # also recorded with a number, which is no input
NO_GRADIENT = {("detach", "x"), ("curvature", "s")}  # of the second, there is no third derivative


def arguments(text, at):
    """The arguments of a call whose parenthesis is at `at`; also of a braced list."""
    depth, begin, found = 0, at + 1, []
    for i in range(at, len(text)):
        depth += {"(": 1, "{": 1, "[": 1, ")": -1, "}": -1, "]": -1}.get(text[i], 0)
        if depth == 0 or (depth == 1 and text[i] == ","):
            found.append(text[begin:i].strip())
            begin = i + 1
        if depth == 0:
            return found
    raise ValueError("a parenthesis is not closed")


def inputs_of(text, argument):
    """How many inputs a call has; None where their number varies."""
    if argument.startswith("{"):
        return len(arguments(argument, 0))
    given = re.search(rf"\b{re.escape(argument)} = (?={{)", text)
    return len(arguments(text, given.end())) if given else None


def calls(path, text):
    """(name, number of inputs) of each call in a file."""
    for call in re.finditer(r"\brecord(_fused)?\(", text):
        given = arguments(text, call.end() - 1)
        if len(given) < 3 or given[0].startswith("const char"):
            continue  # named in a comment; record_fused() itself
        first, count = given[0], inputs_of(text, given[2])
        if (path, first) in NAMES:
            names = re.findall(NAMES[path, first], text) if NAMES[path, first] else []
        elif first.startswith('"'):
            names = [first.strip('"')]
        else:
            constant = re.search(rf'constexpr const char\* {re.escape(first)} = "(\w+)"', text)
            names = [constant.group(1) if constant else f"the value of {first}"]
        yield from ((name, count) for name in names)


def breaches(header, sources):
    table = formulas.read(header)
    for path, text in sources:
        for name, count in calls(path, text):
            if name not in table:
                yield f"{path}: {name} is recorded, but ops/ops.h has no 'y = ..; da = ..' for it"
                continue
            known = len(table[name].parameters)
            if count is not None and count != known and not (name in FEWER and count < known):
                yield f"{path}: {name} is recorded with {count} inputs, its formula has {known} derivatives"
    for name, one in table.items():
        for parameter, derivative in zip(one.parameters, one.derivatives):
            if not derivative and (name, parameter) not in NO_GRADIENT:
                yield f"{name}: no derivative for {parameter}"
    fields = set(re.findall(r"\w+", " ".join(re.findall(r"^  Tensor ([\w, ]+);", header, re.M))))
    for _, name, parameters, _ in formulas.DECLARATION.findall(header):
        named = set(re.findall(r"(\w+)(?: = [^,]*)?(?:,|$)", parameters))
        for parameter in table[name].parameters if name in table else []:
            if parameter not in fields | named:
                yield f"{name}: {parameter} is no parameter of its declaration"


HEADER = """
Tensor good(const Tensor& a, const Tensor& b);  // y = a b; da = g b, db = g a
// Above. y = a; da = g. And more.
Tensor above(const Tensor& a);
Tensor none(const Tensor& a);  // twice a
"""
SOURCE = """
  return record("good", f(a, {1, 2}), {{a, [](const Tensor& g) { return mul(g, b); }}, {b, h}});
  y = record("above", std::move(y), {{a, h}, {b, h}});
  return record("none", std::move(y), {{a, h}});
"""


def main():
    planted = list(breaches(HEADER, [("a.cpp", SOURCE)]))
    assert len(planted) == 2 and "above" in planted[0] and "none" in planted[1], planted
    header = formulas.catalogue(ROOT / "ops/ops.h")
    paths = [path for folder in ("ops", "nn", "optim") for path in sorted((ROOT / folder).glob("*"))
             if path.suffix in {".cpp", ".h"}]
    sources = [(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")) for path in paths]
    found = list(breaches(header, sources))
    count = len({name for path, text in sources for name, _ in calls(path, text)})
    print("\n".join(found))
    print(f"formulas: {len(found)} breaches, {count} recorded names")
    return 1 if found or count < 60 else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Writes trace_formulas.h: the formula of each op and its derivatives, for traces.

They are read from the comments of ops/ops.h and of the headers that it includes. The comment of an op has its formula in one sentence
    y = FORMULA; dP = DERIVATIVE, dQ = DERIVATIVE
with a derivative for each tensor that the op records as an input, in that order; "none" where there
is no gradient. The sentence ends with a full stop or with the comment, which stands on the lines of
the declaration or directly above. Usage: formulas.py ops.h trace_formulas.h
"""
import pathlib
import re
import sys

# Names that ops are recorded under and that are no function of the catalogue: members of Tensor, and
# parts of ops and of their derivatives.
RECORDED = """
clone(x)             y = x, a copy; dx = g
to(x)                y = x with another dtype or device; dx = g with x's
detach(x)            y = x outside the graph; dx = none
input(x)             y = x; dx = g
diagonal(x)          y = x where two of its indices are equal; dx = g on the diagonal, else 0
embed(x)             y = x in a slice or a diagonal, else 0; dx = g where x stands
index_add(x)         y = 0, row i of x added to its row index[i]; dx = g[index]
scatter_add(source)  y = 0, source[i][j] added at [index[i][j]][j]; dsource = g[index[i][j]][j]
conv2d_weight(x, u)  y = Σ u x over the images and places, each x that a tap multiplies for u; \
dx = u ∗ᵀ g, du = x ∗ g
slope(u, s)          y = u f', f'(x) of an elementwise f from s = x or f(x); du = g f', ds = g u df'/ds
curvature(u, s)      y = u df'/ds; du = g df'/ds, ds = g u d²f'/ds²
logistic_slope(u, logits, targets)  y = u (s - targets), s = σ(logits); du = g (s - targets), \
dlogits = g u s (1 - s), dtargets = -g u
"""

SENTENCE = re.compile(r"(?:^|(?<=[.] ))y = (.+?)(?:(?<![.])[.](?= |$)|$)")
DECLARATION = re.compile(r"^((?://(?! ---).*\n)*)"                      # the comment above
                         r"(?:std::vector<)?Tensor>? (\w+)\(([^;]*)\);"  # name, parameters
                         r"((?: *//.*\n)?(?:  +//.*\n)*)", re.M)        # the comment on its lines


class Formula:
    """text: y; parameters: of what it is recorded with; derivatives: one for each, "" for none."""

    def __init__(self, sentence):
        text, separator, rest = sentence.partition("; ")
        fields = re.split(r"(?:^|, )d(\w+) = ", rest)
        if not separator or fields[0] or len(fields) < 3 or ";" in rest:
            raise ValueError(f"a formula must be 'y = ..; da = .., db = ..', not 'y = {sentence}'")
        self.text, self.parameters = text, fields[1::2]
        self.derivatives = ["" if one == "none" else one for one in fields[2::2]]

    @staticmethod
    def of(comment):
        """That of a comment, or None."""
        found = SENTENCE.search(" ".join(re.sub("//", "", comment).split()))
        return Formula(found.group(1)) if found else None


def read(header):
    """The formulas of the catalogue by name, with those of RECORDED."""
    formulas = {}
    for above, name, _, own in DECLARATION.findall(header):
        formula = Formula.of(own) or Formula.of(above)
        if formula:
            formulas.setdefault(name, formula)
    for line in RECORDED.strip().split("\n"):
        name, _, comment = line.partition("(")
        formulas[name] = Formula.of(comment.partition(")")[2])
    return formulas


def catalogue(path):
    """The text of ops.h, after that of the headers of ops/ that it includes."""
    path = pathlib.Path(path)
    text = path.read_text(encoding="utf-8")
    parts = re.findall(r'^#include "(ops/[^"]+)"', text, re.M)
    return "".join((path.parents[1] / part).read_text(encoding="utf-8") for part in parts) + text


def literal(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def table(formulas):
    yield "// Written by autograd/trace/formulas.py from the comments of ops/ops.h."
    yield "#pragma once\n\nnamespace regrad {\n"
    yield "// An op by the name that it is recorded under. The last parameter stands for all inputs from"
    yield "// its own on (concat has one, parts)."
    yield "struct TraceFormula {"
    yield "  const char* name;"
    yield "  const char* formula;      // of the result"
    yield "  const char* parameters;   // separated by ','"
    yield "  const char* derivatives;  // one for each, separated by ';', empty where there is none"
    yield "};\n"
    yield "// Sorted by name."
    yield "inline constexpr TraceFormula trace_formulas[] = {"
    for name, one in sorted(formulas.items()):
        columns = [name, one.text, ",".join(one.parameters), ";".join(one.derivatives)]
        yield f"    {{{', '.join(map(literal, columns))}}},"
    yield "};\n\n}  // namespace regrad"


def main(source, target):
    formulas = read(catalogue(source))
    pathlib.Path(target).write_text("\n".join(table(formulas)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])

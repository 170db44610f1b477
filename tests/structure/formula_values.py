"""The derivatives in ops/ops.h are those of the formulas beside them: both are computed.

Reads the formulas of elementwise ops, reductions and normalisations as a small language: a b is a
product, Σ sums the rest of its product over all elements, "A where B, else C" chooses, ", s = .." and
"with s = .." name a part. Each derivative is compared with central differences of the formula.
"""
import math
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "autograd/trace"))
import formulas  # noqa: E402

# What is not written in that language: matrices, indices, views, words.
WORDS = set("""additive_scores binary_cross_entropy checkpoint clone concat conv2d conv2d_weight
conv_transpose2d cumsum curvature detach diagonal dropout embed embedding erf expand
flip gather gru_sequence gru_step index_add index_select linear lstm_sequence lstm_step masked_softmax
matmul max max_pool2d min nll_loss pad permute prod reshape scaled_dot_product_attention scatter_add slice slope
squared_distance squeeze sum to transpose unsqueeze""".split())
# Numbers and masks that are arguments of the op, not of its derivative.
OTHERS = {"n": 3, "correction": 1, "eps": 0.01, "beta": 0.7, "threshold": 0.9, "min": -0.5, "max": 0.8,
          "value": 2.5, "condition": [1, 0, 1], "mask": [0, 1, 0], "ε": 0.1, "classes": 3, "ignored": 0,
          "e": math.e, "slope": 0.1, "alpha": 1.3, "delta": 0.8, "p": 3}
POINTS = [[0.6, 1.7, 0.9], [2.1, 0.4, 1.2], [1.1, 0.3, 0.7]], [[-0.6, 1.2, 0.1], [0.4, -0.2, 0.3], [1, -1, 2]]
TOKEN = re.compile(r"\s*(\d+|[A-Za-zΑ-ω]\w*?(?=[²³]|\b)|\S)")


def each(function, *operands):
    """function on numbers, or on the elements of lists and numbers."""
    size = max((len(one) for one in operands if isinstance(one, list)), default=None)
    if size is None:
        return function(*operands)
    return [function(*(one[i] if isinstance(one, list) else one for one in operands)) for i in range(size)]


def mean(x):
    return sum(x) / len(x)


def normal(x):
    return (1 + math.erf(x / math.sqrt(2))) / 2


FUNCTIONS = {name: lambda x, f=f: each(f, x) for name, f in {
    "ln": math.log, "√": math.sqrt, "sin": math.sin, "cos": math.cos, "Φ": normal,
    "φ": lambda x: math.exp(-x * x / 2) / math.sqrt(2 * math.pi), "σ": lambda x: 1 / (1 + math.exp(-x)),
    "sign": lambda x: (x > 0) - (x < 0), "floor": math.floor, "round": round}.items()}
FUNCTIONS |= {"mean": mean, "var": lambda x: mean([(one - mean(x))**2 for one in x]),
              "softmax": lambda x: [math.exp(one) / sum(map(math.exp, x)) for one in x],
              "one_hot": lambda x: [0, 1, 0], "min": lambda *x: each(min, *x), "max": lambda *x: each(max, *x)}


class Reader:
    def __init__(self, text, values):
        self.tokens, self.at, self.values = TOKEN.findall(text), 0, values

    def peek(self):
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self, *wanted):
        if wanted and self.peek() not in wanted:
            return None
        self.at += 1
        return self.tokens[self.at - 1]

    def whole(self, is_condition=False):
        value = self.condition() if is_condition else self.sum()
        if self.peek():
            raise ValueError(f"'{self.peek()}' is not read in: {' '.join(self.tokens)}")
        return value

    def condition(self):
        value = self.comparison()
        while (word := self.take("and", "or")):
            other = self.comparison()
            value = each(lambda a, b, word=word: (a and b) if word == "and" else (a or b), value, other)
        return value

    def comparison(self):
        left, value = self.sum(), None
        while (sign := self.take("<", ">", "=", "≤")):
            right = self.sum()
            this = each({"<": float.__lt__, ">": float.__gt__, "=": float.__eq__, "≤": float.__le__}[sign],
                        each(float, left), each(float, right))
            value = this if value is None else each(lambda a, b: a and b, value, this)
            left = right
        return left if value is None else value

    def sum(self):
        value = each(lambda x: -x, self.product()) if self.take("-") else self.product()
        while (sign := self.take("+", "-")):
            value = each(lambda a, b, s=1 if sign == "+" else -1: a + s * b, value, self.product())
        return value

    def product(self):
        value = self.power()
        while True:
            if self.take("/"):
                value = each(lambda a, b: a / b, value, self.power())
            elif re.match(r"[A-Za-zΑ-ω0-9(√]", self.peek()) and self.peek() not in ("where", "and", "or"):
                value = each(lambda a, b: a * b, value, self.power())
            else:
                return value

    def power(self):
        value = self.atom()
        while (sign := self.take("^", "²", "³")):
            exponent = {"²": 2, "³": 3}.get(sign)
            if exponent is None:
                exponent = each(lambda x: -x, self.atom()) if self.take("-") else self.atom()
            value = each(lambda a, b: a**b, value, exponent)
        return value

    def atom(self):
        token = self.take()
        if token == "Σ":
            total = self.product()
            return sum(total) if isinstance(total, list) else total
        if token == "(":
            value = self.sum()
            assert self.take(")"), self.tokens
            return value
        if token == "|":
            value = each(abs, self.sum())
            assert self.take("|"), self.tokens
            return value
        if token in FUNCTIONS and (token in ("√", "ln") or self.peek() == "("):
            if not self.take("("):
                return FUNCTIONS[token](self.power())
            given = [self.sum()]
            while self.take(","):
                given.append(self.sum())
            assert self.take(")"), self.tokens
            return FUNCTIONS[token](*given)
        if re.match(r"\d", token):
            return float(token)
        return self.values[token]


def split(text):
    """At the commas that are in no parenthesis."""
    pieces = [""]
    for part in text.split(", "):
        pieces[-1] += part
        if pieces[-1].count("(") == pieces[-1].count(")"):
            pieces.append("")
        else:
            pieces[-1] += ", "
    return pieces[:-1]


def define(pieces, values):
    """Takes "s = .." from the end of the pieces, the last first: one may stand in those before it."""
    values = dict(values)
    while len(pieces) > 1 and re.match(r"\w+ = ", pieces[-1]):
        name, _, text = pieces.pop().partition(" = ")
        values[name] = Reader(text, values).whole()
    return values


def compute(text, values):
    """The value of a text, and `values` with what the text names."""
    pieces = split(text.replace(" with ", ", "))
    values = define(pieces, values)
    chosen, rest = [], 0.0
    for piece in pieces:
        value, _, condition = piece.removeprefix("else ").partition(" where ")
        value = Reader(value, values).whole()
        if condition:
            chosen.append((value, Reader(condition, values).whole(True)))
        else:
            rest = value
    for value, condition in reversed(chosen):
        rest = each(lambda c, a, b: a if c else b, condition, value, rest)
    return rest, values


def numeric(one, values, parameter, g):
    """Central differences: the sum over y's elements of g dy / d parameter[i]."""
    step, result = 1e-6, []
    for i in range(3):
        sides = []
        for sign in (1, -1):
            moved = list(values[parameter])
            moved[i] += sign * step
            y, _ = compute(one.text, values | {parameter: moved})
            sides.append(sum(each(lambda a, b: a * b, y, g)) if isinstance(y, list) else y * g)
        result.append((sides[0] - sides[1]) / (2 * step))
    return result


def differences(name, one, point):
    """(parameter, derivative by its text, by differences) where the two are not equal."""
    values = OTHERS | dict(zip(one.parameters, POINTS[point])) | (
        {"targets": [0, 1, 0]} if "targets" not in one.parameters else {})
    y, known = compute(one.text, values)
    g = [0.7, -1.3, 0.4] if isinstance(y, list) else 1.7
    for parameter, text in zip(one.parameters, one.derivatives):
        if " over " in text:
            continue  # a sum over rows, of which there is one here
        given, _ = compute(text, known | {"y": y, "g": g})
        given = given if isinstance(given, list) else [given] * 3
        expected = numeric(one, values, parameter, g)
        if any(abs(a - b) > 1e-6 * (1 + abs(b)) for a, b in zip(given, expected)):
            yield f"{name}: d{parameter} = {text} is {given}, by differences {expected}"


def check(table):
    """(what is wrong, how many formulas were computed)."""
    wrong, count = [], 0
    for name, one in sorted(table.items()):
        if name in WORDS:
            continue
        count += 1
        for point in range(2):
            try:
                wrong += differences(name, one, point)
            except (ValueError, TypeError) as error:  # a logarithm of what is below 0
                if point == 0:
                    raise ValueError(f"{name}: {error}") from error
    return wrong, count


def main():
    planted = {"good": formulas.Formula("a² b; da = 2 g a b, db = g a²"),
               "bad": formulas.Formula("a² b; da = 2 g a b, db = g a"),
               "worse": formulas.Formula("a where a < b, else b; da = g, db = g where b < a, else 0")}
    assert [one.split(":")[0] for one in check(planted)[0]] == ["bad"] * 2 + ["worse"] * 2, check(planted)
    wrong, count = check(formulas.read(formulas.catalogue(ROOT / "ops/ops.h")))
    print("\n".join(wrong))
    print(f"formula_values: {len(wrong)} derivatives of {count} formulas are not theirs")
    return 1 if wrong or count < 35 else 0


if __name__ == "__main__":
    sys.exit(main())

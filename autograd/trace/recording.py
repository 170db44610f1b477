"""A recording of REGRAD_TRACE=out.json, and its parts as lines of text at most 80 columns wide."""
import math
import re
import textwrap
import unicodedata

WIDTH = 80
FUNCTIONS = {"sin", "cos", "sign", "max", "min", "softmax", "where", "else"}  # of formulas
NONE = {"NoGrad": "it was computed under NoGrad",
        "detached": "detach() takes it out of the graph",
        "no input requires a gradient": "none of its inputs requires a gradient"}


def printable(text):
    """With what a terminal would act on, escaped: control characters, bidirectional controls."""
    def escape(c):
        code = ord(c)
        return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
    acted_on = ("Cc", "Cf", "Zl", "Zp", "Cs")
    return "".join(escape(c) if unicodedata.category(c) in acted_on else c for c in text)


def short_function(name):
    """Without its parameters: "Cell::operator()(const Tensor&)" is Cell::operator()."""
    operator, rest = re.match(r"(.*?\boperator\(\))?(.*)", name, re.S).groups()
    return printable(operator or rest.split("(")[0])


def number(x):
    return x if isinstance(x, str) else str(x).lower() if isinstance(x, bool) else f"{x:.4g}"


def count(things, word):
    return f"{len(things)} {word}" + ("" if len(things) == 1 else "s")


def nested(numbers, shape):
    if len(shape) <= 1:
        return " ".join(map(number, numbers)) if not shape else "[" + " ".join(map(number, numbers)) + "]"
    size = len(numbers) // max(shape[0], 1)
    rows = (nested(numbers[i * size:(i + 1) * size], shape[1:]) for i in range(shape[0]))
    return "[" + " ".join(rows) + "]"


def statistics(value):
    """mean, min, max, norm and what is not finite, in words."""
    if "v" in value:
        finite, nans = [float(x) for x in value["v"] if not isinstance(x, str)], value["v"].count("nan")
        value = {"mean": sum(finite) / max(len(finite), 1), "min": min(finite, default=0.0),
                 "max": max(finite, default=0.0), "norm": math.hypot(*finite),
                 "nan": nans, "inf": len(value["v"]) - len(finite) - nans}
    text = ", ".join(f"{name} {number(value[name])}" for name in ("mean", "min", "max", "norm"))
    return text + "".join(f", {value[name]} {word}" for name, word in (("nan", "NaN"), ("inf", "infinite"))
                          if value[name])


def is_nan(value):
    return bool(value) and ("nan" in value["v"] if "v" in value else value["nan"] > 0)


def is_infinite(value):
    if not value:
        return False
    return "inf" in value["v"] or "-inf" in value["v"] if "v" in value else value["inf"] > 0


def is_zero(value):
    if "v" in value:
        return all(x == 0 for x in value["v"])
    return value["norm"] == value["nan"] == value["inf"] == 0


def value_lines(value, shape, width):
    """All elements where they fit into a line, else the first and the statistics."""
    if value is None:
        return ["-"]
    if "v" in value:
        whole = nested(value["v"], shape)
        if len(whole) <= width:
            return [whole]
    text = "["
    for one in value.get("v", value.get("first", [])):
        if len(text) + len(number(one)) + 3 > width:
            break
        text += number(one) + " "
    return ([text + ".."] if len(text) > 1 else []) + textwrap.wrap(statistics(value), width)


def few(value, shape):
    """The numbers for a formula; None where they are too many."""
    return nested(value["v"], shape) if value and "v" in value and len(value["v"]) <= 4 else None


def all_elements(value, shape):
    if "v" not in value:
        return value_lines(value, shape, WIDTH - 2)[:1] + ["the recording holds no more of it"]
    columns = shape[-1] if shape else 1
    rows = [value["v"][i:i + columns] for i in range(0, len(value["v"]), max(columns, 1))]
    width = max((len(number(x)) for row in rows for x in row), default=0)
    lines = [" ".join(number(x).rjust(width) for x in row) for row in rows]
    return [part for line in lines for part in textwrap.wrap(line, WIDTH - 2, drop_whitespace=False) or [""]]


def name_in_formula(name):
    return rf"(?<![\w'.]){re.escape(name)}(?![A-Za-z0-9_'\[])"


def substituted(formula, values):
    """The formula with numbers in place of names; "" where that says nothing new."""
    words = set(re.findall(r"[A-Za-z]{3,}", formula)) - set(values) - FUNCTIONS
    if words or formula in values:
        return ""
    for name in values:
        formula = re.sub(name_in_formula(name), f"\0{name}\0", formula)
    if "\0" not in formula:
        return ""
    formula = re.sub("(?<=\0) (?=\0)|(?<=[\\d)]) (?=\0)|(?<=\0) (?=[\\d(√])", " × ", formula)

    def text(match):
        one = values[match.group(1)]
        return f"({one})" if one.startswith("-") else one
    return re.sub("\0(\\w+)\0", text, formula)


class Recording:
    """Its ops, then the op that failed, then the steps of the backward pass are its events, from 1."""

    def __init__(self, data):
        self.data = data
        self.ops, self.tensors, self.backward = data["ops"], data["tensors"], data["backward"]
        self.events = [("op", i) for i in range(len(self.ops))]
        self.events += [("failed", 0)] if data["failed"] else []
        self.events += [("step", i) for i in range(len(self.backward))]
        self.uses, self.gives = {}, {}
        for i, op in enumerate(self.ops):
            for one in dict.fromkeys(op["inputs"]):
                self.uses.setdefault(one, []).append(i)
        for i, step in enumerate(self.backward):
            for give in step["gives"]:
                self.gives.setdefault(give["tensor"], []).append((i, give))

    def called(self, tensor):
        one = self.tensors[tensor]
        if one["name"]:
            return printable(one["name"])
        return self.op_called(one["op"]) if one["op"] >= 0 else f"tensor#{tensor + 1}"

    def op_called(self, op):
        return f"{printable(self.ops[op]['name'])}#{op + 1}"

    def shaped(self, tensor):
        one = self.tensors[tensor]
        dims = [printable(dim) + " " if dim else "" for dim in one.get("dims") or []]
        dims += [""] * (len(one["shape"]) - len(dims))
        sizes = [f"{dim}{n}" for dim, n in zip(dims, one["shape"])]
        return f"{self.called(tensor)} [{', '.join(sizes)}]"

    def frames(self, stack):
        return [self.data["frames"][i] for i in self.data["stacks"][stack]] if stack >= 0 else []

    def user_frame(self, stack):
        """The innermost frame of the user's own code, or None."""
        index = self.data["user"][stack] if stack >= 0 else -1
        return self.frames(stack)[index] if index >= 0 else None

    def place(self, stack):
        frame = self.user_frame(stack)
        return f"{printable(frame['file'])}:{frame['line']}" if frame and frame["line"] else ""

    def stack_of(self, event):
        kind, i = event
        op = i if kind == "op" else self.backward[i]["op"] if kind == "step" else -1
        return self.data["failed"]["stack"] if kind == "failed" else self.ops[op]["stack"] if op >= 0 else -1

    def op_of(self, event):
        """The index of the op of an event, -1: it was not recorded."""
        kind, i = event
        return i if kind == "op" else self.backward[i]["op"] if kind == "step" else -1

    def title(self, index):
        kind, i = self.events[index]
        op = self.op_of(self.events[index])
        name = (printable(self.ops[op]["name"]) if kind == "op" else
                printable(self.data["failed"]["name"]) + " failed" if kind == "failed" else
                (self.op_called(op) if op >= 0 else printable(self.backward[i]["name"])) + ", back")
        stack = self.stack_of(self.events[index])
        place, frame = self.place(stack), self.user_frame(stack)
        if frame and short_function(frame["f"]) != "main":
            place = f"{short_function(frame['f'])}  {place}".rstrip()[-WIDTH // 2:]
        left = f"{index + 1:>3}  {name}"
        return (left + place.rjust(max(WIDTH - len(left), len(place) + 2))).rstrip()

    def row(self, label, what, value, shape, after=""):
        """A line of a card: what it is, then its numbers."""
        left = f"     {label:<7} {what:<20} "
        left += " " if len(left) > 34 else ""
        lines = value_lines(value, shape, WIDTH - 36 if len(left) <= 34 else WIDTH - len(left) - 1)
        if len(left) > 46:
            left, lines = left.rstrip() + "\n" + " " * 34, value_lines(value, shape, WIDTH - 36)
        lines[-1] += after if len(lines[-1]) + len(after) <= WIDTH - 34 else ""
        pad = "\n" + " " * len(left.split("\n")[-1])
        text = (left + pad.join(lines)).split("\n")
        return text + ([" " * 34 + after.strip()] if after and not lines[-1].endswith(after) else [])

    def small(self, tensor):
        return few(self.tensors[tensor]["value"], self.tensors[tensor]["shape"])

    def parameters(self, op):
        """(name, tensor) of each input: the last parameter stands for all inputs from its own on."""
        names = [printable(one) for one in op["parameters"]] or ["in"]
        return [(names[min(i, len(names) - 1)], tensor) for i, tensor in enumerate(op["inputs"])]

    def with_numbers(self, formula, op, g=None):
        values = {name: self.small(tensor) for name, tensor in self.parameters(op) if tensor >= 0}
        values["y"] = self.small(op["output"])
        values["g"] = few(g, self.tensors[op["output"]]["shape"])
        used = {name: one for name, one in values.items() if re.search(name_in_formula(name), formula)}
        return substituted(formula, used) if all(used.values()) else ""

    def formula_lines(self, left, formula, numbers=""):
        lines = textwrap.wrap(f"{left} = {printable(formula)}", WIDTH - 5, subsequent_indent="    ")
        if numbers and len(left) + len(numbers) + 8 <= WIDTH:
            lines.append(" " * len(left) + f" = {numbers}")
        return ["     " + line for line in lines]

    def card(self, index):
        kind, i = self.events[index]
        lines = [self.title(index)]
        if kind == "failed":
            text = textwrap.wrap(printable(self.data["failed"]["text"]), WIDTH - 5)
            return lines + ["     " + line for line in text]
        return lines + (self.op_card(self.ops[i]) if kind == "op" else self.step_card(self.backward[i]))

    def op_card(self, op):
        lines = []
        if op["formula"]:
            lines = self.formula_lines("y", op["formula"], self.with_numbers(op["formula"], op))
        for name, tensor in self.parameters(op):
            if tensor >= 0:
                one = self.tensors[tensor]
                lines += self.row(name, self.shaped(tensor), one["value"], one["shape"])
        one = self.tensors[op["output"]]
        lines += self.row("y", self.shaped(op["output"]), one["value"], one["shape"])
        if op["why"]:
            why = NONE.get(op["why"], printable(op["why"]))
            lines.append(f"     No gradient goes back through it: {why}.")
        return lines

    def step_card(self, step):
        op = self.ops[step["op"]] if step["op"] >= 0 else None
        lines = self.formula_lines("y", op["formula"]) if op and op["formula"] else []
        if op:
            y = op["output"]
            lines += self.row("g", self.shaped(y), step["gradient"], self.tensors[y]["shape"])
        else:
            lines.append("     Its op ran before the recording began.")
        for give in step["gives"]:
            shape, at = self.tensors[give["tensor"]]["shape"], give["input"]
            name, derivatives = f"input {at + 1}", op["derivatives"] if op else []
            if op and op["parameters"]:
                name = "d" + self.parameters(op)[at][0]
                text = derivatives[min(at, len(derivatives) - 1)] if derivatives else ""
                numbers = self.with_numbers(text, op, step["gradient"])
                lines += self.formula_lines(name, text, numbers) if text else []
            lines += self.row("gives", self.shaped(give["tensor"]), give["addend"], shape)
            if give["of"] > 1:
                left = give["of"] - give["nth"]
                lines += self.row("", "sum so far", give["sum"], shape,
                                  f"   waits for {left} more" if left else "   complete")
        return lines

    def head(self):
        data = self.data
        called = " ".join(printable(one) for one in [data["program"], *data["arguments"]])
        lines = [f"{called}: {count(self.ops, 'op')}" + (
            f", then backward() number {data['step']} in {count(self.backward, 'step')}" if data["step"] else
            "; no backward() ran")]
        if not data["complete"] and data["ended"]:
            lines += textwrap.wrap(f"It is not complete: {printable(data['ended'])}", WIDTH)
        notes = [textwrap.wrap(f"Note: {printable(note)}", WIDTH) for note in data["notes"]]
        return lines + [line for note in notes for line in note]

    def tape(self):
        """The whole recording."""
        lines = self.head()
        for index, (kind, i) in enumerate(self.events):
            if index == 0 or kind != self.events[index - 1][0]:
                lines += ["", {"op": "forward", "failed": "the op that failed", "step": "backward"}[kind]]
            lines += self.card(index)
        return lines

"""The prompt of step.py: a walk through a recording."""
import cmd
import textwrap

from recording import (WIDTH, all_elements, count, is_infinite, is_nan, is_zero, printable, short_function,
                       statistics, value_lines)

HELP = """\
next         the next step: each op of the forward, then the backward pass. Enter repeats it
back         the step before
print [WHAT] this step, or all numbers of a tensor: x, y, g, dx of this step, or its name
why [WHAT]   why a gradient is what it is: who gave to it; or why it is zero or absent
until NAME   goes on to an op, a tensor or a function of that name
nan          the first step with a NaN
list         the steps around here, folded by who called them
where        who called this, and the source
goto N       step number N
quit         ends this"""
LETTERS = {"n": "next", "b": "back", "p": "print", "w": "why", "u": "until", "l": "list", "g": "goto",
           "h": "help", "?": "help", "q": "quit", "EOF": "quit"}


class Stepper(cmd.Cmd):
    def __init__(self, recording, **streams):
        super().__init__(**streams)
        self.recording, self.at = recording, 0
        self.update()

    def say(self, lines):
        for line in [lines] if isinstance(lines, str) else lines:
            wrap = not line.startswith(" ") and len(line) > WIDTH
            print(textwrap.fill(line, WIDTH) if wrap else line, file=self.stdout)

    def update(self):
        self.prompt = f"({self.at + 1} of {len(self.recording.events)}) "

    def show(self, index):
        self.at = index
        self.update()
        self.say(self.recording.card(index))

    def preloop(self):
        self.say(self.recording.head() + ["help lists the commands.", ""] + self.recording.card(0))

    def onecmd(self, line):
        word, _, rest = line.strip().partition(" ")
        return super().onecmd(f"{LETTERS.get(word, word)} {rest}".strip() if word else "")

    def emptyline(self):
        return self.do_next("")

    def default(self, line):
        self.say(f"There is no command {printable(line.split()[0])}; help lists them.")

    def do_help(self, _):
        self.say(HELP.split("\n"))

    def do_quit(self, _):
        return True

    def do_next(self, _):
        if self.at + 1 < len(self.recording.events):
            self.show(self.at + 1)
        else:
            self.say("This is the last step; back and goto N go to others.")

    def do_back(self, _):
        self.show(self.at - 1) if self.at > 0 else self.say("This is the first step.")

    def do_goto(self, text):
        last = len(self.recording.events)
        if text.isdecimal() and 1 <= int(text) <= last:
            self.show(int(text) - 1)
        else:
            self.say(f"goto takes the number of a step, from 1 to {last}.")

    def names_of(self, index):
        """What `until` finds an event by."""
        event = self.recording.events[index]
        op = self.recording.op_of(event)
        if op < 0:
            return [self.recording.title(index).split()[1]]
        one = self.recording.ops[op]
        tensors = [one["output"]] + [tensor for tensor in one["inputs"] if tensor >= 0]
        frames = [short_function(frame["f"]) for frame in self.recording.frames(one["stack"])]
        parts = [part for frame in frames for part in frame.split("::")]
        return [one["name"], self.recording.op_called(op), *map(self.recording.called, tensors), *frames, *parts]

    def do_until(self, name):
        if not name:
            return self.say("until takes the name of an op, a tensor or a function.")
        for index in range(self.at + 1, len(self.recording.events)):
            if name in self.names_of(index):
                return self.show(index)
        self.say(f"No step after this one has to do with {printable(name)}.")

    def values_of(self, index):
        kind, i = self.recording.events[index]
        if kind == "op":
            return [self.recording.tensors[self.recording.ops[i]["output"]]["value"]]
        if kind == "failed":
            return []
        step = self.recording.backward[i]
        return [step["gradient"]] + [give["addend"] for give in step["gives"]]

    def do_nan(self, _):
        for what, found in (("NaN", is_nan), ("infinity", is_infinite)):
            for index in range(len(self.recording.events)):
                if any(map(found, self.values_of(index))):
                    return self.show(index)
            self.say(f"There is no {what} in any step.")

    def find(self, name):
        """(title, value, shape, tensor) of what a name stands for at this step."""
        recording = self.recording
        kind, i = recording.events[self.at]
        op = recording.ops[recording.op_of((kind, i))] if recording.op_of((kind, i)) >= 0 else None
        of_inputs = recording.parameters(op) if op else []
        if kind == "step":
            for give in recording.backward[i]["gives"]:
                if of_inputs and name == "d" + of_inputs[give["input"]][0]:
                    return name, give["addend"], recording.tensors[give["tensor"]]["shape"], give["tensor"]
            if op and name == "g":
                shape = recording.tensors[op["output"]]["shape"]
                return "g", recording.backward[i]["gradient"], shape, op["output"]
        for parameter, tensor in of_inputs + ([("y", op["output"])] if op else []):
            if name == parameter and tensor >= 0:
                one = recording.tensors[tensor]
                return recording.shaped(tensor), one["value"], one["shape"], tensor
        for tensor, one in enumerate(recording.tensors):
            if name in (one["name"], recording.called(tensor)):
                return recording.shaped(tensor), one["value"], one["shape"], tensor
        return None

    def do_print(self, name):
        if not name:
            return self.say(self.recording.card(self.at))
        found = self.find(name)
        if not found:
            return self.say(f"Nothing here is called {printable(name)}; print shows the names of this step.")
        title, value, shape, _ = found
        self.say([title, *("  " + line for line in all_elements(value, shape)), "  " + statistics(value)])

    def do_why(self, name):
        recording = self.recording
        op = recording.op_of(recording.events[self.at])
        found = self.find(name) if name else None
        if name and not found or not name and op < 0:
            missing = printable(name) or "y"
            return self.say(f"Nothing here is called {missing}; why NAME takes a tensor's name.")
        tensor = found[3] if found else recording.ops[op]["output"]
        one, gives = recording.tensors[tensor], recording.gives.get(tensor, [])
        value = gives[-1][1]["sum"] if gives else one["gradient"]
        if value is None:
            return self.say([f"{recording.shaped(tensor)} has no gradient."] + self.reasons_for_none(tensor))
        self.say(f"gradient of {recording.shaped(tensor)}")
        for step, give in gives:
            by = recording.backward[step]
            left = recording.op_called(by["op"]) if by["op"] >= 0 else printable(by["name"])
            place = recording.place(recording.ops[by["op"]]["stack"]) if by["op"] >= 0 else ""
            self.row(f"from {left}", place, give["addend"], one["shape"])
        self.row("sum" if gives else "it begins here", "", value, one["shape"])
        if is_zero(value):
            self.say(self.reasons_for_zero(gives))

    def row(self, left, place, value, shape):
        lines = value_lines(value, shape, WIDTH - 44)
        self.say([f"  {left:<24} {place:<16} " + lines[0]] + [" " * 44 + line for line in lines[1:]])

    def reasons_for_none(self, tensor):
        recording, one = self.recording, self.recording.tensors[tensor]
        made = recording.ops[one["op"]] if one["op"] >= 0 else None
        if made and made["why"]:
            why = {"NoGrad": "was computed under NoGrad",
                   "detached": "is outside the graph: detach() left it"}.get(
                made["why"], f"has no node: {printable(made['why'])}")
            place = recording.place(made["stack"])
            return [f"It {why}{f' ({place})' if place else ''}."]
        if not one["grad"]:
            return ["It requires none; set_requires_grad(true) before the forward asks for one."]
        if not recording.data["complete"]:
            return ["The backward pass had not reached it when the program ended."]
        uses = recording.uses.get(tensor, [])
        return [self.use_without_gradient(use) for use in uses] or ["No op of this forward uses it."]

    def use_without_gradient(self, use):
        op, called = self.recording.ops[use], self.recording.op_called(use)
        place = self.recording.place(op["stack"])
        left = f"{called}{f' ({place})' if place else ''} uses it, "
        if op["why"]:
            why = {"detached": "which takes it out of the graph", "NoGrad": "but under NoGrad"}.get(
                op["why"], f"but has no node: {printable(op['why'])}")
            return f"{left}{why}."
        if self.recording.tensors[op["output"]]["gradient"] is None:
            return f"{left}but no gradient reaches its result: why {called}."
        return f"{left}but gave it nothing."

    def reasons_for_zero(self, gives):
        lines = []
        for step, give in gives:
            by = self.recording.backward[step]
            op = self.recording.ops[by["op"]] if by["op"] >= 0 else None
            named = self.recording.op_called(by["op"]) if op else printable(by["name"])
            derivatives = op["derivatives"] if op else []
            formula = derivatives[min(give["input"], len(derivatives) - 1)] if derivatives else ""
            if is_zero(by["gradient"]):
                lines.append(f"{named} gives 0 since the gradient that comes in is 0: why {named}.")
            elif is_zero(give["addend"]):
                lines.append(f"{named} makes it 0: the derivative is {printable(formula) or 'not known'}.")
        return lines or ["The contributions cancel each other."]

    def do_where(self, _):
        recording = self.recording
        stack = recording.stack_of(recording.events[self.at])
        if stack < 0 or not recording.frames(stack):
            return self.say("Who called this was not recorded.")
        for frame in recording.frames(stack):
            place = f"{printable(frame['file'])}:{frame['line']}" if frame["line"] else ""
            self.say(f"  {short_function(frame['f']):<40} {place}".rstrip())
        user = recording.user_frame(stack)
        lines = recording.data["sources"].get(user["file"], {}) if user else {}
        if not user or not user["line"]:
            return self.say("There are no source lines: compile the program with -g.")
        around = [n for n in range(user["line"] - 3, user["line"] + 4) if str(n) in lines]
        self.say("")
        for n in around:
            self.say(f"{'>' if n == user['line'] else ' '} {n:>5}  {printable(lines[str(n)])}"[:WIDTH])

    def do_list(self, _):
        recording, (kind, _) = self.recording, self.recording.events[self.at]
        here = recording.op_of(recording.events[self.at])
        self.say(self.folded(range(len(recording.ops)), 0, here))
        if kind == "failed":
            failed = recording.data["failed"]
            name = printable(failed["name"]) + " failed"
            self.say(f"> {self.at + 1:>4}  {name:<16} {recording.place(failed['stack'])}".rstrip())
        elif kind == "step":
            self.say("The backward pass goes up this list.")

    def folded(self, ops, depth, here):
        """Consecutive ops of one caller as one line, but for the caller that `here` is under."""
        groups = []
        for op in ops:
            frames = self.recording.frames(self.recording.ops[op]["stack"])
            callee = len(frames) > depth + 1 and (frames[depth]["line"], frames[depth + 1]["f"])
            if groups and callee and groups[-1][0] == callee:
                groups[-1][1].append(op)
            else:
                groups.append((callee, [op]))
        center = next((i for i, (_, group) in enumerate(groups) if here in group), len(groups) - 1)
        first, last, left = max(center - 10, 0), center + 11, "  " * (depth + 1)
        lines = [f"{left}.. {first} before"] if first else []
        for callee, group in groups[first:last]:
            if callee:
                lines += self.fold(callee[1], group, depth, here)
            else:
                op = self.recording.ops[group[0]]
                mark = "> " if group[0] == here else "  "
                lines.append(f"{mark}{left[2:]}{group[0] + 1:>4}  {printable(op['name']):<16} "
                             f"{self.recording.place(op['stack'])}".rstrip())
        return lines + ([f"{left}.. {len(groups) - last} more"] if len(groups) > last else [])

    def fold(self, function, group, depth, here):
        """The line of a caller; open, of calls that are alike only the one with `here`."""
        period, times = self.period(group), ""
        if period < len(group):
            times = f", called {len(group) // period} times"
        lines = [f"{'  ' * (depth + 1)}{short_function(function)}: {count(group, 'op')}{times}"]
        if here in group:
            at = group.index(here) // period
            lines[0] += f"; call {at + 1}:" if times else ""
            lines += self.folded(group[at * period:(at + 1) * period], depth + 1, here)
        return lines

    def period(self, group):
        """After how many ops the group repeats itself; all, where it does not."""
        sites = [(self.recording.ops[op]["stack"], self.recording.ops[op]["name"]) for op in group]
        size = len(sites)
        return next(p for p in range(1, size + 1) if size % p == 0 and sites[p:] == sites[:size - p])

"""The declarations of a C++ file, for the tests that look at them: comments, braces and names are
read, types are not."""
import re

TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|'
                   r"(?<!\w)'(?:\\.|[^'\\\n])*'|^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.S | re.M)
LABEL = re.compile(r"\s*(public|protected|private)\s*:(?!:)")
SKIPPED = re.compile(r"^(using|typedef|friend|static_assert|return|concept|enum|extern|template)\b")


def plain(statement):
    """A declaration without its template head and attributes, on one line."""
    text = re.sub(r"\[\[.*?\]\]", "", " ".join(statement.split())).strip()
    while re.match(r"template\s*<", text):
        depth = 0
        for end, c in enumerate(text):
            depth += {"<": 1, ">": -1}.get(c, 0)
            if c == ">" and depth == 0:
                break
        text = text[end + 1:].strip()
        if text.startswith("requires"):  # up to where a type or name follows the clause
            clause = re.match(r"requires\s*(?:!?\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)|[\w:]+<[^<>]*>)"
                              r"(?:\s*(?:&&|\|\|)\s*!?\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\))*", text)
            text = text[clause.end():].strip()
    return text


def is_function(text):
    if SKIPPED.match(text):
        return False
    if "operator" in text:
        return True
    outside, before = None, text
    while outside != before:  # without templates' arguments: std::function<void(int)> member
        outside, before = before, re.sub(r"<[^<>]*>", "", before)
    return "(" in outside and "=" not in outside.split("(")[0]


def name_and_parameters(text):
    match = re.search(r"(operator\W+?|[\w~]+)\s*\(", text)
    return (match.group(1), text[match.end():text.rfind(")")]) if match else (None, "")


class Declaration:
    def __init__(self, source, begin, at, stop, public):
        code = source.code
        start = begin + len(code[begin:at]) - len(code[begin:at].lstrip())
        self.text = plain(code[begin:at])
        self.body = (at + 1, stop) if code[at] == "{" else None
        self.first, self.head_end, self.last = (source.line(i) for i in (start, at, stop))
        self.public = public
        self.is_namespace = bool(self.body and re.match(r"(inline )?namespace\b|extern\b", self.text))
        self.is_class = bool(self.body and re.match(r"(class|struct|union)\b", self.text))
        self.is_function = not (self.is_namespace or self.is_class) and is_function(self.text)
        self.name, self.parameters = name_and_parameters(self.text)
        if self.is_class:
            head = re.sub(r"\bfinal\b|<.*>", "", self.text.split(" : ")[0]).split()
            self.name = head[-1] if len(head) > 1 else ""


class Source:
    """A file: its lines, its code with blanks for comments and strings, and where comments are."""

    def __init__(self, text):
        self.lines = text.split("\n")
        self.commented, self.alone = set(), set()

        def blank(match):
            if match.group().startswith(("//", "/*")):
                first = text.count("\n", 0, match.start()) + 1
                self.commented.update(range(first, first + match.group().count("\n") + 1))
            return re.sub(r"[^\n]", " ", match.group())

        self.code = TOKEN.sub(blank, text)
        for number, line in enumerate(self.code.split("\n"), 1):
            if number in self.commented and not line.strip():
                self.alone.add(number)

    def line(self, at):
        return self.code.count("\n", 0, at) + 1

    def closing(self, at):
        """The position of the brace that closes the one at `at`."""
        depth = 0
        for i in range(at, len(self.code)):
            depth += {"{": 1, "}": -1}.get(self.code[i], 0)
            if depth == 0:
                return i
        raise ValueError(f"line {self.line(at)}: a brace is not closed")

    def declarations(self, span=None, public=True):
        """What is declared in a span, not what is in the bodies of that."""
        at, end = span or (0, len(self.code))
        begin, depth = at, 0
        while at < end:
            c = self.code[at]
            label = LABEL.match(self.code, at) if not self.code[begin:at].strip() else None
            if label:
                public = label.group(1) == "public"
                at = begin = label.end()
                continue
            depth += {"(": 1, ")": -1}.get(c, 0)
            if depth > 0 or c not in ";{":
                at += 1
                continue
            if c == "{" and self.is_value(plain(self.code[begin:at])):
                at = self.closing(at) + 1
                continue
            stop = self.closing(at) if c == "{" else at
            semicolon = re.compile(r"\s*;").match(self.code, stop + 1, end) if c == "{" else None
            stop = semicolon.end() - 1 if semicolon else stop
            if self.code[begin:at].strip():
                yield Declaration(self, begin, at, stop, public)
            at = begin = stop + 1

    @staticmethod
    def is_value(text):
        """Whether a brace after this text begins a value, not a body."""
        if re.search(r"\)\s*(noexcept\s*)?:[^:]", text):  # of a base or member, in a constructor
            return bool(re.search(r"[\w>,]$", text)) and not text.endswith("noexcept")
        if re.match(r"(inline )?(namespace|class|struct|union|enum|extern)\b", text):
            return False
        return "(" not in text or text.endswith(("=", "return"))

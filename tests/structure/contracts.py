"""Every public function says in its header what it does: formula, shapes, errors.

Reads the headers that regrad.h brings in and those of nn/ and optim/, and prints each declaration
without a comment. A comment is on the declaration's own lines, on the lines directly above, or, set
in deeper, directly below. One above also holds for those that follow without a blank line and are
alike, that is have the same name or the same parameters, until one that has a comment of its own. A
heading (// ---) is no contract.
Under a struct that has a comment, operators, visit(), and what is defaulted need none; what is
deleted, private, or in a namespace detail never does.
"""
import pathlib
import re
import sys

from cpp import Source

ROOT = pathlib.Path(__file__).resolve().parents[2]
SAMPLE, LACKING = """
// A comment above, which the next one shares.
int a(int x);
int shares(int y);
int lacks(float x);
int b(int x);  // a comment of its own
int lacks_too(int x);
// --- a heading
int lacks_as_well(int x);
// A struct.
struct S {
  S() = default;
  bool operator==(const S&) const;
  int lacks_in_struct() const;
 private:
  int hidden();
};
""", ["lacks", "lacks_too", "lacks_as_well", "lacks_in_struct"]


def headers():
    """What regrad.h includes, and what that includes; and the other headers of nn and optim."""
    found, waiting = set(), ["regrad.h"]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += re.findall(r'^#include "([^"]+)"', (ROOT / path).read_text(), re.M)
    found.update(path.relative_to(ROOT).as_posix() for folder in ("nn", "optim")
                 for path in (ROOT / folder).glob("*.h"))
    return sorted(found - {"regrad.h"})


def indent(source, line):
    return len(source.lines[line - 1]) - len(source.lines[line - 1].lstrip())


def is_headed(source, first):
    """Whether a comment stands directly above, at the same depth."""
    above = first - 1
    while above in source.alone and indent(source, above) == indent(source, first):
        above -= 1
    return above + 1 < first and not source.lines[above].lstrip().startswith("// ---")


def has_own(source, one):
    below = one.head_end + 1
    return any(line in source.commented for line in range(one.first, one.head_end + 1)) or (
        below in source.alone and indent(source, below) > indent(source, one.first))


def types(parameters):
    return re.sub(r"\b\w+\s*(=[^,]*)?(?=,|$)", "", parameters)


def are_alike(a, b):
    if a.is_class or b.is_class or a.name is None or b.name is None:
        return a.is_class and b.is_class
    operators = a.name.startswith("operator") and b.name.startswith("operator")
    return operators or a.name == b.name or types(a.parameters) == types(b.parameters)


def is_exempt(one, owner):
    """owner: the name of the class around it, where that has a comment."""
    before = one.text.split("(")[0]
    if one.text.endswith("= delete") or "~" in before or "::" in before.split(" ")[-1]:
        return True  # the last is the body of what a class declares
    if owner is None:
        return False
    copies = re.search(rf"\b{re.escape(owner)}\((const {re.escape(owner)}&|{re.escape(owner)}&&)", one.text)
    return bool(copies or re.search(r"= default$|\boperator\b|\bvisit\(", one.text))


def without_comment(source, span=None, public=True, owner=None):
    """(declaration, whether it lacks a comment) for each public function of a span."""
    leader, last = None, -1
    for one in source.declarations(span, public):
        own = has_own(source, one)
        headed = is_headed(source, one.first) or (
            leader is not None and one.first == last + 1 and are_alike(leader, one))
        leader, last = (one if headed and not own else None), one.last
        if one.is_namespace:
            if "detail" not in one.text and one.text != "namespace":
                yield from without_comment(source, one.body)
        elif one.is_class and one.public:
            yield from without_comment(source, one.body, not one.text.startswith("class"),
                                       one.name if headed or own else None)
        elif one.is_function and one.public:
            yield one, not (headed or own or is_exempt(one, owner))


def main():
    lacking = [one.name for one, lacks in without_comment(Source(SAMPLE)) if lacks]
    assert lacking == LACKING, lacking
    count, missing = 0, []
    for path in headers():
        for one, lacks in without_comment(Source((ROOT / path).read_text())):
            count += 1
            missing += [f"{path}:{one.first}: no comment: {one.text}"] if lacks else []
    print("\n".join(missing))
    print(f"contracts: {len(missing)} of {count} public functions without a comment")
    return 1 if missing or count < 300 else 0


if __name__ == "__main__":
    sys.exit(main())

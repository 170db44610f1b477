"""The trace page in headless Chromium: what it shows of every op and every step of backward is what
the recording holds, to the last digit, and it folds, searches, asks and moves by keyboard alone.

usage: trace_test.py [--shots FOLDER] [PAGE_OR_PROGRAM ..]
A program is run with REGRAD_TRACE and writes its page. Without names: the pages of recordings.py.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import recordings
import trace_cases
from tracepage import CARD, STEP_TIMES, TracePage, contrast, raw, read_recording, same
from webdriver import Browser, is_available, without

MOST_STEPS = 1000  # of a longer recording SAMPLES are compared number by number
SAMPLES = 150
MOST_TIMED = 1500
SLOWEST = 100     # milliseconds a step


def spread(n):
    """All of 0 .. n - 1, or as many as are compared, both ends among them."""
    return range(n) if n <= MOST_STEPS else [i * (n - 1) // (SAMPLES - 1) for i in range(SAMPLES)]


# What every page must do, whatever was recorded

def check_sound(page):
    same(page.run("return document.querySelectorAll('script').length"), 2)
    same(page.run("return document.querySelectorAll('img, iframe, link, b script').length"), 0)
    same(page.run("return document.querySelectorAll('[style*=position]').length"), 0)
    same(page.run("return document.title"), page.recording["program"])
    notes = [*filter(None, [page.recording["ended"]]), *page.recording["notes"]]
    for note in notes:
        assert note.rstrip(".") in page.text(".banner"), note


def check_shown(what, shown, value):
    """A value on the page against that of the recording: all elements, or its statistics."""
    if value is None:
        return same(shown, None, what)
    if "v" in value:
        return same(shown and shown["numbers"], [raw(x) for x in value["v"]], what)
    same(shown["statistics"], [raw(value[name])
                               for name in ("mean", "min", "max", "norm", "nan", "inf")], what)
    if "first" in value:
        same(shown["first"], [raw(x) for x in value["first"]], what)
        same(shown["map"], [int(value["columns"]), int(value["rows"])], what)


def check_place(page, card, op):
    """The user's file and line, and the line itself, marked, between its neighbours."""
    stack, user = page.recording["stacks"][op["stack"]], page.recording["user"][op["stack"]]
    if not stack or user < 0:
        return
    frame = page.recording["frames"][stack[user]]
    if frame["file"]:
        assert card["place"].endswith(f"{frame['file']}:{frame['line']}"), card["place"]
    lines = page.recording["sources"].get(frame["file"], {})
    if str(frame["line"]) in lines:
        same(card["marked"], lines[str(frame["line"])])
        same(card["lines"], [lines[str(n)] for n in range(frame["line"] - 1, frame["line"] + 2)
                             if str(n) in lines])


def check_ledgers(page, card, step):
    """A ledger for each tensor used more than once that this step takes or gives to."""
    backward, shown = page.recording["backward"], {one["tensor"]: one for one in card["ledgers"]}
    wanted = {give["tensor"]: give["of"] for give in backward[step]["gives"] if give["of"] > 1}
    if backward[step]["op"] >= 0:
        output = page.recording["ops"][backward[step]["op"]]["output"]
        wanted.update({output: give["of"] for one in backward for give in one["gives"]
                       if give["tensor"] == output and give["of"] > 1})
    same(sorted(shown), sorted(wanted), "ledgers")
    for tensor, of in wanted.items():
        gives = [give for one in backward[:step + 1] for give in one["gives"]
                 if give["tensor"] == tensor]
        same(shown[tensor]["waiting"], of - len(gives))
        text = f"waits for {of - len(gives)} more" if of > len(gives) else "complete"
        assert text in shown[tensor]["head"], shown[tensor]["head"]
        rows = shown[tensor]["rows"]
        if len(gives) <= 16:
            same(len(rows), len(gives))
        for row, give in zip(rows[::-1], gives[::-1][:len(rows) - 1 or 1]):
            for name in "addend", "sum":
                check_shown(f"ledger, {name}", row[name], give[name])


def check_step(page, card, step):
    taken, ops, tensors = (page.recording[x] for x in ("backward", "ops", "tensors"))
    taken = taken[step]
    same(card["name"], taken["name"])
    same(card["position"], f"backward step {step + 1} of {len(page.recording['backward'])}")
    assert card["live"].startswith(f"Backward step {step + 1} of "), card["live"]
    check_shown("gradient in", card["gradient"], taken["gradient"])
    same([(edge["input"], edge["tensor"]) for edge in card["edges"]],
         [(give["input"], give["tensor"]) for give in taken["gives"]])
    for edge, give in zip(card["edges"], taken["gives"]):
        check_shown("gradient out", edge["value"], give["addend"])
        texts = ops[taken["op"]]["derivatives"] if taken["op"] >= 0 else []
        if texts[give["input"]:] and texts[give["input"]]:
            assert edge["formula"].endswith(f" = {texts[give['input']]}"), edge["formula"]
    check_ledgers(page, card, step)
    if taken["op"] >= 0:
        check_op(page, card, taken["op"])


def check_op(page, card, number):
    op, tensors = page.recording["ops"][number], page.recording["tensors"]
    same(card["name"], op["name"])
    mark = "no node" if op["why"] else f"b{op['step'] + 1}" if op["step"] >= 0 else "–"
    same(card["row"], [op["name"], mark], "row")
    check_place(page, card, op)
    same([one["tensor"] for one in card["inputs"]], [t for t in op["inputs"] if t >= 0])
    for shown in card["inputs"]:
        check_shown("input", shown["value"], tensors[shown["tensor"]]["value"])
    check_shown("output", card["output"], tensors[op["output"]]["value"])
    if op["formula"]:
        same(card["formula"], f"y = {op['formula']}")
    if op["why"]:
        assert op["why"] in card["tag"], card["tag"]
    assert card["neighbours"] <= 40, card["neighbours"]


def check_backward(page):
    """Every number of every step, read as text with all digits shown."""
    if not page.recording["backward"]:
        return
    page.key("d")
    for step in spread(len(page.recording["backward"])):
        page.go(f"#b{step + 1}")
        check_step(page, page.run(CARD), step)
    page.key("d")
    page.go("#b1")
    card = page.run(CARD)  # shortened, the elements still hold the whole number
    shown = card["gradient"] and {**card["gradient"], "numbers": card["gradient"].get("data")}
    check_shown("shortened", shown, page.recording["backward"][0]["gradient"])


def check_forward(page):
    page.key("d")
    for number in spread(len(page.recording["ops"])):
        page.go(f"#f{number + 1}")
        card = page.run(CARD)
        same((card["gradient"], card["edges"], card["ledgers"]), (None, [], []))
        same(card["position"], f"op {number + 1} of {len(page.recording['ops'])}")
        check_op(page, card, number)
    page.key("d")


def check_stepping(page):
    """Through backward with the right arrow, and the time that each step takes."""
    count = min(len(page.recording["backward"]), MOST_TIMED)
    if not count:
        return
    page.go("#b1")
    times = []
    while len(times) < count - 1:
        times += page.run(STEP_TIMES, min(500, count - 1 - len(times)))
    same(page.text(".position"), f"backward step {count} of {len(page.recording['backward'])}")
    times.sort()
    mean = sum(times) / max(len(times), 1)
    page.measured = (f"{len(page.recording['ops'])} ops: {mean:.1f} ms a step, "
                     f"slowest {max(times, default=0):.0f} ms")
    # Not the slowest: on a busy machine any step may have to wait for another process.
    assert not times or times[len(times) * 3 // 4] < SLOWEST, page.measured


def check_folds(page):
    page.key("Home")
    folded = page.rows()
    if "▾" not in folded[0] and "▸" not in folded[0]:
        return
    total = int(page.selected("aria-setsize"))
    page.key("Enter")
    one = int(page.selected("aria-setsize"))
    assert (one < total) == ("▾" in folded[0]), (one, total)
    page.key("Enter")
    same(int(page.selected("aria-setsize")), total)


def check_list(page):
    """Rows are the options of a list box, one of them selected and active; few of many exist."""
    page.key("End")
    size = page.selected("aria-setsize")
    same(page.selected("aria-posinset"), size)
    same(len(page.texts("[role=listbox] [aria-selected=true]")), 1)
    same(page.run("const list = document.querySelector('[role=listbox]');"
                  "return document.getElementById(list.getAttribute('aria-activedescendant'))"
                  ".getAttribute('aria-selected')"), "true")
    assert len(page.rows()) < 100, len(page.rows())
    box = page.run("const b = document.querySelector('.row.now').getBoundingClientRect();"
                   "const list = document.querySelector('.tape').getBoundingClientRect();"
                   "return [b.top >= list.top - 1, b.bottom <= list.bottom + 1]")
    same(box, [True, True])


def check_search(page):
    names = [op["name"] for op in page.recording["ops"]]
    if not names:
        return
    page.key("/")
    same(page.run("return document.activeElement.type"), "search")
    page.browser.keys("input[type=search]", names[-1] + "\ue007")
    assert re.fullmatch(r"\d+ of \d+", page.text(".count")), page.text(".count")
    assert names[-1] in page.text(".body"), page.text(".body")[:100]
    page.browser.keys("input[type=search]", "\ue00c")
    same(page.run("return document.querySelector('input[type=search]').value"), "")
    same(page.run("return document.activeElement.getAttribute('role')"), "listbox")


def check_fits(page):
    for width, touch in (320, True), (390, True), (1200, False):
        for dark in False, True:
            page.browser.emulate(width, 844, dark=dark, touch=touch)
            page.browser.wait(f"return innerWidth === {width}")
            page.go("#b1" if page.recording["backward"] else "#f1")
            same(page.run("return document.documentElement.scrollWidth"), width)
            same(page.run("return document.querySelector('.body').scrollWidth"
                          " - document.querySelector('.body').clientWidth"), 0, f"card at {width}")
            poor = contrast(page)
            assert not poor, f"contrast at {width}, dark {dark}: {poor[:4]}"
    page.browser.emulate(1200, 900)


def check_quiet(page):
    same(page.browser.errors(), [])
    same([url for url in page.browser.requests() if not url.startswith("file:")], [])


CHECKS = [check_sound, check_backward, check_forward, check_stepping, check_folds, check_list,
          check_search, check_fits, check_quiet]


def program_page(program, folder):
    path = folder / (pathlib.Path(program).name + ".html")
    subprocess.run([os.path.abspath(program)], env={**os.environ, "REGRAD_TRACE": str(path)},
                   stdout=subprocess.DEVNULL, check=False)
    return path


def run(checks, page):
    failures = 0
    for check in checks:
        try:
            check(page)
        except (AssertionError, RuntimeError, LookupError, TypeError) as error:
            failures += 1
            print(f"{page.name}, {check.__name__}: FAILED: {error!r}")
    return failures


def main():
    if not is_available():
        return without()
    arguments = sys.argv[1:]
    shots = None
    if arguments[:1] == ["--shots"]:
        shots, arguments = pathlib.Path(arguments[1]), arguments[2:]
    failures = 0
    with tempfile.TemporaryDirectory() as folder, Browser(pathlib.Path(folder)) as browser:
        folder = pathlib.Path(folder)
        if arguments:
            pages = [pathlib.Path(name) if name.endswith(".html") else program_page(name, folder)
                     for name in arguments]
        else:
            pages = recordings.write_pages(folder, {**recordings.PROGRAMS, "many": recordings.many})
        for path in pages:
            text = path.read_text("utf-8")
            page = TracePage(browser, path, read_recording(text))
            own = [] if arguments else trace_cases.of(page.name)
            wrong = run([*own, *CHECKS], page)
            failures += wrong
            print(f"{page.name}: {len(own) + len(CHECKS) - wrong} checks passed, {wrong} failed; "
                  f"{len(text) / 1e6:.2f} MB; {page.measured}")
            if shots:
                page.shots(shots)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

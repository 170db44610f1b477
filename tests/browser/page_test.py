"""The page of a report in headless Chromium: it opens offline and without an error, a token that is
pointed at lights up what it drew from, the slider changes the matrix, and no text becomes markup.

usage: page_test.py path/to/sample_page [folder for screenshots]
"""
import os
import pathlib
import subprocess
import sys
import tempfile

from webdriver import Browser, is_available, without

FIRST = "#attends .map:nth-child(1)"  # "the old cat", in sample.cpp


def sentence(browser, side, figure=FIRST):
    """The weights in thousandths that light up the tokens of a sentence, and what they read."""
    return browser.run("return [...document.querySelectorAll(arguments[0])]"
                       ".map(n => [n.textContent, +n.dataset.weight])",
                       f"{figure} .{side} .token")


def texts(browser, selector):
    return browser.run("return [...document.querySelectorAll(arguments[0])]"
                       ".map(n => n.textContent)", selector)


def read(browser, selector):
    return browser.run("return document.querySelector(arguments[0]).textContent", selector)


def same(got, wanted):
    assert got == wanted, f"got {got!r}, wanted {wanted!r}"


def test_page_is_sound(browser):
    same(browser.run("return document.title"), "Attention: <sample> & </title><script>")
    same(browser.run("return document.querySelectorAll('script').length"), 2)
    same(texts(browser, "img, iframe, b, i:not(.legend i), link"), [])
    same(browser.run("return document.querySelectorAll('.chart').length"), 3)
    same(texts(browser, "h2"),
         ["Curves", "How it was learnt", "What it attends to", "Worst", "Best"])
    assert "NaN" not in browser.run("return document.getElementById('page').outerHTML")


def test_target_lights_its_sources(browser):
    browser.point(f"{FIRST} .target .token:nth-child(2)")
    same(sentence(browser, "source"), [["the", 50], ["old", 800], ["cat", 150]])
    same(texts(browser, f"{FIRST} text.lit"), ["old", "vieux"])
    same(read(browser, f"{FIRST} .readout"),
         "“\u2068vieux\u2069” drew 80.0\u00a0% from “\u2068old\u2069”, "
         "15.0\u00a0% from “\u2068cat\u2069”, 5.0\u00a0% from “\u2068the\u2069”")
    colours = browser.run("return [...document.querySelectorAll(arguments[0])]"
        ".map(n => getComputedStyle(n).backgroundColor)",
                          f"{FIRST} .source .token")
    assert len(set(colours)) == 3, colours
    browser.point("h1")
    same(sentence(browser, "source"), [["the", 0], ["old", 0], ["cat", 0]])


def test_source_lights_its_targets(browser):
    browser.point(f"{FIRST} .source .token:nth-child(3)")
    same(sentence(browser, "target"), [["le", 0], ["vieux", 150], ["chat", 750]])


def test_cell_names_its_weight(browser):
    browser.point(f"{FIRST} .matrix .cell")
    same(read(browser, f"{FIRST} .readout"),
         "“\u2068le\u2069” drew 90.0\u00a0% from “\u2068the\u2069”")
    browser.point("h1")


def test_keyboard(browser):
    browser.run("document.querySelector(arguments[0]).focus()", f"{FIRST} .target .token")
    same(sentence(browser, "source"), [["the", 900], ["old", 100], ["cat", 0]])
    browser.keys(f"{FIRST} .target .token:nth-child(1)", "\ue014")  # right arrow
    same(read(browser, ":focus"), "vieux")
    same(sentence(browser, "source")[1], ["old", 800])
    browser.keys(f"{FIRST} .target .token:nth-child(2)", "\ue00c")  # escape
    same(sentence(browser, "source")[1], ["old", 0])
    hebrew = "#attends .map:nth-child(2)"  # in a line from the right the left arrow goes on
    browser.run("document.querySelector(arguments[0]).focus()", f"{hebrew} .target .token")
    browser.keys(f"{hebrew} .target .token:nth-child(1)", "\ue012")
    same(read(browser, ":focus"), "ל")
    browser.run("document.activeElement.blur()")


def test_touch(browser):
    browser.emulate(390, 800, touch=True)
    browser.point(f"{FIRST} .target .token:nth-child(1)", "touch")
    same(sentence(browser, "source")[0], ["the", 900])
    browser.point(f"{FIRST} .matrix .cell:nth-last-of-type(3)", "touch")
    assert "chat" in read(browser, f"{FIRST} .readout"), read(browser, f"{FIRST} .readout")
    browser.emulate(1200, 900)


def test_slider(browser):
    figure = "#learning .map:nth-child(1)"
    cells = ("return [...document.querySelectorAll(arguments[0])]"
             ".map(n => n.getAttribute('fill-opacity'))")
    last = browser.run(cells, f"{figure} .cell")
    same([token for token, _ in sentence(browser, "target", figure)],
         ["nous", "regardons", "ceci", "."])
    browser.keys("#learning input", "\ue011")  # home
    same(read(browser, "#learning output"), "step 1 (1 of 5)")
    same([token for token, _ in sentence(browser, "target", figure)], ["nous", "nous"])
    browser.point(f"{figure} .target .token")
    same([weight for _, weight in sentence(browser, "source", figure)], [200] * 5)
    same(browser.run(cells, f"{figure} .cell"), ["0.2"] * 10)
    browser.point("#learning button", press=True)
    browser.wait("return document.querySelector('#learning output').textContent"
                 ".includes('(5 of 5)')")
    browser.wait("return document.querySelector('#learning button').textContent === 'Play'")
    browser.point("h1")
    same(browser.run(cells, f"{figure} .cell"), last)


def test_charts(browser):
    same(texts(browser, ".chart:nth-child(1) .value"),
         ["0.127", "0.4733"])
    browser.run("document.querySelector('.chart svg[tabindex]').focus()")
    browser.keys(".chart svg[tabindex]", "\ue011")
    same(read(browser, ".chart .step"), "step 4")  # the first of the 500 points that are kept
    same(read(browser, ".chart .value"), "4.06")
    browser.point(".chart:nth-child(2) svg[tabindex]")
    same(read(browser, ".chart:nth-child(2) .step"), "step 1000")
    same(read(browser, ".chart:nth-child(2) .value"), "61")
    browser.point("h1")


def test_scripts_from_the_right(browser):
    line = "#attends .map:nth-child(2) .target"
    same(browser.run("return document.querySelector(arguments[0]).dir", line), "rtl")
    columns = browser.run("return [...document.querySelectorAll(arguments[0])].slice(0, 3)"
                          ".map(n => [n.textContent, n.getBoundingClientRect().x])",
                          "#attends .map:nth-child(3) .matrix text")
    same([word for word, _ in columns], ["ילד", "קטן", "רץ"])
    assert columns[0][1] > columns[1][1] > columns[2][1], columns
    marks = [token for token, _ in sentence(browser, "source", "#attends .map:nth-child(5)")]
    same(marks[1], "\u25cc\u0301")


def test_fits(browser):
    for width in 320, 390, 1200:
        browser.emulate(width, 900)
        same(browser.run("return document.documentElement.scrollWidth"), width)
    cells = browser.run("const box = document.querySelector(arguments[0]).getBoundingClientRect();"
                        "return [box.width, box.height]", "#attends .map:nth-child(7) .matrix")
    assert cells[0] <= 1120 and cells[1] > 60 * 14, cells


def test_dark(browser):
    paper = "return getComputedStyle(document.body).backgroundColor"
    same(browser.run(paper), "rgb(255, 255, 255)")
    browser.emulate(1200, 900, dark=True)
    same(browser.run(paper), "rgb(17, 21, 28)")
    browser.emulate(1200, 900, dark=True, media="print")
    same(browser.run(paper), "rgb(255, 255, 255)")
    browser.emulate(1200, 900)


def test_nothing_asked_and_nothing_wrong(browser):
    same(browser.errors(), [])
    same([url for url in browser.requests() if not url.startswith("file:")], [])


def main():
    if not is_available():
        return without()
    with tempfile.TemporaryDirectory() as folder, Browser(pathlib.Path(folder)) as browser:
        folder = pathlib.Path(folder)
        subprocess.run([os.path.abspath(sys.argv[1]), folder], check=True)
        browser.open(folder / "blank")  # what the browser's own first page asks for is not ours
        browser.requests(), browser.errors()
        browser.open(folder / "report.html")
        failures = 0
        for name, test in list(globals().items()):
            if not name.startswith("test_"):
                continue
            try:
                test(browser)
                print(f"{name}: ok")
            except (AssertionError, RuntimeError) as error:
                failures += 1
                print(f"{name}: FAILED: {error}")
        if len(sys.argv) > 2:
            browser.screenshot(pathlib.Path(sys.argv[2]) / "page.png")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

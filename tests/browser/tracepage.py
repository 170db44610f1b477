"""What the tests of the trace page read from it, and how they move on it."""
import json
import re
import time

# What the card shows now. A value: all of its numbers as text, or its statistics and its map.
CARD = """
const all = (selector, from = document) => [...from.querySelectorAll(selector)];
const text = (selector, from = document) => from.querySelector(selector)?.textContent ?? '';
const body = document.querySelector('.body');
function value(from) {
  const block = from?.querySelector('.value');
  if (!block) return from?.querySelector('.empty') ? {numbers: [], data: []} : null;
  const read = (selector, what) => all(selector, block).map(what);
  const data = node => node.dataset.value;
  if (block.classList.contains('large')) {
    const map = block.querySelector('canvas');
    return {statistics: read('.statistics td', data), first: read('.numbers td[data-value]', data),
            map: map && [map.width, map.height]};
  }
  const numbers = read('[data-value]', node => node.textContent);
  return {numbers, data: read('[data-value]', data)};
}
function cell(node) {
  if (node.querySelector('.value')) return value(node);
  const numbers = all('[data-value]', node).map(one => one.textContent);
  return {numbers, data: numbers};
}
const gradient = body.querySelector('.gradient-in');
return {
  name: body.querySelector('h2')?.firstChild.textContent,
  position: text('.position'), live: text('[aria-live]'),
  place: text('.where', body), tag: text('.tag', body),
  marked: text('.source .marked .code', body),
  lines: all('.source .code', body).map(node => node.textContent),
  formula: text('.forward .formula', body),
  output: value(body.querySelector('.forward')),
  gradient: value(gradient),
  edges: all('.edge', body).map(edge => ({input: +edge.dataset.input, tensor: +edge.dataset.tensor,
    formula: text('.formula', edge), value: value(edge)})),
  inputs: all('.tensor:not(.edge)[data-tensor]', body).map(
      one => ({tensor: +one.dataset.tensor, value: value(one)})),
  ledgers: all('.ledger', body).map(one => ({
    tensor: +one.dataset.tensor, waiting: +one.dataset.waiting,
    head: text('.ledger-head', one),
    rows: all('tr[data-step]', one).map(row => ({step: +row.dataset.step,
      addend: cell(row.querySelector('.addend')), sum: cell(row.querySelector('.sum'))}))})),
  row: [text('.row.now .label'), text('.row.now .step')],
  neighbours: all('.side li > *', body).length
};
"""

# The milliseconds that steps with the right arrow take, layout included.
STEP_TIMES = """
return Array.from({length: arguments[0]}, () => {
  const start = performance.now();
  document.querySelector('.tape').dispatchEvent(
      new KeyboardEvent('keydown', {key: 'ArrowRight', bubbles: true}));
  document.querySelector('.body').getBoundingClientRect();
  document.querySelector('.tape').scrollHeight;
  return performance.now() - start;
});
"""

# Texts in sight whose contrast with what is behind them is under WCAG's AA.
CONTRAST = """
const canvas = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});
function parts(colour) {
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = colour;
  canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data];
}
function behind(node) {
  for (; node; node = node.parentElement) {
    const colour = parts(getComputedStyle(node).backgroundColor);
    if (colour[3] === 255) return colour;
  }
  return [255, 255, 255, 255];
}
function light([r, g, b]) {
  const linear = [r, g, b].map(c => c / 255).map(
      c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
}
const poor = [];
for (const node of document.querySelectorAll('#page *')) {
  const own = [...node.childNodes].some(child => child.nodeType === 3 && child.data.trim());
  if (!own || !node.getClientRects().length || node.matches('.mark, option')) continue;
  const [a, b] = [light(parts(getComputedStyle(node).color)), light(behind(node))];
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (ratio < 4.5) poor.push([node.className, node.textContent.slice(0, 30), ratio.toFixed(2)]);
}
return poor;
"""


def same(got, wanted, what=""):
    assert got == wanted, f"{what}: got {str(got)[:300]}, wanted {str(wanted)[:300]}"


class Whole(int):
    """An integer of a recording, with the text that it is: -0 is not 0."""
    def __new__(cls, text):
        number = super().__new__(cls, text)
        number.text = text
        return number


def read_recording(page):
    """The recording in the text of a page. Numbers with a point or an exponent stay text."""
    data = re.search(r'id="recording">(.*?)</script>', page, re.S)[1]
    return json.loads(data, parse_float=str, parse_int=Whole)


def raw(x):
    """A number of a recording as the text that it is."""
    return x.text if isinstance(x, Whole) else x if isinstance(x, str) else json.dumps(x)


def contrast(page):
    return page.run(CONTRAST)


class TracePage:
    def __init__(self, browser, path, recording):
        self.browser, self.path, self.recording = browser, path, recording
        self.name, self.measured = path.stem, ""
        browser.emulate(1200, 900)
        browser.open(path.parent / "blank")  # what the browser's own page asks for is not ours
        browser.requests(), browser.errors()
        browser.open(path)

    def run(self, script, *arguments):
        return self.browser.run(script, *arguments)

    def text(self, selector):
        return self.run("return document.querySelector(arguments[0])?.textContent ?? ''", selector)

    def texts(self, selector):
        return self.run("return [...document.querySelectorAll(arguments[0])]"
                        ".map(node => node.textContent)", selector)

    def key(self, *names):
        for name in names:
            self.run("document.activeElement.dispatchEvent(new KeyboardEvent("
                     "'keydown', {key: arguments[0], bubbles: true, cancelable: true}))", name)

    def go(self, hash):
        """Opens a link into the page, as one that stands elsewhere would."""
        self.run("history.replaceState(null, '', arguments[0]);"
                 "dispatchEvent(new HashChangeEvent('hashchange'))", hash)

    def rows(self):
        """The rows that exist, from the top."""
        return self.run("const at = node => node.getAttribute('aria-posinset');"
                        "return [...document.querySelectorAll('.row')]"
                        ".sort((a, b) => at(a) - at(b)).map(node => node.textContent)")

    def selected(self, attribute):
        return self.run("return document.querySelector('.row[aria-selected=true]')"
                        ".getAttribute(arguments[0])", attribute)

    def shots(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        middle = len(self.recording["backward"]) // 2 + 1
        for name, width, dark in (("desktop", 1200, False), ("dark", 1200, True),
                                  ("phone", 390, False), ("phone-dark", 390, True)):
            self.browser.emulate(width, 844, dark=dark, touch=width < 500)
            self.go(f"#b{middle}")
            time.sleep(0.3)
            self.browser.screenshot(folder / f"{self.name}-{name}.png", whole=False)

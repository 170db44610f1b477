
// The bar, the search, the keys, and the page on which all of it stands.

const keys = [
  ["← →", "step"], ["↑ ↓", "row"], ["Enter", "fold, unfold"], ["[ ]", "which of the repeats"],
  ["f", "forward, backward"], ["/", "search"], ["n", "first NaN"], ["u", "next use"],
  ["p", "predict"], ["d", "all digits"], ["?", "these keys"], ["–", "backward did not get here"],
  ["no node", "not recorded: no gradient goes through"]
];

const help = html(
    "dialog", {class: "help", "aria-label": "keys"},
    html(
        "table", {},
        html(
            "tbody", {},
            ...keys.map(
                ([key, what]) => html(
                    "tr", {}, html("th", {scope: "row"}, html("kbd", {}, key)),
                    html("td", {}, what))))),
    button({}, () => help.close(), "Close"));

const toast = html("p", {class: "toast", hidden: true});
let toastTimer = 0;

function flash(text) {
  setText(toast, text);
  toast.hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => toast.hidden = true, 2500);
}

const directions =
    ["Forward", "Backward"].map((name, i) => button({"aria-pressed": "false"}, () => {
                                  if (view.backwards !== (i === 1)) toggleDirection();
                                }, name));
const predictButton = button({"aria-pressed": "false", class: "predict"}, togglePredict, "Predict");

// Search

const searchField = html("input", {
  type: "search",
  placeholder: "Search",
  "aria-label": "search the tape",
  autocomplete: "off",
  spellcheck: "false"
});
const searchCount = html("output", {class: "count"});
let matches = [], matchAt = 0, haystack = null;

function search() {
  haystack ??= tape.map(
      entry => [callText(entry), labelOf(entry.output), pathText(entry),
                placeText(userFrame(entry))]
                   .join(" ")
                   .toLowerCase());
  const wanted = searchField.value.trim().toLowerCase();
  matches = wanted ? tape.filter(entry => haystack[entry.at].includes(wanted)) : [];
  found = new Set(matches);
  const here = view.entry?.at ?? 0;
  matchAt = Math.max(0, matches.findIndex(entry => entry.at >= here));
  showMatch();
}

function showMatch() {
  const wanted = searchField.value.trim();
  setText(
      searchCount, wanted ? matches.length ? `${matchAt + 1} of ${matches.length}` : "none" : "");
  if (matches.length)
    goToEntry(matches[matchAt], true);
  else
    drawTape();
}

searchField.addEventListener("input", search);
searchField.addEventListener("keydown", event => {
  if (event.key === "Enter" && matches.length) {
    matchAt = (matchAt + (event.shiftKey ? matches.length - 1 : 1)) % matches.length;
    showMatch();
  } else if (event.key === "Escape") {
    searchField.value = "";
    search();
    tapeList.focus();
  }
});

// Keys

const actions = {
  ArrowRight: () => move(1),
  ArrowLeft: () => move(-1),
  ArrowDown: () => pickRow(rowOfPath.get(view.selected) + 1),
  ArrowUp: () => pickRow(rowOfPath.get(view.selected) - 1),
  PageDown: () => pickRow(rowOfPath.get(view.selected) + 10),
  PageUp: () => pickRow(rowOfPath.get(view.selected) - 10),
  Home: () => pickRow(0),
  End: () => pickRow(rows.length - 1),
  Enter: () => toggleFold(rows[rowOfPath.get(view.selected)].node),
  "[": () => stepRepeat(-1),
  "]": () => stepRepeat(1),
  "/": () => searchField.focus(),
  "?": () => help.showModal(),
  n: firstOdd,
  u: nextUse,
  f: toggleDirection,
  p: togglePredict,
  d: () => {
    allDigits = !allDigits;
    draw();
    say(allDigits ? "All digits are shown" : "Numbers are shortened");
  }
};

// What has a use of its own for a key keeps it.
function isTaken(event) {
  const {key} = event, target = event.target.matches ? event.target : document.body;
  if (event.ctrlKey || event.metaKey || event.altKey || help.open) return true;
  if (target.matches("input:not([type=range])")) return true;
  if (target.matches("input[type=range]")) return /^(Arrow|Home|End|Page)/.test(key);
  if (key === "Enter") return target.matches("button, summary, a");
  if (target === cardBody) return /^(ArrowUp|ArrowDown|Home|End|Page)/.test(key);
  if (target.matches(".scroll"))
    return /^Arrow(Left|Right)/.test(key) && target.scrollWidth > target.clientWidth;
  return false;
}

addEventListener("keydown", event => {
  const action = actions[event.key] ?? actions[event.key.toLowerCase()];
  if (!tape.length || isTaken(event) || !action) return;
  event.preventDefault();
  action();
});

// The page

const sheets = ["peek", "half", "full"];

function setSheet(size) {
  document.body.dataset.sheet = sheets[Math.max(0, Math.min(sheets.length - 1, size))];
  requestAnimationFrame(() => {
    if (rowOfPath.has(view.selected)) showRow(rowOfPath.get(view.selected));
    drawTape();
  });
}

// On a phone the card is a sheet: a tap or a drag of its handle changes how much of it shows.
function sheetHandle() {
  const handle = button({class: "handle", "aria-label": "larger or smaller"}, () => {});
  let from = null;
  const size = () => sheets.indexOf(document.body.dataset.sheet);
  handle.addEventListener("pointerdown", event => {
    from = event.clientY;
    handle.setPointerCapture(event.pointerId);
  });
  handle.addEventListener("pointerup", event => {
    const by = from === null ? 0 : from - event.clientY;
    setSheet(Math.abs(by) > 24 ? size() + Math.sign(by) : size() === 2 ? 0 : size() + 1);
    from = null;
  });
  handle.addEventListener("keydown", event => {
    if (event.key === "Enter" || event.key === " ") setSheet((size() + 1) % 3);
  });
  return handle;
}

function banner() {
  const said = [
    recording.ended ? `Incomplete: ${recording.ended}.`.replace(/\.\.$/, ".") : "",
    ...recording.notes ?? []
  ].filter(Boolean);
  return said.length ? html("p", {class: "banner", role: "note"}, said.join(" ")) : null;
}

function openHash() {
  const [, kind, number] = location.hash.match(/^#([bf])(\d+)$/) ?? [];
  if (kind === "b" && backward[number - 1]) return goToStep(number - 1, true);
  if (kind === "f" && recording.ops[number - 1]) {
    view.backwards = false;
    return goToEntry(entryOfOp(number - 1), true);
  }
  return false;
}

function build() {
  const name = [fileName(recording.program), ...recording.arguments ?? []].join(" ");
  const title =
      html("h1", {title: [recording.program, ...recording.arguments ?? []].join(" ")}, name);
  const bar = html(
      "header", {class: "bar"}, title,
      html(
          "div", {class: "tools"},
          html("div", {class: "segments", role: "group", "aria-label": "direction"}, ...directions),
          html("div", {class: "search"}, searchField, searchCount), predictButton,
          button({class: "round", "aria-label": "keys"}, () => help.showModal(), "?")));
  cardHead.append(
      sheetHandle(), button({class: "round", "aria-label": "step back"}, () => move(-1), "←"),
      position, button({class: "round", "aria-label": "step on"}, () => move(1), "→"),
      verdictPlace);
  const card = html("section", {class: "card", "aria-label": "step"}, cardHead, cardBody);
  const page = document.getElementById("page");
  page.replaceChildren(...[bar, banner(), backward.length ? strip : null,
                           html("main", {}, tapeList, card), help, toast, live]
                           .filter(Boolean));
  setSheet(1);
  if (!tape.length)
    return cardBody.append(html("p", {class: "quiet"}, "The recording holds no ops."));
  measureRows();
  openFirst();
  if (backward.length) drawStrip();
  if (openHash() === false) {
    const last = tape.at(-1);
    if (last.kind === "failed" || !backward.length) {
      view.backwards = last.kind !== "failed" && view.backwards;
      goToEntry(last, true);
    } else {
      goToStep(0, true);
    }
  }
  addEventListener("hashchange", openHash);
  addEventListener("resize", () => {
    measureRows();
    if (backward.length) drawStrip();
    drawTape();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  matchMedia("(pointer: coarse)").addEventListener("change", () => {
    measureRows();
    drawTape();
  });
}

addEventListener("DOMContentLoaded", build);

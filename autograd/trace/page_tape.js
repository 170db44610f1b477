
// The tape as a list box of which only the rows in sight exist.

const tapeList = html("div", {
  class: "tape",
  role: "listbox",
  tabindex: 0,
  "aria-label": "tape: the ops in the order of the forward"
});
const tapeSpace = html("div", {class: "space", role: "presentation"});
tapeList.append(tapeSpace);

const drawnRows = new Map();  // by path
let rowHeight = 30;
let found = new Set();  // entries that the search found

function newRow(node) {
  const part = name => html("span", {class: name});
  const row = {
    fold: part("fold"),
    label: part("label"),
    times: part("times"),
    note: part("note"),
    line: part("line"),
    file: part("file"),
    at: part("at"),
    shape: part("shape"),
    step: part("step"),
    slider: null
  };
  row.line.append(row.file, row.at);
  row.label.title = [node.label, placeText(node.frame, true)].join(" ");
  const name = html("span", {class: "name"}, row.fold, row.label, row.times);
  row.element =
      html("div", {class: `row ${node.kind}`, role: "option"}, name, row.line, row.shape, row.step);
  if (node.repeats.length > 1) {
    row.slider = html("input", {
      type: "range",
      min: 1,
      max: node.repeats.length,
      "aria-label": `which of ${node.repeats.length}`,
      tabindex: -1
    });
    row.slider.addEventListener("input", () => chooseRepeat(row.node, row.slider.value - 1));
    for (const event of ["click", "pointerdown"]) {
      row.slider.addEventListener(event, happened => happened.stopPropagation());
    }
    row.element.append(row.slider);
    row.element.classList.add("repeated");
  }
  row.element.append(row.note);
  row.element.addEventListener("click", () => pickRow(rowOfPath.get(row.node.path), true));
  return row;
}

// What a row says at its right: of an op, its shape and its step; of a fold, how many ops it holds.
function stepMark(entry) {
  if (entry.kind === "failed") return "failed";
  if (entry.why) return "no node";
  return entry.step < 0 ? "–" : `b${entry.step + 1}`;
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function drawRow(row, {node, depth}, index) {
  const {element} = row;
  row.node = node;
  const isOp = node.kind === "op", entry = isOp ? node.repeats[repeatOf(node)] : null;
  const times = node.repeats.length;
  element.style.transform = `translateY(${index * rowHeight}px)`;
  element.style.setProperty("--depth", Math.min(depth, 8));
  setText(row.fold, isOp ? "" : open.has(node.path) ? "▾" : "▸");
  setText(row.label, node.label);
  setText(row.times, times > 1 ? `× ${times}` : "");
  setText(row.file, node.frame?.file ? fileName(node.frame.file) : "");
  setText(row.at, node.frame?.file ? `:${node.frame.line}` : "");
  setText(row.shape, isOp ? shapeOf(entry.output) : count(node.ops, "op"));
  setText(row.step, isOp ? stepMark(entry) : "");
  if (row.slider) row.slider.value = repeatOf(node) + 1;
  const here = view.selected === node.path;
  const taken = isOp && view.backwards && entry.step >= 0 && entry.step <= view.step;
  element.classList.toggle("taken", taken);
  element.classList.toggle("now", isOp && entry === view.entry || here);
  element.classList.toggle("found", isOp && found.has(entry));
  element.classList.toggle("untouched", isOp && entry.step < 0);
  element.classList.toggle("failed", entry?.kind === "failed");
  element.setAttribute("aria-selected", String(here));
  element.setAttribute("aria-posinset", index + 1);
  element.setAttribute("aria-setsize", rows.length);
  const which = times > 1 ? `, ${repeatOf(node) + 1} of ${times}` : "";
  setText(row.note, isOp ? which : `${which}, ${open.has(node.path) ? "unfolded" : "folded"}`);
  if (here) tapeList.setAttribute("aria-activedescendant", element.id);
}

let rowNumber = 0;

function drawTape() {
  const top = tapeList.scrollTop, height = tapeList.clientHeight || 600;
  const first = Math.max(0, Math.floor(top / rowHeight) - 6);
  const last = Math.min(rows.length, Math.ceil((top + height) / rowHeight) + 6);
  const kept = new Set();
  for (let i = first; i < last; ++i) {
    const {node} = rows[i];
    // A row is used again for the same place only: one that is dragged stays the one under the
    // finger.
    const key = `${node.kind}${node.path}:${node.repeats.length}`;
    let row = drawnRows.get(key);
    if (!row) {
      row = newRow(node);
      row.element.id = `row-${++rowNumber}`;
      drawnRows.set(key, row);
      tapeSpace.append(row.element);
    }
    kept.add(key);
    drawRow(row, rows[i], i);
  }
  for (const [key, row] of drawnRows) {
    if (kept.has(key)) continue;
    row.element.remove();
    drawnRows.delete(key);
  }
}

// Scrolls as little as shows the row, with a third of the list around it where it has to scroll.
function showRow(index) {
  tapeSpace.style.height = `${rows.length * rowHeight}px`;  // nothing scrolls beyond it
  const top = index * rowHeight, height = tapeList.clientHeight;
  if (top < tapeList.scrollTop + rowHeight || top > tapeList.scrollTop + height - 2 * rowHeight) {
    const above = top < tapeList.scrollTop ? 2 / 3 : 1 / 3;
    tapeList.scrollTop = Math.max(0, top - height * above);
  }
}

function measureRows() {
  rowHeight = matchMedia("(pointer: coarse)").matches ? 40 : 30;
  document.documentElement.style.setProperty("--row", `${rowHeight}px`);
}

tapeList.addEventListener("scroll", () => requestAnimationFrame(drawTape), {passive: true});

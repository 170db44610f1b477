
// Where the reader is, and how one moves from there.

const view = {
  backwards: backward.length > 0,
  step: 0,
  entry: null,
  selected: "",
  use: null
};

const live = html("p", {class: "unseen", "aria-live": "polite"});
const say = text => setText(live, text);

function sentence() {
  const {entry} = view;
  if (!entry) return "";
  const at = placeText(userFrame(entry)), where = at ? ` at ${at}` : "";
  if (entry.kind === "failed") return `${entry.name}${where} threw: ${entry.failed}`;
  const taken = view.backwards ? backward[entry.step] : null;
  if (!taken)
    return `Op ${entry.number} of ${recording.ops.length}: ${callText(entry)}${where}, ${
        shapeOf(entry.output)}.`;
  const gives = taken.gives.map(
      give => `${labelOf(give.tensor)}${
          give.of > give.nth ? `, which waits for ${give.of - give.nth} more` : ""}`);
  const odd = stepOddities[entry.step];
  const size = odd ? `holds ${odd}` : `gradient of norm ${figures(stepNorms[entry.step])}`;
  const next = predict.asks(entry.step) ? "; predict what it gives" :
      gives.length                      ? `, gives to ${gives.join(", and to ")}` :
                                          "";
  return `Backward step ${entry.step + 1} of ${backward.length}: ${callText(entry)}${where}, ${
      size}${next}.`;
}

function positionText() {
  const {entry} = view;
  if (view.backwards && entry?.step >= 0)
    return `backward step ${entry.step + 1} of ${backward.length}`;
  if (entry?.number) return `op ${entry.number} of ${recording.ops.length}`;
  return entry?.kind === "failed" ? "the op that threw" :
      view.backwards              ? `after step ${view.step + 1}` :
                                    "";
}

const position = html("p", {class: "position"});
const verdictPlace = html("div", {class: "verdict-place"});

function draw() {
  drawTape();
  drawCard();
  if (backward.length) moveStrip();
  setText(position, positionText());
  verdictPlace.replaceChildren(...[verdict()].filter(Boolean));
  directions.forEach(
      (node, i) => node.setAttribute("aria-pressed", String(view.backwards === (i === 1))));
  predictButton.setAttribute("aria-pressed", String(predict.on));
}

// Moves

let hashTimer = 0;

function writeHash() {
  clearTimeout(hashTimer);  // browsers refuse more than a few a second
  hashTimer = setTimeout(() => {
    const {entry} = view;
    const hash = view.backwards && entry?.step >= 0 ? `#b${entry.step + 1}` :
        entry?.number ? `#f${entry.number}` :
                        "";
    if (hash && hash !== location.hash) history.replaceState(null, "", hash);
  }, 400);
}

function select(index, entry) {
  const moved = view.entry !== entry || !entry;
  view.entry = entry;
  view.selected = rows[index].node.path;
  if (moved) cardBody.scrollTop = 0;
  showRow(index);
  draw();
  say(sentence() || `${rows[index].node.label}, ${count(rows[index].node.ops, "op")}`);
  if (document.activeElement === document.body) tapeList.focus({preventScroll: true});
  showQuestion();
  writeHash();
}

function goToEntry(entry, unfold = false) {
  view.use = null;
  if (view.backwards && entry.step >= 0) view.step = entry.step;
  reveal(entry, unfold);
  select(rowOf(entry), entry);
}

function goToStep(step, unfold = false) {
  if (!backward[step]) return;
  view.backwards = true;
  goToEntry(entryOfStep[step], unfold);
}

function move(by) {
  if (view.backwards) {
    const away =
        by < 0 && view.entry && view.entry.step < 0;  // back to the step that one came from
    const step = view.step + (away ? 0 : by);
    goToStep(Math.max(0, Math.min(backward.length - 1, step)));
  } else {
    const at = view.entry?.at ??
        entriesIn(rows[rowOfPath.get(view.selected)].node)[0].at - (by > 0 ? 1 : 0);
    goToEntry(tape[Math.max(0, Math.min(tape.length - 1, at + by))]);
  }
}

function pickRow(index, clicked = false) {
  const row = rows[Math.max(0, Math.min(rows.length - 1, index))];
  if (!row) return;
  if (row.node.kind === "op") return goToEntry(row.node.repeats[repeatOf(row.node)]);
  if (clicked) return toggleFold(row.node);
  select(rowOfPath.get(row.node.path), null);
}

function toggleFold(node) {
  if (node.kind === "op") return;
  if (!open.delete(node.path)) open.add(node.path);
  flatten();
  select(rowOfPath.get(node.path), null);
  say(`${node.label}, ${open.has(node.path) ? "unfolded" : "folded"}`);
}

function chooseRepeat(node, repeat) {
  chosen.set(node.path, repeat);
  flatten();
  if (node.kind === "op") return goToEntry(node.repeats[repeat]);
  select(rowOfPath.get(node.path), null);
  say(`${node.label}, ${repeat + 1} of ${node.repeats.length}`);
}

// The repeat before or after, of the innermost row around the selection that has several.
function stepRepeat(by) {
  let {node} = rows[rowOfPath.get(view.selected)];
  while (node && node.repeats.length < 2) node = node.parent;
  if (node) chooseRepeat(node, Math.max(0, Math.min(node.repeats.length - 1, repeatOf(node) + by)));
}

function toggleDirection() {
  if (!backward.length) return say("The recording holds no backward pass");
  view.backwards = !view.backwards;
  const entry = view.entry ?? entriesIn(rows[rowOfPath.get(view.selected)].node)[0];
  goToEntry(entry);
}

// From the op that makes a tensor to each op that uses it, in turn, and back.
function nextUse() {
  const use = view.use ?? {tensor: view.entry?.output ?? -1, next: 0};
  const all = users[use.tensor] ?? [];
  if (!all.length) return say("Nothing uses it");
  const entry = all[use.next % all.length];
  goToEntry(entry, true);
  view.use = {tensor: use.tensor, next: use.next + 1};
  say(`Use ${use.next % all.length + 1} of ${all.length} of ${labelOf(use.tensor)}. ${sentence()}`);
}

// NaN before infinity, and the forward, where it was computed first, before the backward.
function firstOdd() {
  const forward = tape.map(entry => oddities(tensors[entry.output]?.value));
  for (const kind of ["nan", "inf"]) {
    const sign = {nan: "NaN", inf: "∞"}[kind];
    const step = stepOddities.indexOf(sign), at = forward.findIndex(one => one[kind]);
    if (at >= 0) {
      view.backwards = false;
      return goToEntry(tape[at], true);
    }
    if (step >= 0) return goToStep(step, true);
  }
  say("No NaN and no infinity in this recording");
  flash("No NaN and no infinity here");
}

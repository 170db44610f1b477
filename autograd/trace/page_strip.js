
// The strip: a column for each step of backward with the norm of its gradient, on a log scale.

const stripCursor = html("div", {class: "cursor"});
const strip = html("div", {
  class: "strip",
  role: "slider",
  tabindex: 0,
  "aria-label": "backward steps by the norm of the gradient, log scale",
  "aria-valuemin": 1,
  "aria-valuemax": backward.length
});

const stepNorms = backward.map(taken => normOf(taken.gradient));
const stepOddities = backward.map(taken => {
  const all = [taken.gradient, ...taken.gives.map(give => give.addend)].map(oddities);
  return all.some(one => one.nan) ? "NaN" : all.some(one => one.inf) ? "∞" : "";
});

const logs = stepNorms.map(norm => norm > 0 && Number.isFinite(norm) ? Math.log10(norm) : null);
const known = logs.filter(log => log !== null);
const logLow = Math.floor(known.reduce((a, b) => Math.min(a, b), Infinity) - 0.001);
const logHigh = Math.ceil(known.reduce((a, b) => Math.max(a, b), -Infinity) + 0.001);

const stepWidth = () => Math.min(28, (strip.clientWidth - 34) / backward.length);

function stepOfPoint(event) {
  const box = strip.getBoundingClientRect();
  const at = Math.floor((event.clientX - box.left) / stepWidth());
  return Math.max(0, Math.min(backward.length - 1, at));
}

// As many columns as there are pixels for: steps that share one show the largest.
function stripColumns() {
  const columns = Math.min(backward.length, Math.floor(stepWidth() * backward.length / 2));
  const result = Array.from({length: columns}, () => ({log: null, odd: ""}));
  logs.forEach((log, step) => {
    const column = result[Math.floor(step * columns / backward.length)];
    if (log !== null) column.log = Math.max(column.log ?? -Infinity, log);
    if (column.odd !== "NaN") column.odd = stepOddities[step] || column.odd;
  });
  return result;
}

function drawStrip() {
  const width = strip.clientWidth, height = strip.clientHeight;
  const columns = stripColumns(), each = stepWidth() * backward.length / columns.length;
  const gap = each > 4 ? 1 : 0;
  const bar = (i, top) =>
      `M${(i * each).toFixed(2)} ${height}V${top.toFixed(2)}h${(each - gap).toFixed(2)}V${height}z`;
  let bars = "", bad = "", zero = "";
  const signs = [];
  columns.forEach(({log, odd}, i) => {
    if (odd) {
      bad += bar(i, 0);
      if (columns[i - 1]?.odd !== odd) signs.push({odd, i});
    } else if (log === null) {
      zero += bar(i, height - 2);
    } else {
      bars += bar(i, height - 4 - (log - logLow) / (logHigh - logLow) * (height - 6));
    }
  });
  const image =
      svg("svg", {viewBox: `0 0 ${width} ${height}`, width, height, "aria-hidden": "true"},
          svg("path", {class: "bars", d: bars}), svg("path", {class: "zero", d: zero}),
          svg("path", {class: "bad", d: bad}));
  const labels = signs.slice(0, 20).map(({odd, i}) => {
    const sign = html("span", {class: "sign", "aria-hidden": "true"}, odd);
    sign.style.left = `${Math.min(i * each, width - 30)}px`;
    return sign;
  });
  const scale = known.length ?
      [
        html("span", {class: "scale high", "aria-hidden": "true"}, `1e${logHigh}`),
        html("span", {class: "scale low", "aria-hidden": "true"}, `1e${logLow}`)
      ] :
      [];
  strip.replaceChildren(image, ...labels, ...scale, stripCursor);
  moveStrip();
}

function moveStrip() {
  const each = stepWidth();
  const shown = view.backwards && backward.length > 0;
  stripCursor.hidden = !shown;
  stripCursor.style.width = `${Math.max(4, each + 1)}px`;
  stripCursor.style.transform = `translateX(${view.step * each - 1}px)`;
  const taken = backward[view.step];
  if (!taken) return;
  strip.setAttribute("aria-valuenow", view.step + 1);
  strip.setAttribute(
      "aria-valuetext",
      `step ${view.step + 1} of ${backward.length}, ${taken.name}, ${
          stepOddities[view.step] || `norm ${figures(stepNorms[view.step])}`}`);
}

strip.addEventListener("pointerdown", event => {
  if (backward.length) goToStep(stepOfPoint(event));
  strip.setPointerCapture(event.pointerId);
});
strip.addEventListener("pointermove", event => {
  const step = stepOfPoint(event);
  if (strip.hasPointerCapture(event.pointerId) && step !== view.step) goToStep(step);
  if (backward.length) strip.title = `step ${step + 1}: ${backward[step].name}`;
});

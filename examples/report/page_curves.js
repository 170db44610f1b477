
// Curves: one chart for each unit, with the values where one points.

const plot = {
  width: 440,
  height: 250,
  left: 46,
  right: 430,
  top: 10,
  bottom: 210
};

// Three to six round numbers from low to high.
function ticks(low, high) {
  const raw = (high - low) / 4, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].find(nice => raw <= nice * power * 1.0001) * power;
  const first = Math.ceil(low / step - 1e-9), last = Math.floor(high / step + 1e-9);
  return Array.from({length: Math.min(last - first + 1, 8)}, (_, i) => (first + i) * step);
}

function scales(curves) {
  const points = curves.flatMap(curve => curve.points);
  const steps = points.map(point => point[0]);
  const values = points.map(point => point[1]).filter(value => value !== null);
  let first = Math.min(...steps), last = Math.max(...steps);
  if (first > 0 && first < 0.1 * last) first = 0;
  if (last === first) last = first + 1;
  const percent = curves[0].unit.includes("%");
  const low = Math.min(0, ...values);
  let high = Math.max(percent ? 100 : 0, ...values);
  if (high === low) high = low + 1;
  return {
    first,
    last,
    low,
    high,
    x: step => plot.left + (step - first) / (last - first) * (plot.right - plot.left),
    y: value => plot.bottom - (value - low) / (high - low) * (plot.bottom - plot.top),
  };
}

function axes(scale) {
  const parts = [];
  for (const tick of ticks(scale.low, scale.high)) {
    const y = scale.y(tick);
    parts.push(
        svg("line", {class: "grid", x1: plot.left, x2: plot.right, y1: y, y2: y}),
        svg("text", {x: plot.left - 7, y: y + 4, "text-anchor": "end"}, figures(tick)));
  }
  for (const tick of ticks(scale.first, scale.last)) {
    const x = Math.min(scale.x(tick), plot.width - 18);
    parts.push(svg(
        "text", {x, y: plot.bottom + 18, "text-anchor": "middle"}, String(+tick.toPrecision(6))));
  }
  parts.push(
      svg("text", {x: (plot.left + plot.right) / 2, y: plot.height - 5, "text-anchor": "middle"},
          "step"));
  return parts;
}

// A value that is not finite arrives as null and leaves a gap.
function curvePath(points, scale) {
  let path = "", pen = "M";
  for (const [step, value] of points) {
    if (value === null) {
      pen = "M";
      continue;
    }
    path += `${pen}${scale.x(step).toFixed(1)} ${scale.y(value).toFixed(1)}`;
    pen = "L";
  }
  return path;
}

function nearest(points, step) {
  return points.reduce(
      (best, point) => Math.abs(point[0] - step) < Math.abs(best[0] - step) ? point : best);
}

function chart(unit, curves) {
  const scale = scales(curves);
  const steps = [...new Set(curves.flatMap(curve => curve.points.map(point => point[0])))].sort(
      (a, b) => a - b);
  const cursor =
      svg("line", {class: "cursor", y1: plot.top, y2: plot.bottom, visibility: "hidden"});
  const step = html("span", {class: "step"}), key = html("div", {class: "key"});
  const values = curves.map(() => html("span", {class: "value"}));
  const dots = curves.map((_, i) => svg("circle", {class: `dot s${i % 4}`, r: 4}));
  curves.forEach(
      (curve, i) => key.append(html(
          "span", {},
          svg("svg", {class: "swatch", viewBox: "0 0 22 8"},
              svg("line", {class: `s${i % 4}`, x1: 0, x2: 22, y1: 4, y2: 4})),
          curve.name, values[i])));
  let at = steps.length - 1;

  function show(index, marked) {
    at = Math.max(0, Math.min(steps.length - 1, index));
    step.textContent = `step ${steps[at]}`;
    cursor.setAttribute("visibility", marked ? "visible" : "hidden");
    cursor.setAttribute("x1", scale.x(steps[at]));
    cursor.setAttribute("x2", scale.x(steps[at]));
    curves.forEach((curve, i) => {
      const [x, y] = nearest(curve.points, steps[at]);
      values[i].textContent = figures(y);
      dots[i].setAttribute("visibility", y === null ? "hidden" : "visible");
      dots[i].setAttribute("cx", scale.x(x));
      dots[i].setAttribute("cy", scale.y(y ?? 0));
    });
  }

  const image = svg(
      "svg", {
        viewBox: `0 0 ${plot.width} ${plot.height}`,
        role: "img",
        tabindex: 0,
        "aria-label": `${unit} by step: ${
            curves.map(curve => curve.name).join(", ")}; arrow keys move along the curve`
      },
      ...axes(scale),
      ...curves.map(
          (curve, i) => svg("path", {class: `curve s${i % 4}`, d: curvePath(curve.points, scale)})),
      cursor, ...dots);
  const point = event => {
    const box = image.getBoundingClientRect();
    const x = (event.clientX - box.left) / box.width * plot.width;
    show(
        steps.indexOf(steps.reduce(
            (best, one) => Math.abs(scale.x(one) - x) < Math.abs(scale.x(best) - x) ? one : best)),
        true);
  };
  image.addEventListener("pointermove", point);
  image.addEventListener("pointerdown", point);
  image.addEventListener("pointerleave", () => show(steps.length - 1, false));
  image.addEventListener("blur", () => show(steps.length - 1, false));
  image.addEventListener("keydown", event => {
    const move = {ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: steps.length - 1}[event.key];
    if (move === undefined) return;
    event.preventDefault();
    show(move, true);
  });
  show(steps.length - 1, false);
  return html(
      "figure", {class: "chart"},
      html("figcaption", {"aria-live": "polite"}, step, html("span", {class: "unit"}, unit), key),
      image);
}

function charts(curves) {
  const units = [...new Set(curves.map(curve => curve.unit))];
  return html(
      "div", {class: "charts"},
      ...units.map(unit => chart(unit, curves.filter(curve => curve.unit === unit))));
}


"use strict";

const report = JSON.parse(document.getElementById("report").textContent);

// ---- building blocks: text is only ever set as text, so that none of it becomes markup

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function html(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function section(id, title, note, ...children) {
  const head = note ? [html("p", {class: "note"}, note)] : [];
  return html("section", {id}, html("h2", {}, title), ...head, ...children);
}

function figures(value) {
  return value === null ? "?" : String(Number(value.toPrecision(4)));
}

// ---- curves

const plot = {width: 440, height: 250, left: 46, right: 430, top: 10, bottom: 210};

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
    first, last, low, high,
    x: step => plot.left + (step - first) / (last - first) * (plot.right - plot.left),
    y: value => plot.bottom - (value - low) / (high - low) * (plot.bottom - plot.top),
  };
}

function axes(scale) {
  const parts = [];
  for (const tick of ticks(scale.low, scale.high)) {
    const y = scale.y(tick);
    parts.push(svg("line", {class: "grid", x1: plot.left, x2: plot.right, y1: y, y2: y}),
      svg("text", {x: plot.left - 7, y: y + 4, "text-anchor": "end"}, figures(tick)));
  }
  for (const tick of ticks(scale.first, scale.last)) {
    const x = Math.min(scale.x(tick), plot.width - 18);
    parts.push(svg("text", {x, y: plot.bottom + 18, "text-anchor": "middle"}, String(+tick.toPrecision(6))));
  }
  parts.push(svg("text", {x: (plot.left + plot.right) / 2, y: plot.height - 5, "text-anchor": "middle"}, "step"));
  return parts;
}

// A value that is not finite arrives as null and leaves a gap.
function curvePath(points, scale) {
  let path = "", pen = "M";
  for (const [step, value] of points) {
    if (value === null) { pen = "M"; continue; }
    path += `${pen}${scale.x(step).toFixed(1)} ${scale.y(value).toFixed(1)}`;
    pen = "L";
  }
  return path;
}

function nearest(points, step) {
  return points.reduce((best, point) =>
    Math.abs(point[0] - step) < Math.abs(best[0] - step) ? point : best);
}

function chart(unit, curves) {
  const scale = scales(curves);
  const steps = [...new Set(curves.flatMap(curve => curve.points.map(point => point[0])))].sort((a, b) => a - b);
  const cursor = svg("line", {class: "cursor", y1: plot.top, y2: plot.bottom, visibility: "hidden"});
  const step = html("span", {class: "step"}), key = html("div", {class: "key"});
  const values = curves.map(() => html("span", {class: "value"}));
  const dots = curves.map((_, i) => svg("circle", {class: `dot s${i % 4}`, r: 4}));
  curves.forEach((curve, i) => key.append(html("span", {},
    svg("svg", {class: "swatch", viewBox: "0 0 22 8"}, svg("line", {class: `s${i % 4}`, x1: 0, x2: 22, y1: 4, y2: 4})),
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

  const image = svg("svg", {viewBox: `0 0 ${plot.width} ${plot.height}`, role: "img", tabindex: 0,
    "aria-label": `${unit} by step: ${curves.map(curve => curve.name).join(", ")}; arrow keys move along the curve`},
    ...axes(scale),
    ...curves.map((curve, i) => svg("path", {class: `curve s${i % 4}`, d: curvePath(curve.points, scale)})),
    cursor, ...dots);
  const point = event => {
    const box = image.getBoundingClientRect();
    const x = (event.clientX - box.left) / box.width * plot.width;
    show(steps.indexOf(steps.reduce((best, one) =>
      Math.abs(scale.x(one) - x) < Math.abs(scale.x(best) - x) ? one : best)), true);
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
  return html("figure", {class: "chart"},
    html("figcaption", {"aria-live": "polite"}, step, html("span", {class: "unit"}, unit), key), image);
}

function charts(curves) {
  const units = [...new Set(curves.map(curve => curve.unit))];
  return html("div", {class: "charts"},
    ...units.map(unit => chart(unit, curves.filter(curve => curve.unit === unit))));
}

// ---- tokens

const mark = /^\p{M}/u, wordEnd = "</w>";

// A combining mark by itself gets something to stand on.
function written(token) {
  const text = token.length > wordEnd.length && token.endsWith(wordEnd) ? token.slice(0, -wordEnd.length) : token;
  return mark.test(text) ? "\u25CC" + text : text;
}

function label(token) {
  const points = [...written(token)];
  const text = (points.length > 24 ? points.slice(0, 23).join("") + "…" : points.join("")).replaceAll(" ", "␣");
  return text || "∅";
}

function readsFromTheRight(tokens) {
  const text = tokens.join("");
  const right = text.match(/[\u0590-\u08FF\uFB1D-\uFDFF\uFE70-\uFEFC]/g) ?? [];
  return 2 * right.length > (text.match(/\p{L}/gu) ?? []).length;
}

// Characters follow each other, words stand apart, parts of words are parted where a word ends.
function isSpaced(tokens, i) {
  if (tokens.some(token => token.endsWith(wordEnd))) return tokens[i].endsWith(wordEnd);
  return tokens.some(token => [...token].filter(point => !mark.test(point)).length > 1);
}

// ---- one attention map: the pair of sentences as text, and the matrix under it

const ruler = document.createElement("canvas").getContext("2d");
ruler.font = "700 12.5px system-ui, sans-serif";
const widthOf = text => Math.ceil(ruler.measureText(text).width);

const labelRoom = tokens => Math.max(20, ...tokens.map(token => widthOf(label(token)))) + 12;

function layOut(map, room, left) {
  const rows = map.target.map(label), columns = map.source.map(label);
  const widest = Math.max(0, ...columns.map(widthOf));
  const overhang = widest > 18 ? widest * 0.58 : 0;
  const cell = Math.max(14, Math.min(24, Math.floor((room - left - overhang) / map.source.length)));
  const slanted = widest > cell - 2;
  const top = slanted ? Math.round(widest * 0.82) + 16 : 24;
  return {rows, columns, left, top, cell, slanted, across: cell * columns.length, down: cell * rows.length,
    width: left + cell * columns.length + (slanted ? overhang : 0) + 4, mirrored: readsFromTheRight(map.source)};
}

// `all` are the maps that it will show in turn: their columns stay in one place.
function attentionFigure(first, all = [first]) {
  const left = Math.max(...all.map(map => labelRoom(map.target)));
  let map = first, plan, hovered = null, fixed = null, rowLabels = [], columnLabels = [];
  const source = html("div", {class: "sentence source", role: "listbox", "aria-label": "source tokens"});
  const target = html("div", {class: "sentence target", role: "listbox", "aria-label": "output tokens"});
  const readout = html("p", {class: "readout", role: "status"});
  const matrix = svg("svg", {class: "matrix", role: "img"});
  const scroll = html("div", {class: "scroll"}, matrix);
  const figure = html("figure", {class: "map"},
    html("div", {class: "pair"}, html("span", {class: "side"}, "source"), source,
      html("span", {class: "side"}, "output"), target), scroll, readout);
  const frames = [svg("rect", {class: "frame"}), svg("rect", {class: "frame"})];
  const weight = (t, s) => map.weights[t * map.source.length + s] ?? 0;
  const column = s => plan.left + plan.cell * (plan.mirrored ? map.source.length - 1 - s : s);

  function paint(nodes, labels, weights, chosen) {
    const most = Math.max(1, ...weights);
    nodes.forEach((node, i) => {
      node.style.setProperty("--weight", weights[i] / 1000);
      node.dataset.weight = weights[i];
      node.classList.toggle("strong", weights[i] > 500);
      node.classList.toggle("chosen", i === chosen);
      labels[i]?.classList.toggle("lit", i === chosen || (weights[i] >= 100 && 2 * weights[i] >= most));
    });
  }

  function place(frame, shown, x, y, width, height) {
    frame.setAttribute("visibility", shown ? "visible" : "hidden");
    if (shown) fill(frame, {x, y, width, height}, []);
  }

  // What is lit. {t}: an output token and what it drew from. {s}: a source token and what drew from it. Both: a cell.
  function light() {
    const {t = null, s = null} = hovered ?? fixed ?? {};
    paint([...source.children], columnLabels, map.source.map((_, i) => t !== null ? weight(t, i) : 0), s);
    paint([...target.children], rowLabels, map.target.map((_, i) => s !== null && t === null ? weight(i, s) : 0), t);
    place(frames[0], t !== null, plan.left, plan.top + plan.cell * t, plan.across, plan.cell);
    place(frames[1], s !== null, column(s), t === null ? plan.top : plan.top + plan.cell * t, plan.cell,
      t === null ? plan.down : plan.cell);
    readout.textContent = describe(t, s);
  }

  function describe(t, s) {
    const share = thousandths => thousandths === null ? "an unknown share" : `${(thousandths / 10).toFixed(1)}\u00A0%`;
    const quoted = token => `“\u2068${label(token)}\u2069”`;
    const strongest = (tokens, of, word) => tokens.map((token, i) => [token, of(i)]).filter(([, one]) => one >= 10)
      .sort((a, b) => b[1] - a[1]).slice(0, 4).map(([token, one]) => `${share(one)} ${word} ${quoted(token)}`).join(", ");
    if (t !== null && s !== null) {
      return `${quoted(map.target[t])} drew ${share(map.weights[t * map.source.length + s])} from ${quoted(map.source[s])}`;
    }
    if (t !== null) return `${quoted(map.target[t])} drew ${strongest(map.source, i => weight(t, i), "from") || "nothing"}`;
    if (s !== null) return `${quoted(map.source[s])} gave ${strongest(map.target, i => weight(i, s), "to") || "nothing"}`;
    return "";
  }

  function write(line, tokens, name) {
    line.dir = readsFromTheRight(tokens) ? "rtl" : "ltr";
    line.replaceChildren(...tokens.map((token, i) => {
      const spaced = isSpaced(tokens, i);
      const node = html("span", {class: spaced ? "token spaced" : "token", role: "option", tabindex: i === 0 ? 0 : -1,
        "data-index": i, title: token.length > 24 ? token : ""}, written(token));
      node.addEventListener("pointerenter", event => {
        if (event.pointerType !== "mouse") return;
        hovered = {[name]: i};
        light();
      });
      node.addEventListener("focus", () => {
        for (const other of line.children) other.tabIndex = other === node ? 0 : -1;
        fixed = {[name]: i};
        light();
      });
      return node;
    }));
    // Between words a space that no token owns: lines can break there.
    [...line.children].forEach((node, i) => { if (isSpaced(tokens, i)) node.after(" "); });
  }

  function draw() {
    plan = layOut(map, Math.max(240, Math.min(1080, document.getElementById("page").clientWidth - 40)), left);
    const height = plan.top + plan.down + 4;
    fill(matrix, {width: plan.width, height, viewBox: `0 0 ${plan.width} ${height}`, "aria-label": `attention: ${map.title}`}, []);
    columnLabels = plan.columns.map((text, s) => {
      const x = column(s) + plan.cell / 2;
      return svg("text", plan.slanted ? {transform: `translate(${x + 4} ${plan.top - 6}) rotate(-55)`}
        : {x, y: plan.top - 8, "text-anchor": "middle"}, text);
    });
    rowLabels = plan.rows.map((text, t) =>
      svg("text", {x: plan.left - 7, y: plan.top + plan.cell * (t + 0.5) + 4.5, "text-anchor": "end"}, text));
    const cells = [];
    map.weights.forEach((one, i) => {
      const x = column(i % map.source.length), y = plan.top + plan.cell * Math.floor(i / map.source.length);
      if (one === null) cells.push(svg("text", {x: x + plan.cell / 2, y: y + plan.cell / 2 + 4, "text-anchor": "middle"}, "?"));
      if (one >= 5) cells.push(svg("rect", {class: "cell", x: x + 0.5, y: y + 0.5, width: plan.cell - 1, height: plan.cell - 1, rx: 2, "fill-opacity": one / 1000}));
    });
    matrix.replaceChildren(...columnLabels, ...rowLabels,
      svg("rect", {class: "bed", x: plan.left, y: plan.top, width: plan.across, height: plan.down}), ...cells, ...frames);
    light();
  }

  function show(next) {
    map = next;
    hovered = null;
    if (fixed?.t >= map.target.length) fixed = null;
    write(source, map.source, "s");
    write(target, map.target, "t");
    draw();
  }

  // On the matrix: a cell, or on a label its row or column.
  function locate(event) {
    const box = matrix.getBoundingClientRect(), zoom = plan.width / box.width;
    const x = (event.clientX - box.left) * zoom - plan.left, y = (event.clientY - box.top) * zoom - plan.top;
    const t = Math.floor(y / plan.cell), place = Math.floor(x / plan.cell);
    const s = plan.mirrored ? map.source.length - 1 - place : place;
    if (t >= map.target.length || place >= map.source.length || (t < 0 && place < 0)) return null;
    return {...(t >= 0 && {t}), ...(place >= 0 && {s})};
  }
  matrix.addEventListener("pointermove", event => { if (event.pointerType === "mouse") { hovered = locate(event); light(); } });
  matrix.addEventListener("pointerdown", event => { fixed = locate(event); light(); });
  figure.addEventListener("pointerleave", () => { hovered = null; light(); });
  for (const line of [source, target]) {
    line.addEventListener("pointerleave", () => { hovered = null; light(); });
    line.addEventListener("keydown", event => {
      const all = [...line.children], at = all.indexOf(document.activeElement), ahead = line.dir === "rtl" ? -1 : 1;
      const move = {ArrowRight: at + ahead, ArrowLeft: at - ahead, Home: 0, End: all.length - 1}[event.key];
      if (event.key === "Escape") { fixed = null; light(); }
      if (move === undefined) return;
      event.preventDefault();
      all[move]?.focus();
    });
  }
  figure.addEventListener("focusout", event => { if (event.relatedTarget) { fixed = null; light(); } });
  addEventListener("resize", draw);
  show(first);
  return {figure, show};
}

// ---- sections

function legend() {
  return html("div", {class: "legend"}, html("span", {}, "0 %"), html("i"), html("span", {}, "100 % of what an output token drew"));
}

function learning(snapshots) {
  const last = snapshots.length - 1;
  const views = snapshots[last].maps.map((map, i) =>
    attentionFigure(map, snapshots.map(snapshot => snapshot.maps[i]).filter(Boolean)));
  const slider = html("input", {type: "range", min: 0, max: last, value: last, "aria-label": "training step"});
  const output = html("output"), button = html("button", {type: "button"}, "Play");
  let timer = null;
  function show() {
    const snapshot = snapshots[slider.value];
    output.textContent = `step ${snapshot.step} (${+slider.value + 1} of ${last + 1})`;
    slider.setAttribute("aria-valuetext", output.textContent);
    views.forEach((view, i) => { if (snapshot.maps[i]) view.show(snapshot.maps[i]); });
  }
  function stop() {
    clearInterval(timer);
    timer = null;
    button.textContent = "Play";
  }
  slider.addEventListener("input", () => { stop(); show(); });
  button.addEventListener("click", () => {
    if (timer !== null) return stop();
    if (+slider.value === last) slider.value = 0;
    show();
    button.textContent = "Pause";
    timer = setInterval(() => {
      if (+slider.value >= last) return stop();
      slider.value = +slider.value + 1;
      show();
    }, 600);
  });
  show();
  return section("learning", "How it was learnt",
    "The same held-out sentences, looked at now and again during training. Move the slider to see what the model wrote then, and where it looked.",
    html("div", {class: "timeline"}, button, slider, output), legend(),
    html("div", {class: "maps"}, ...views.map(view => view.figure)));
}

function examples(title, note, rows) {
  const names = ["source", "output", "reference"];
  return section(title.toLowerCase(), title, note, html("table", {},
    html("thead", {}, html("tr", {}, ...names.map(name => html("th", {}, name)),
      html("th", {class: "score"}, report.score_name || "score"))),
    html("tbody", {}, ...rows.map(row => html("tr", {},
      ...names.map(name => html("td", {"data-label": name}, html("bdi", {}, row[name]))),
      html("td", {class: "score", "data-label": report.score_name || "score"}, row.score === null ? "?" : row.score.toFixed(1)))))));
}

function build() {
  const page = document.getElementById("page");
  page.replaceChildren(html("h1", {}, html("bdi", {}, report.title)));
  if (report.facts.length) {
    page.append(html("dl", {class: "facts"}, ...report.facts.map(([what, value]) =>
      html("div", {}, html("dt", {}, what), html("dd", {}, html("bdi", {}, value))))));
  }
  if (report.curves.length) page.append(section("curves", "Curves", "", charts(report.curves)));
  if (report.snapshots.length) page.append(learning(report.snapshots));
  if (report.maps.length) {
    page.append(section("attends", "What it attends to",
      "Each row is a token that was written, each column one that was read. Point at a token or a cell, touch it, or go along a sentence with Tab and the arrow keys.",
      legend(), html("div", {class: "maps"}, ...report.maps.map(map => attentionFigure(map).figure))));
  }
  if (report.worst.length) page.append(examples("Worst", "Held-out sentences where the output is least like the reference.", report.worst));
  if (report.best.length) page.append(examples("Best", "", report.best));
}

build();


// Values: numbers as tables laid out by shape, larger tensors as the heat map of their block means.

let allDigits = false;

const elementsOf = value => value.v ? value.v.split(",") : [];
const isWhole = value => value?.v !== undefined;

// What a value holds beside numbers: {nan, inf}.
function oddities(value) {
  if (!value) return {nan: 0, inf: 0};
  if (!isWhole(value)) return {nan: value.nan, inf: value.inf};
  const inf = value.v.split("inf").length - 1;
  return {nan: value.v.split("nan").length - 1, inf};
}

// The Euclidean norm of the elements that are finite.
function normOf(value) {
  if (!value) return 0;
  if (!isWhole(value)) return Number(value.norm);
  return Math.hypot(...elementsOf(value).map(Number).filter(Number.isFinite));
}

// Numbers

function figures(number, digits = 4) {
  if (!Number.isFinite(number)) return String(number);
  return String(Number(number.toPrecision(digits)));
}

// Numbers that stand together get the same decimals, about five digits for the largest.
function shortened(texts) {
  const finite = texts.map(Number).filter(Number.isFinite);
  const most = finite.reduce((best, x) => Math.max(best, Math.abs(x)), 0);
  if (allDigits || finite.every(Number.isInteger) && most < 1e7) return texts;
  const small = most < 1e-3 || most >= 1e6;
  const written =
      Math.max(...texts.map(text => /e/.test(text) ? 9 : (text.split(".")[1] ?? "").length));
  const decimals = Math.min(written, Math.max(0, 4 - Math.floor(Math.log10(most || 1))));
  return texts.map(text => {
    const x = Number(text);
    if (!Number.isFinite(x) || x === 0) return text;
    if (small) return x.toExponential(3);
    return Number(x.toFixed(decimals)) === 0 ? x.toExponential(1) : x.toFixed(decimals);
  });
}

function kindOf(text) {
  return /nan|inf/.test(text) ? "number bad" : "number";
}

function numberNode(tag, text, shown) {
  return html(
      tag, {class: kindOf(text), "data-value": text, title: shown === text ? null : text}, shown);
}

const oneNumber = text => numberNode("span", text, shortened([text])[0]);

// Short tensors stand in a line of text: 3, [1 2 4], [[1 2] [3 4]].
const isShort = (value, shape) =>
    isWhole(value) && elementsOf(value).length <= 6 && shape.length <= 2;

function inlineValue(value, shape) {
  const texts = elementsOf(value), shown = shortened(texts);
  const nodes = texts.map((text, i) => numberNode("span", text, shown[i]));
  if (!shape.length) return nodes;
  const width = shape.at(-1);
  const spaced = nodes.flatMap((node, i) => i % width ? [" ", node] : [i ? "] [" : "[", node]);
  return shape.length === 2 ? ["[", ...spaced, "]]"] : [...(nodes.length ? spaced : ["["]), "]"];
}

// Tables

const headCell = (text, scope) => html("th", {scope, class: "index"}, text);

function tableOf(nodes, rows, columns, name) {
  const numbered = rows > 1 || columns > 8;
  const indices = Array.from({length: columns}, (_, j) => headCell(String(j), "col"));
  const body = Array.from(
      {length: rows},
      (_, i) => html(
          "tr", {}, rows > 1 ? headCell(String(i), "row") : null,
          ...nodes.slice(i * columns, (i + 1) * columns)));
  return html(
      "table", {class: "numbers", "aria-label": name},
      numbered ? html("thead", {}, html("tr", {}, rows > 1 ? html("td", {}) : null, ...indices)) :
                 null,
      html("tbody", {}, ...body));
}

// A matrix for each index of the dimensions before the last two.
function tables(texts, shape, name) {
  const columns = shape.at(-1) ?? 1, rows = shape.at(-2) ?? 1, size = rows * columns;
  const shown = shortened(texts);
  const nodes = texts.map((text, i) => numberNode("td", text, shown[i]));
  const outer = shape.slice(0, -2);
  return Array.from({length: texts.length / size || 0}, (_, k) => {
    const index = [];
    for (let i = outer.length - 1, rest = k; i >= 0; rest = Math.floor(rest / outer[i]), --i) {
      index.unshift(rest % outer[i]);
    }
    const table = tableOf(nodes.slice(k * size, (k + 1) * size), rows, columns, name);
    if (!outer.length) return table;
    return html(
        "figure", {class: "slice"}, html("figcaption", {}, `[${[...index, ":", ":"].join(", ")}]`),
        table);
  });
}

// Statistics and the map

const statisticNames = ["mean", "min", "max", "norm", "nan", "inf"];
const statisticTitles = {
  nan: "NaN",
  inf: "infinite"
};

function statistics(value) {
  return html(
      "table", {class: "statistics", "aria-label": "statistics of the finite elements"},
      html(
          "thead", {},
          html(
              "tr", {},
              ...statisticNames.map(
                  name => html("th", {scope: "col"}, statisticTitles[name] ?? name)))),
      html("tbody", {}, html("tr", {}, ...statisticNames.map(name => {
             const text = String(value[name]);
             const node = numberNode("td", text, shortened([text])[0]);
             if ((name === "nan" || name === "inf") && value[name]) node.classList.add("bad");
             return node;
           }))));
}

function colourParts(name) {
  return getComputedStyle(document.documentElement)
      .getPropertyValue(name)
      .trim()
      .split(" ")
      .map(Number);
}

// Zero is the colour of the bed; above and below it two colours grow.
function paintMap(canvas, value) {
  const context = canvas.getContext("2d");
  const image = context.createImageData(value.columns, value.rows);
  const low = Number(value.low), high = Number(value.high),
        most = Math.max(Math.abs(low), Math.abs(high)) || 1;
  const bed = colourParts("--bed-parts"), above = colourParts("--plus-parts"),
        below = colourParts("--minus-parts"), bad = colourParts("--bad-parts");
  value.map.forEach((byte, i) => {
    const x = (low + byte / 255 * (high - low)) / most, to = x < 0 ? below : above;
    const colour = byte < 0 ? bad : bed.map((from, c) => from + Math.abs(x) * (to[c] - from));
    image.data.set([...colour, 255], 4 * i);
  });
  context.putImageData(image, 0, 0);
}

function heatMap(value, name) {
  const canvas = html("canvas", {
    width: value.columns,
    height: value.rows,
    role: "img",
    "aria-label": `${name}: means of ${value.rows} by ${value.columns} blocks, from ${
        figures(Number(value.low))} to ${figures(Number(value.high))}`
  });
  const cell = Math.max(2, Math.min(10, Math.floor(192 / Math.max(value.columns, value.rows))));
  canvas.style.width = `${cell * value.columns}px`;
  canvas.style.height = `${cell * value.rows}px`;
  paintMap(canvas, value);
  const marks = value.map.flatMap((byte, i) => {
    if (byte >= 0) return [];
    const mark = html("span", {class: "mark", "aria-hidden": "true"}, "×");
    mark.style.fontSize = `${cell + 3}px`;
    mark.style.left = `${(i % value.columns + 0.5) / value.columns * 100}%`;
    mark.style.top = `${(Math.floor(i / value.columns) + 0.5) / value.rows * 100}%`;
    return [mark];
  });
  return html(
      "figure", {class: "map"}, html("div", {class: "plane"}, canvas, ...marks.slice(0, 64)),
      html(
          "figcaption", {}, "block means ", oneNumber(value.low), " ", html("i", {class: "minus"}),
          html("i"), html("i", {class: "plus"}), " ", oneNumber(value.high)));
}

// A value as a block. `name` says what it is to whoever cannot see where it stands.
function valueBlock(value, shape, name) {
  if (!value) return html("p", {class: "quiet"}, "not known");
  if (isWhole(value)) {
    const texts = elementsOf(value);
    if (!texts.length) return html("p", {class: "quiet empty"}, "no elements");
    return html(
        "div", {
          class: "value scroll",
          tabindex: texts.length > 8 ? 0 : null,
          role: "group",
          "aria-label": name
        },
        ...tables(texts, shape, name));
  }
  const parts = [html("div", {class: "scroll"}, statistics(value))];
  if (value.first) {
    const texts = value.first.split(","), shown = shortened(texts);
    parts.push(html(
        "div", {class: "scroll", tabindex: 0, role: "group", "aria-label": "first row"},
        html("p", {class: "caption"}, "first row"),
        tableOf(
            texts.map((text, i) => numberNode("td", text, shown[i])), 1, texts.length,
            "first row")));
  }
  return html(
      "div", {class: "value large"}, value.map ? heatMap(value, name) : null,
      html("div", {class: "beside"}, ...parts));
}

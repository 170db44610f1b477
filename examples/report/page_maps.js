
// Attention maps: a pair of sentences as text, and the matrix under it.

const mark = /^\p{M}/u, wordEnd = "</w>";

// A combining mark by itself gets something to stand on.
function written(token) {
  const text = token.length > wordEnd.length && token.endsWith(wordEnd) ?
      token.slice(0, -wordEnd.length) :
      token;
  return mark.test(text) ? "\u25CC" + text : text;
}

function label(token) {
  const points = [...written(token)];
  const text = (points.length > 24 ? points.slice(0, 23).join("") + "…" : points.join(""))
                   .replaceAll(" ", "␣");
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
  return {
    rows,
    columns,
    left,
    top,
    cell,
    slanted,
    across: cell * columns.length,
    down: cell * rows.length,
    width: left + cell * columns.length + (slanted ? overhang : 0) + 4,
    mirrored: readsFromTheRight(map.source)
  };
}

// `all` are the maps that it will show in turn: their columns stay in one place.
function attentionFigure(first, all = [first]) {
  const left = Math.max(...all.map(map => labelRoom(map.target)));
  let map = first, plan, hovered = null, fixed = null, rowLabels = [], columnLabels = [];
  const source =
      html("div", {class: "sentence source", role: "listbox", "aria-label": "source tokens"});
  const target =
      html("div", {class: "sentence target", role: "listbox", "aria-label": "output tokens"});
  const readout = html("p", {class: "readout", role: "status"});
  const matrix = svg("svg", {class: "matrix", role: "img"});
  const scroll = html("div", {class: "scroll"}, matrix);
  const figure = html(
      "figure", {class: "map"},
      html(
          "div", {class: "pair"}, html("span", {class: "side"}, "source"), source,
          html("span", {class: "side"}, "output"), target),
      scroll, readout);
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
      labels[i]?.classList.toggle(
          "lit", i === chosen || (weights[i] >= 100 && 2 * weights[i] >= most));
    });
  }

  function place(frame, shown, x, y, width, height) {
    frame.setAttribute("visibility", shown ? "visible" : "hidden");
    if (shown) fill(frame, {x, y, width, height}, []);
  }

  // What is lit. {t}: an output token and what it drew from. {s}: a source token and what drew from
  // it. Both: a cell.
  function light() {
    const {t = null, s = null} = hovered ?? fixed ?? {};
    paint(
        [...source.children], columnLabels, map.source.map((_, i) => t !== null ? weight(t, i) : 0),
        s);
    paint(
        [...target.children], rowLabels,
        map.target.map((_, i) => s !== null && t === null ? weight(i, s) : 0), t);
    place(frames[0], t !== null, plan.left, plan.top + plan.cell * t, plan.across, plan.cell);
    place(
        frames[1], s !== null, column(s), t === null ? plan.top : plan.top + plan.cell * t,
        plan.cell, t === null ? plan.down : plan.cell);
    readout.textContent = describe(t, s);
  }

  function describe(t, s) {
    const share = thousandths =>
        thousandths === null ? "an unknown share" : `${(thousandths / 10).toFixed(1)}\u00A0%`;
    const quoted = token => `“\u2068${label(token)}\u2069”`;
    const strongest = (tokens, of, word) =>
        tokens.map((token, i) => [token, of(i)])
            .filter(([, one]) => one >= 10)
            .sort((a, b) => b[1] - a[1])
            .slice(0, 4)
            .map(([token, one]) => `${share(one)} ${word} ${quoted(token)}`)
            .join(", ");
    if (t !== null && s !== null) {
      return `${quoted(map.target[t])} drew ${share(map.weights[t * map.source.length + s])} from ${
          quoted(map.source[s])}`;
    }
    if (t !== null)
      return `${quoted(map.target[t])} drew ${
          strongest(map.source, i => weight(t, i), "from") || "nothing"}`;
    if (s !== null)
      return `${quoted(map.source[s])} gave ${
          strongest(map.target, i => weight(i, s), "to") || "nothing"}`;
    return "";
  }

  function write(line, tokens, name) {
    line.dir = readsFromTheRight(tokens) ? "rtl" : "ltr";
    line.replaceChildren(...tokens.map((token, i) => {
      const spaced = isSpaced(tokens, i);
      const node = html(
          "span", {
            class: spaced ? "token spaced" : "token",
            role: "option",
            tabindex: i === 0 ? 0 : -1,
            "data-index": i,
            title: token.length > 24 ? token : ""
          },
          written(token));
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
    [...line.children].forEach((node, i) => {
      if (isSpaced(tokens, i)) node.after(" ");
    });
  }

  function draw() {
    plan = layOut(
        map, Math.max(240, Math.min(1080, document.getElementById("page").clientWidth - 40)), left);
    const height = plan.top + plan.down + 4;
    fill(
        matrix, {
          width: plan.width,
          height,
          viewBox: `0 0 ${plan.width} ${height}`,
          "aria-label": `attention: ${map.title}`
        },
        []);
    columnLabels = plan.columns.map((text, s) => {
      const x = column(s) + plan.cell / 2;
      return svg(
          "text",
          plan.slanted ? {transform: `translate(${x + 4} ${plan.top - 6}) rotate(-55)`} :
                         {x, y: plan.top - 8, "text-anchor": "middle"},
          text);
    });
    rowLabels = plan.rows.map(
        (text, t) =>
            svg("text",
                {x: plan.left - 7, y: plan.top + plan.cell * (t + 0.5) + 4.5, "text-anchor": "end"},
                text));
    const cells = [];
    map.weights.forEach((one, i) => {
      const x = column(i % map.source.length),
            y = plan.top + plan.cell * Math.floor(i / map.source.length);
      if (one === null)
        cells.push(
            svg("text", {x: x + plan.cell / 2, y: y + plan.cell / 2 + 4, "text-anchor": "middle"},
                "?"));
      if (one >= 5)
        cells.push(svg("rect", {
          class: "cell",
          x: x + 0.5,
          y: y + 0.5,
          width: plan.cell - 1,
          height: plan.cell - 1,
          rx: 2,
          "fill-opacity": one / 1000
        }));
    });
    matrix.replaceChildren(
        ...columnLabels, ...rowLabels,
        svg("rect",
            {class: "bed", x: plan.left, y: plan.top, width: plan.across, height: plan.down}),
        ...cells, ...frames);
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
    const x = (event.clientX - box.left) * zoom - plan.left,
          y = (event.clientY - box.top) * zoom - plan.top;
    const t = Math.floor(y / plan.cell), place = Math.floor(x / plan.cell);
    const s = plan.mirrored ? map.source.length - 1 - place : place;
    if (t >= map.target.length || place >= map.source.length || (t < 0 && place < 0)) return null;
    return {...(t >= 0 && {t}), ...(place >= 0 && {s})};
  }
  matrix.addEventListener("pointermove", event => {
    if (event.pointerType === "mouse") {
      hovered = locate(event);
      light();
    }
  });
  matrix.addEventListener("pointerdown", event => {
    fixed = locate(event);
    light();
  });
  figure.addEventListener("pointerleave", () => {
    hovered = null;
    light();
  });
  for (const line of [source, target]) {
    line.addEventListener("pointerleave", () => {
      hovered = null;
      light();
    });
    line.addEventListener("keydown", event => {
      const all = [...line.children], at = all.indexOf(document.activeElement),
            ahead = line.dir === "rtl" ? -1 : 1;
      const move =
          {ArrowRight: at + ahead, ArrowLeft: at - ahead, Home: 0, End: all.length - 1}[event.key];
      if (event.key === "Escape") {
        fixed = null;
        light();
      }
      if (move === undefined) return;
      event.preventDefault();
      all[move]?.focus();
    });
  }
  figure.addEventListener("focusout", event => {
    if (event.relatedTarget) {
      fixed = null;
      light();
    }
  });
  addEventListener("resize", draw);
  show(first);
  return {figure, show};
}

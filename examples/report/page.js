
// The sections of the page. page_curves.js and page_maps.js, which follow, draw what is in them.

"use strict";

const report = JSON.parse(document.getElementById("report").textContent);

// Building blocks. Text is only ever set as text, so that none of it becomes markup

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

function legend() {
  return html(
      "div", {class: "legend"}, html("span", {}, "0 %"), html("i"),
      html("span", {}, "100 % of what an output token drew"));
}

function learning(snapshots) {
  const last = snapshots.length - 1;
  const views = snapshots[last].maps.map(
      (map, i) =>
          attentionFigure(map, snapshots.map(snapshot => snapshot.maps[i]).filter(Boolean)));
  const slider =
      html("input", {type: "range", min: 0, max: last, value: last, "aria-label": "training step"});
  const output = html("output"), button = html("button", {type: "button"}, "Play");
  let timer = null;
  function show() {
    const snapshot = snapshots[slider.value];
    output.textContent = `step ${snapshot.step} (${+ slider.value + 1} of ${last + 1})`;
    slider.setAttribute("aria-valuetext", output.textContent);
    views.forEach((view, i) => {
      if (snapshot.maps[i]) view.show(snapshot.maps[i]);
    });
  }
  function stop() {
    clearInterval(timer);
    timer = null;
    button.textContent = "Play";
  }
  slider.addEventListener("input", () => {
    stop();
    show();
  });
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
  return section(
      "learning", "How it was learnt",
      "The same held-out sentences, looked at now and again during training. " +
          "Move the slider to see what the model wrote then, and where it looked.",
      html("div", {class: "timeline"}, button, slider, output), legend(),
      html("div", {class: "maps"}, ...views.map(view => view.figure)));
}

function examples(title, note, rows) {
  const names = ["source", "output", "reference"];
  return section(
      title.toLowerCase(), title, note,
      html(
          "table", {},
          html(
              "thead", {},
              html(
                  "tr", {}, ...names.map(name => html("th", {}, name)),
                  html("th", {class: "score"}, report.score_name || "score"))),
          html(
              "tbody", {},
              ...rows.map(
                  row => html(
                      "tr", {},
                      ...names.map(
                          name => html("td", {"data-label": name}, html("bdi", {}, row[name]))),
                      html(
                          "td", {class: "score", "data-label": report.score_name || "score"},
                          row.score === null ? "?" : row.score.toFixed(1)))))));
}

function build() {
  const page = document.getElementById("page");
  page.replaceChildren(html("h1", {}, html("bdi", {}, report.title)));
  if (report.facts.length) {
    page.append(html(
        "dl", {class: "facts"},
        ...report.facts.map(
            ([what, value]) =>
                html("div", {}, html("dt", {}, what), html("dd", {}, html("bdi", {}, value))))));
  }
  if (report.curves.length) page.append(section("curves", "Curves", "", charts(report.curves)));
  if (report.snapshots.length) page.append(learning(report.snapshots));
  if (report.maps.length) {
    page.append(section(
        "attends", "What it attends to",
        "Each row is a token that was written, each column one that was read. Point at a token " +
            "or a cell, touch it, or go along a sentence with Tab and the arrow keys.",
        legend(),
        html("div", {class: "maps"}, ...report.maps.map(map => attentionFigure(map).figure))));
  }
  if (report.worst.length)
    page.append(examples(
        "Worst", "Held-out sentences where the output is least like the reference.", report.worst));
  if (report.best.length) page.append(examples("Best", "", report.best));
}

addEventListener("DOMContentLoaded", build);


// The ledger of a tensor that is used more than once, and the neighbourhood of an op.

const mostAddends = 16;  // that a ledger shows, of thousands

// The consumer that gave an addend, as a link to its place on the tape.
function entryLink(entry, text = callText(entry)) {
  return button(
      {class: "link", title: `${callText(entry)} ${placeText(userFrame(entry), true)}`},
      () => goToEntry(entry, true), text);
}

const nameOf = entry => entry.output >= 0 ? labelOf(entry.output) : entry.name;

// A value in a cell: short ones whole, others by their norm, with the whole behind a disclosure.
function cellValue(value, shape, name) {
  if (!value) return "–";
  if (isShort(value, shape)) return html("span", {class: "filled"}, ...inlineValue(value, shape));
  return html(
      "details", {}, html("summary", {}, `${shapeText(shape)}, norm ${figures(normOf(value))}`),
      valueBlock(value, shape, name));
}

// What tensor `t` got up to the given step.
function ledger(t, step) {
  const all = contributions[t] ?? [];
  const of = all[0]?.give.of ?? 0;
  if (of < 2) return null;
  const given = all.filter(one => one.step <= step);
  const {shape} = tensors[t], label = labelOf(t), waiting = of - given.length;
  const skipped = Math.max(0, given.length - mostAddends), first = skipped ? 1 : 0;
  const shown = given.filter((_, i) => i < first || i >= first + skipped);
  const rowsOfIt = shown.map(
      ({step: at, give}) => html(
          "tr", {role: "row", "data-step": at + 1, class: at === step ? "latest" : null},
          html(
              "th", {role: "rowheader"}, entryLink(entryOfStep[at], nameOf(entryOfStep[at])),
              html("span", {class: "quiet"}, placeText(userFrame(entryOfStep[at])))),
          html("td", {role: "cell", class: "addend"}, cellValue(give.addend, shape, "addend")),
          html("td", {role: "cell", class: "verb"}, give.nth > 1 ? "added" : "took"),
          html("td", {role: "cell", class: "sum"}, cellValue(give.sum, shape, "sum so far"))));
  if (skipped) {
    rowsOfIt.splice(
        1, 0,
        html(
            "tr", {role: "row", class: "skipped"},
            html(
                "td", {role: "cell", class: "quiet", colspan: 4},
                `… ${count(skipped, "more addend")} …`)));
  }
  const state = waiting > 0 ? `waits for ${waiting} more` : "complete";
  return html(
      "div", {class: "ledger", "data-tensor": t, "data-waiting": waiting},
      html(
          "p", {class: "ledger-head"}, html("b", {}, label),
          ` ${shapeText(shape)}, used ${of} × — `,
          html("span", {class: waiting > 0 ? "waiting" : "complete"}, state)),
      html(
          "div", {class: "scroll"},
          html(
              "table", {role: "table", "aria-label": `gradient of ${label}: ${state}`},
              html(
                  "thead", {role: "rowgroup"},
                  html(
                      "tr", {role: "row"},
                      ...["from", "addend", "", "sum"].map(
                          name => html("th", {role: "columnheader"}, name)))),
              html("tbody", {role: "rowgroup"}, ...rowsOfIt))));
}

// The node, what it was made of, who uses it

const mostNeighbours = 40;

function neighbour(entry, t, from) {
  const text = [
    html("b", {}, t >= 0 ? labelOf(t) : callText(entry)), html("span", {class: "quiet"}, shapeOf(t))
  ];
  if (!entry || entry === from) return html("li", {}, html("span", {class: "leaf"}, ...text));
  return html(
      "li", {},
      button(
          {class: "near", title: callText(entry), "data-entry": entry.at},
          () => goToEntry(entry, true), ...text));
}

function neighbourList(title, items, room) {
  const shown = items.slice(0, room);
  return html(
      "div", {class: "side"}, html("h4", {}, title),
      items.length ? html(
                         "ul", {}, ...shown.map(make => make()),
                         items.length > room ?
                             html("li", {class: "quiet"}, `and ${items.length - room} more`) :
                             null) :
                     html("p", {class: "quiet"}, "nothing"));
}

function neighbourhood(entry) {
  const parents =
      entry.inputs.filter(t => t >= 0)
          .map(
              t => () => neighbour(tensors[t].op >= 0 ? entryOfOp(tensors[t].op) : null, t, entry));
  const children =
      (users[entry.output] ?? []).map(user => () => neighbour(user, user.output, entry));
  const half = Math.max(mostNeighbours / 2, mostNeighbours - children.length);
  const above = Math.min(parents.length, half);
  return html(
      "section", {class: "near-by", "aria-label": "neighbourhood"}, html("h3", {}, "Neighbourhood"),
      html(
          "div", {class: "sides"}, neighbourList("made of", parents, half),
          html("div", {class: "centre"}, html("b", {}, nameOf(entry))),
          neighbourList("used by", children, mostNeighbours - above)));
}

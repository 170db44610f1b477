
// The card: what the op, the call or the loop on the chosen row is, and what its backward step did.

const cardHead = html("div", {class: "head"});
const cardBody = html("div", {class: "body", tabindex: 0, role: "group", "aria-label": "the step"});

function part(title, ...children) {
  return html("section", {}, html("h3", {}, title), ...children);
}

function sourceBlock(frame) {
  const lines = sourceLines(frame);
  if (!lines.length) return null;
  return html(
      "table", {class: "source", "aria-label": `source, ${placeText(frame, true)}`},
      html(
          "tbody", {},
          ...lines.map(
              ({line, text, marked}) => html(
                  "tr", {class: marked ? "marked" : null, "aria-current": marked ? "true" : null},
                  html("td", {class: "sign"}, marked ? "▶" : ""),
                  html("th", {scope: "row"}, String(line)), html("td", {class: "code"}, text)))));
}

// The calls that led here, as one line.
function pathText(entry) {
  return calls[entry.at].map(call => call.label).join(" › ");
}

function headline(entry) {
  const frame = userFrame(entry);
  const dims = tensors[entry.output]?.dims;
  const dtype = tensors[entry.output]?.dtype;
  return html(
      "header", {},
      html(
          "h2", {}, entry.name,
          entry.number ? html("span", {class: "quiet"}, ` #${entry.number}`) : null),
      entry.why ? html("span", {class: "tag"}, `no node: ${entry.why}`) : null,
      entry.kind === "failed" ? html("span", {class: "tag bad"}, "✕ threw") : null,
      entry.kind === "failed" ?
          null :
          html(
              "p", {class: "signature"}, callText(entry),
              entry.output >= 0 ? html(
                                      "span", {class: "quiet"},
                                      ` → ${dims?.length ? `${dims.join(" × ")} ` : ""}${
                                          shapeOf(entry.output)} ${dtype}`) :
                                  null),
      html(
          "p", {class: "where quiet"},
          [pathText(entry), placeText(frame, true)].filter(Boolean).join(" — ")));
}

// A short value stands in the line of its heading.
function valueOrLine(value, shape, name) {
  if (!value || !isShort(value, shape)) return valueBlock(value, shape, name);
  return html("span", {class: "value in-line", "aria-label": name}, ...inlineValue(value, shape));
}

function tensorHead(t, before, entry) {
  const {shape, dtype, dims} = tensors[t];
  return html(
      "h4", {}, before, html("b", {}, labelOf(t)),
      html(
          "span", {class: "quiet"},
          ` ${dims?.length ? `${dims.join(" × ")} ` : ""}${shapeText(shape)}${
              dtype === tensors[entry.output]?.dtype ? "" : ` ${dtype}`}`));
}

function inputBlocks(entry) {
  const blocks = entry.inputs.map((t, i) => {
    const name = parameterOf(entry, i), before = name === labelOf(t) ? "" : `${name}: `;
    if (!tensors[t])
      return html("div", {class: "tensor"}, html("h4", {class: "quiet"}, `${before}left out`));
    return html(
        "div", {class: "tensor", "data-input": i, "data-tensor": t}, tensorHead(t, before, entry),
        valueOrLine(tensors[t].value, tensors[t].shape, `input ${labelOf(t)}`));
  });
  return blocks.length ? part("Inputs", html("div", {class: "tensors"}, ...blocks)) : null;
}

function forward(entry) {
  if (entry.output < 0) return null;
  const {value, shape} = tensors[entry.output];
  return html(
      "section", {class: "forward", "data-output": entry.output},
      formulaBlock("y", entry.formula, bindings(entry), value, shape, "output"));
}

// Backward

function gradientIn(entry, taken) {
  const shape = shapeFor(entry.output, taken.gradient);
  return html(
      "section", {class: "gradient-in"}, html("h3", {}, "Gradient coming in, g"),
      valueOrLine(taken.gradient, shape, "gradient coming in"),
      entry.output >= 0 ? ledger(entry.output, entry.step) : null);
}

function edgeBlock(entry, taken, give) {
  const name = parameterOf(entry, give.input), shape = shapeFor(give.tensor, give.addend);
  const label = labelOf(give.tensor), called = name === label ? name : `${name}: ${label}`;
  return html(
      "div", {class: "tensor edge", "data-input": give.input, "data-tensor": give.tensor},
      html(
          "h4", {}, "to ", html("b", {}, called),
          html("span", {class: "quiet"}, ` ${shapeText(shape)}`),
          give.of > 1 ? html("span", {class: "quiet"}, `, ${give.nth} of ${give.of}`) : null),
      formulaBlock(
          `d${name}`, entry.derivatives[give.input] ?? "", bindings(entry, taken), give.addend,
          shape, `gradient going out to ${label}`));
}

function gradientOut(entry, taken) {
  const ledgers = [...new Set(taken.gives.map(give => give.tensor))]
                      .filter(t => tensors[t])
                      .map(t => ledger(t, entry.step));
  const names = taken.ops ?? [];
  return html(
      "section", {class: "gradient-out"}, html("h3", {}, "Gradient going out"),
      taken.gives.length ? html(
                               "div", {class: "tensors"},
                               ...taken.gives.map(give => edgeBlock(entry, taken, give))) :
                           html("p", {class: "quiet"}, "None of its inputs requires a gradient."),
      ...ledgers,
      names.length ? html(
                         "details", {class: "own-ops"},
                         html("summary", {}, `Computed by ${count(names.length, "op")}`),
                         html("p", {}, names.join(", "))) :
                     null);
}

function notReached(entry) {
  if (!view.backwards || entry.kind === "failed" || entry.step >= 0) return null;
  return html(
      "p", {class: "note"},
      entry.why ? `No gradient passes here: ${entry.why}.` : "Backward did not reach this op.");
}

function opCard(entry) {
  const taken = view.backwards && entry.step >= 0 ? backward[entry.step] : null;
  const asks = taken && predict.asks(entry.step);
  return [
    headline(entry),
    entry.failed ? html("p", {class: "failure", role: "note"}, entry.failed) : null,
    sourceBlock(userFrame(entry)), forward(entry), notReached(entry),
    taken ? gradientIn(entry, taken) : null,
    asks      ? predict.form(entry) :
        taken ? gradientOut(entry, taken) :
                null,
    inputBlocks(entry), entry.output >= 0 ? neighbourhood(entry) : null
  ];
}

// A call or a loop

function repeatPicker(node) {
  const times = node.repeats.length;
  if (times < 2) return null;
  const slider = html("input", {
    type: "range",
    min: 1,
    max: times,
    value: repeatOf(node) + 1,
    "aria-label": `which of the ${times}`,
    "aria-valuetext": `${repeatOf(node) + 1} of ${times}`
  });
  slider.addEventListener("change", () => chooseRepeat(node, slider.value - 1));
  return html(
      "p", {class: "picker"}, slider, html("output", {}, `${repeatOf(node) + 1} of ${times}`));
}

function foldCard(node) {
  const entries = entriesIn(node),
        steps = entries.map(entry => entry.step).filter(step => step >= 0);
  const range =
      steps.length ? `, backward steps ${Math.min(...steps) + 1} to ${Math.max(...steps) + 1}` : "";
  const times = node.repeats.length > 1 ? ` × ${node.repeats.length}` : "";
  return [
    html(
        "header", {}, html("h2", {}, node.label, html("span", {class: "quiet"}, times)),
        html("p", {class: "where quiet"}, placeText(node.frame, true)),
        html("p", {}, `${count(entries.length, "op")}${range}`)),
    repeatPicker(node), sourceBlock(node.frame),
    html(
        "ul", {class: "ops"},
        ...entries.slice(0, mostNeighbours)
            .map(
                entry => html(
                    "li", {}, entryLink(entry),
                    html("span", {class: "quiet"}, ` ${shapeOf(entry.output)}`))),
        entries.length > mostNeighbours ?
            html("li", {class: "quiet"}, `and ${entries.length - mostNeighbours} more`) :
            null)
  ];
}

function drawCard() {
  const scrolled = cardBody.scrollTop;
  const node = rows[rowOfPath.get(view.selected)]?.node;
  const content = view.entry ? opCard(view.entry) : node ? foldCard(node) : [];
  cardBody.replaceChildren(...content.filter(Boolean));
  cardBody.dataset.entry = view.entry?.at ?? "";
  cardBody.scrollTop = scrolled;
}

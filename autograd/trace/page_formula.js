
// Formulas, as the op gives them and with the numbers put in.

const word = /[A-Za-z_\u03b1-\u03c9][A-Za-z_0-9]*|\d[\d.]*|\s+|./gu;

// What a letter of the op's formula stands for.
function bindings(entry, taken = null) {
  const bound = new Map();
  const bind = (name, t, value) => {
    if (name && tensors[t]) bound.set(name, {value, shape: tensors[t].shape, label: labelOf(t)});
  };
  bind("y", entry.output, tensors[entry.output]?.value);
  if (taken)
    bound.set(
        "g", {value: taken.gradient, shape: shapeFor(entry.output, taken.gradient), label: "g"});
  entry.inputs.forEach((t, i) => bind(entry.parameters[i], t, tensors[t]?.value));
  return bound;
}

function operand(bound) {
  if (isShort(bound.value, bound.shape)) {
    return html(
        "span", {class: "filled", title: bound.label}, ...inlineValue(bound.value, bound.shape));
  }
  return html(
      "span", {class: "filled"}, bound.label,
      html("span", {class: "quiet"}, ` ${shapeText(bound.shape)}`));
}

// Two operands side by side are a product: with numbers in their place it needs its sign. A word
// that no bracket follows, as in "g for every element", is none.
function isProduct(tokens, at, bound) {
  const before = tokens[at - 1] ?? "", after = tokens[at + 1] ?? "";
  const isWord = text => /^[A-Za-z]\w*$/.test(text) && !bound.has(text);
  const isOperand = bound.has(after) || /^[\d([\u03a3\u03b1-\u03c9]/.test(after) ||
      isWord(after) && tokens[at + 2] === "(";
  return (bound.has(before) || bound.has(after)) && /[\w)\]\u1d40]$/.test(before) &&
      !isWord(before) && isOperand;
}

function withNumbers(formula, bound) {
  const tokens = formula.match(word) ?? [];
  return tokens.map((token, i) => {
    if (/^\s+$/.test(token) && isProduct(tokens, i, bound)) return " · ";
    return bound.has(token) ? operand(bound.get(token)) : token;
  });
}

// The formula, the formula with the numbers put in, and what it comes to, as `name`.
function formulaBlock(left, formula, bound, value, shape, name) {
  const isLetter = bound.has(formula.trim()), short = value && isShort(value, shape);
  const line = (...content) => {  // its sign of equality under that of the formula
    const node = html("p", {class: "formula"}, "= ", ...content);
    node.style.paddingLeft = `${left.length + 1}ch`;
    return node;
  };
  const result = short ?
      html("span", {class: "value", "aria-label": name}, ...inlineValue(value, shape)) :
      null;
  if (!formula) {
    return html(
        "div", {class: "formulas"},
        short ? html("p", {class: "formula"}, `${left} = `, result) : null,
        html("p", {class: "caption"}, "The op gives no formula."),
        short ? null : valueBlock(value, shape, name));
  }
  return html(
      "div", {class: "formulas"}, html("p", {class: "formula"}, `${left} = ${formula}`),
      isLetter && short ? null : line(...withNumbers(formula, bound)),
      short ? line(result) : valueBlock(value, shape, name));
}

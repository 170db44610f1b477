
// The recording, as the other files of the page read it.

"use strict";

// Numbers stay the text that the recording holds. Read and written again, 1e+20 and integers above
// 2^53 would be other text.
function parseRecording(text) {
  const numbers = /"(v|first)":\s*\[([^\]]*)\]/g;
  const statistics = /"(mean|min|max|norm|low|high)":\s*(-?\d[\d.eE+-]*)/g;
  return JSON.parse(
      text.replace(numbers, (_, key, list) => `"${key}":"${list.replace(/["\s]/g, "")}"`)
          .replace(statistics, '"$1":"$2"'));
}

const recording = parseRecording(document.getElementById("recording").textContent);
const {frames, tensors, backward} = recording;

// Building blocks. Text is only ever set as text, so that none of it becomes markup

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true)
      node.setAttribute(name, "");
    else if (value !== false && value !== null)
      node.setAttribute(name, value);
  }
  node.append(...children.flat().filter(child => child !== null && child !== ""));
  return node;
}

function html(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function button(attributes, action, ...children) {
  const node = html("button", {type: "button", ...attributes}, ...children);
  node.addEventListener("click", action);
  return node;
}

const count = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;

// The tape: what the recording calls ops, between the nodes of before it began and the op that
// threw

const noOp = {
  stack: -1,
  inputs: [],
  output: -1,
  why: "",
  step: -1,
  formula: "",
  parameters: [],
  derivatives: [],
  number: 0,
  kind: "op",
  failed: ""
};

const earlier = backward.map((taken, step) => ({taken, step}))
                    .filter(({taken}) => taken.op < 0)
                    .reverse()
                    .map(({taken, step}) => ({...noOp, name: taken.name, step, kind: "earlier"}));

const tape = [
  ...earlier, ...recording.ops.map((op, i) => ({...noOp, ...op, number: i + 1})),
  ...(recording.failed ?
          [{...noOp, ...recording.failed, kind: "failed", failed: recording.failed.text}] :
          [])
];
tape.forEach((entry, at) => entry.at = at);

const entryOfOp = op => op < 0 ? null : tape[earlier.length + op];
const entryOfStep = backward.map(
    (taken, step) => entryOfOp(taken.op) ?? earlier.find(entry => entry.step === step));

// Of every tensor: the ops that take it, and what backward gave to it, in order
const users = tensors.map(() => []);
const contributions = tensors.map(() => []);
for (const entry of tape) {
  for (const t of new Set(entry.inputs)) users[t]?.push(entry);
}
backward.forEach((taken, step) => {
  for (const give of taken.gives) contributions[give.tensor]?.push({step, give});
});

// Names

const shapeText = shape => shape.length ? `[${shape.join(", ")}]` : "scalar";

// The shape of a value of tensor t, which may be none that the recording knows.
function shapeFor(t, value) {
  return tensors[t]?.shape ??
      (isWhole(value) && elementsOf(value).length !== 1 ? [elementsOf(value).length] : []);
}

function shapeOf(t) {
  return tensors[t] ? shapeText(tensors[t].shape) : "";
}

function labelOf(t) {
  const tensor = tensors[t];
  if (!tensor) return "nothing";
  if (tensor.name) return tensor.name;
  if (tensor.op >= 0) return `${recording.ops[tensor.op].name} #${tensor.op + 1}`;
  const index = [...String(t)].map(digit => String.fromCodePoint(0x2080 + Number(digit))).join("");
  return `${tensor.grad ? "leaf" : "constant"}${index}`;
}

function callText(entry) {
  return entry.kind === "earlier" ? entry.name :
                                    `${entry.name}(${entry.inputs.map(labelOf).join(", ")})`;
}

const parameterOf = (entry, i) =>
    entry.parameters[i] ?? (entry.inputs.length > 1 ? `${i + 1}` : "x");

// Places in the user's code

const fileName = path => path.slice(path.lastIndexOf("/") + 1);
const functionName = frame => frame.f.replace(/\+(0x)?[\da-f]+$/, "") || "?";
const framesOf = entry => (recording.stacks[entry.stack] ?? []).map(i => frames[i]);

// The frame of the user's line, or the innermost that is known.
function userFrame(entry) {
  const stack = framesOf(entry);
  return stack[recording.user[entry.stack]] ?? stack.at(-1) ?? null;
}

function placeText(frame, whole = false) {
  if (!frame) return "";
  if (!frame.file) return whole ? frame.f : "";
  return `${whole ? frame.file : fileName(frame.file)}:${frame.line}`;
}

function sourceLines(frame) {
  const lines = recording.sources?.[frame?.file] ?? {};
  return [frame?.line - 1, frame?.line, frame?.line + 1]
      .filter(line => lines[line] !== undefined)
      .map(line => ({line, text: lines[line], marked: line === frame.line}));
}

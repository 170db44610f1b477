
// Predict: before a step shows what it gives, the reader types a shape, a sign or a number.

const predict = {
  on: false,
  asked: 0,
  right: 0,
  done: new Map(),  // by step: what the reader was told
  asks: step => predict.on && !predict.done.has(step) && questionOf(step) !== null,
  form: entry => questionForm(entry)
};

const minus = typed => typed.trim().replace("−", "-");

const indexText = (at, shape) => {
  const index = [];
  for (let i = shape.length - 1, rest = at; i >= 0; rest = Math.floor(rest / shape[i]), --i) {
    index.unshift(rest % shape[i]);
  }
  return `[${index.join(", ")}]`;
};

function largestElement(texts) {
  const sizes = texts.map(text => Number.isFinite(Number(text)) ? Math.abs(Number(text)) : -1);
  return sizes.indexOf(Math.max(...sizes));
}

// The edge to ask about, and what to ask of it: in turn a shape, a sign, a number.
function questionOf(step) {
  const gives = backward[step].gives.filter(give => tensors[give.tensor]);
  if (!gives.length) return null;
  const give = gives[Math.floor(step / 3) % gives.length], {shape} = tensors[give.tensor];
  const label = labelOf(give.tensor);
  const texts = isWhole(give.addend) ? elementsOf(give.addend) : [];
  const at = largestElement(texts), text = texts[at];
  if (step % 3 === 0 || !texts.length || !Number.isFinite(Number(text))) {
    return {
      ask: `What is the shape of the gradient that goes to ${label}?`,
      hint: "for example 3, 4, or scalar",
      answer: shapeText(shape),
      check: typed => (typed.match(/\d+/g) ?? []).join() === shape.join()
    };
  }
  const what = shape.length ? `element ${indexText(at, shape)} of the gradient` : "the gradient";
  if (step % 3 === 1) {
    const sign = {"-1": "-", 0: "0", 1: "+"}[Math.sign(Number(text))];
    return {
      ask: `What is the sign of ${what} that goes to ${label}?`,
      hint: "+, - or 0",
      answer: `${sign} (${text})`,
      check: typed => minus(typed)[0] === sign
    };
  }
  return {
    ask: `What is ${what} that goes to ${label}, within 1 %?`,
    hint: "a number",
    answer: text,
    check: typed => typed.trim() !== "" &&
        Math.abs(Number(minus(typed)) - Number(text)) <= 0.01 * Math.abs(Number(text)) + 1e-12
  };
}

function questionForm(entry) {
  const question = questionOf(entry.step);
  const input = html("input", {
    type: "text",
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: "false",
    placeholder: question.hint,
    "aria-label": question.ask
  });
  const form = html(
      "form", {class: "question"}, html("h3", {}, "Predict"), html("p", {}, question.ask),
      html(
          "div", {class: "answer"}, input, html("button", {type: "submit"}, "Answer"),
          button({class: "plain"}, () => settleQuestion(entry.step, question, null), "Show me")));
  input.addEventListener("keydown", event => {
    if (event.key === "Escape") tapeList.focus({preventScroll: true});
  });
  form.addEventListener("submit", event => {
    event.preventDefault();
    settleQuestion(entry.step, question, input.value);
  });
  return form;
}

// The field is ready to type into, except where that would bring up a keyboard on the screen.
function showQuestion() {
  const form = document.querySelector(".question");
  form?.scrollIntoView({block: "nearest"});
  if (form && !searchField.matches(":focus") && !matchMedia("(pointer: coarse)").matches) {
    form.querySelector("input").focus({preventScroll: true});
  }
}

function settleQuestion(step, question, typed) {
  const right = typed !== null && question.check(typed);
  if (typed !== null) {
    predict.asked += 1;
    predict.right += right;
  }
  const told = typed === null ? `Shown: ${question.answer}` :
      right ? `✓ Right: ${question.answer}` :
              `✕ Wrong: it is ${question.answer}`;
  predict.done.set(step, told);
  draw();
  say(`${told}. ${scoreText()}`);
  tapeList.focus({preventScroll: true});
}

const isOver = () =>
    backward.every((_, step) => predict.done.has(step) || questionOf(step) === null);

function scoreText() {
  if (!predict.on || !predict.asked) return "";
  const score = `${predict.right} of ${predict.asked} right`;
  const atEnd = view.step === backward.length - 1 && !predict.asks(view.step);
  return atEnd || isOver() ? `Score at the end: ${score}` : score;
}

// What stands in the card's head while the mode is on: what the reader was told last, and the
// score.
function verdict() {
  if (!predict.on || !view.backwards) return null;
  const told = view.entry && predict.done.get(view.entry.step);
  return html(
      "p", {class: "verdict"},
      told ? html("span", {class: `told ${told[0] === "✕" ? "bad" : ""}`}, told) : null,
      html("span", {class: "score"}, scoreText()));
}

function togglePredict() {
  predict.on = !predict.on && backward.length > 0;
  if (predict.on) {
    predict.done.clear();
    predict.asked = predict.right = 0;
    if (!view.backwards) toggleDirection();
  }
  draw();
  say(predict.on ? "Predict mode: each step asks before it shows" : "Predict mode is off");
  showQuestion();
}

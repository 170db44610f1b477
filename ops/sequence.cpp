// All steps of a recurrent layer's direction as one op (the cells' formulas are in recurrent.cpp).
// Forward: the inputs of all steps in one product; then each step is one product of its state and
// the cell's pass. Backward: each step is the cell's pass and one product; then each weight's
// gradient is one product over all steps, as dW_hh = Σ_t dgates_tᵀ h_(t-1) (Appleyard et al.,
// "Optimizing performance of recurrent neural networks on GPUs", 2016).
// The states lie in [t + 1, b, h], with the first state where the walk begins.
// walk_of_ops is the same out of ops, for derivatives of the derivative.
#include "ops/dispatch.h"
#include "ops/ops.h"

namespace regrad {
namespace {

// In which order the steps are taken, and where their states lie.
struct Walk {
  int64_t steps, batch, size;
  bool reverse;
  int64_t rows() const { return steps * batch; }
  int64_t state() const { return batch * size; }                         // elements
  int64_t step(int64_t i) const { return reverse ? steps - 1 - i : i; }  // taken as the i-th
  int64_t before(int64_t t) const { return (reverse ? t + 1 : t) * state(); }
  int64_t after(int64_t t) const { return (reverse ? t : t + 1) * state(); }
  int64_t start() const { return reverse ? steps * state() : 0; }
  int64_t cells() const { return (steps + 1) * state(); }  // an LSTM's, behind its hidden states
  // Of states [t + 1, b, h]: those before each step [t b, h], and those after it [t, b, h].
  Tensor all_before(const Tensor& states) const { return view(states, {rows(), size}, before(0)); }
  Tensor all_after(const Tensor& states) const {
    return view(states, {steps, batch, size}, after(0));
  }

 private:
  static Tensor view(const Tensor& states, const Shape& shape, int64_t offset) {
    return view_of(states, shape, shape.contiguous_strides(), offset);
  }
};

// x [t, b, i] with zeros where no sequence runs: the weights' gradients multiply what is there by
// 0.
Tensor without_padding(const Tensor& x, const Tensor& runs) {
  return runs.defined() ? where(unsqueeze(runs, 2), x, 0) : x;
}

// What the steps of a sequence read, beside the states.
struct Given {
  Tensor x;  // [t b, i]
  SequenceWeights weights;
  Tensor runs;  // bool [t, b], or undefined: all run
  const bool* runs_at(int64_t row) const {
    return runs.defined() ? raw<bool>(runs) + row : nullptr;
  }
};

// c = a bᵀ + bias, or c += a bᵀ + bias; a [rows, k], b [n, k], c's rows c_row apart.
template <class T>
Gemm<T> times_transposed(int64_t rows, const T* a, const Tensor& b, const Tensor& bias, T* c,
                         int64_t c_row) {
  Gemm<T> g;
  g.m = rows, g.n = b.size(0), g.k = b.size(1);
  g.a = a, g.a_row = g.k, g.a_col = 1;
  g.b = raw<T>(b), g.b_row = 1, g.b_col = g.k;
  g.c = c, g.c_row = c_row;
  if (bias.defined()) g.bias = raw<T>(bias);
  return g;
}

// c += a b; a [rows, k], b [k, n], all contiguous.
template <class T>
Gemm<T> added_product(int64_t rows, const T* a, const Tensor& b, T* c) {
  Gemm<T> g;
  g.m = rows, g.n = b.size(1), g.k = b.size(0);
  g.a = a, g.a_row = g.k, g.a_col = 1;
  g.b = raw<T>(b), g.b_row = g.n, g.b_col = 1;
  g.c = c, g.c_row = g.n, g.accumulate = true;
  return g;
}

template <class T>
void put_state(const Walk& walk, const Tensor& first, T* states) {
  const Loop all = make_loop({&first, &first});
  kernels<T>(first).move.copy(all, states + walk.start(), raw<T>(first));
}

// gates [t b, width]: r, z, n of x, then where width is 4 h what the backward pass needs of them.
template <class T>
void run_gru(const Walk& walk, const Given& given, int64_t width, T* gates, T* states) {
  const auto& table = kernels<T>(given.x);
  const SequenceWeights& w = given.weights;
  table.gemm(
      times_transposed(walk.rows(), raw<T>(given.x), w.weight_ih, w.bias_ih, gates, width));
  const Tensor recurrent = empty({walk.batch, 3 * walk.size}, given.x.dtype(), given.x.device());
  GruStep<T> step{.rows = walk.batch, .size = walk.size};
  step.gates_stride = width, step.gates_h = raw<T>(recurrent);
  for (int64_t i = 0; i < walk.steps; ++i) {
    const int64_t row = walk.step(i) * walk.batch;
    step.hidden = states + walk.before(walk.step(i));
    table.gemm(times_transposed(walk.batch, step.hidden, w.weight_hh, w.bias_hh, raw<T>(recurrent),
                                3 * walk.size));
    step.active = given.runs_at(row), step.out = states + walk.after(walk.step(i));
    step.gates_x = gates + row * width;
    step.saved = width == 4 * walk.size ? gates + row * width : nullptr;
    table.cells.gru(step);
  }
}

// states [2, t + 1, b, h]; gates [t b, width]: width is 5 h where a backward pass may follow.
template <class T>
void run_lstm(const Walk& walk, const Given& given, int64_t width, T* gates, T* states) {
  const auto& table = kernels<T>(given.x);
  const SequenceWeights& w = given.weights;
  table.gemm(
      times_transposed(walk.rows(), raw<T>(given.x), w.weight_ih, w.bias_ih, gates, width));
  LstmStep<T> step{.rows = walk.batch, .size = walk.size};
  step.gates_stride = width, step.out_stride = walk.size;
  for (int64_t i = 0; i < walk.steps; ++i) {
    const int64_t row = walk.step(i) * walk.batch;
    T* const at = gates + row * width;
    step.hidden = states + walk.before(walk.step(i)), step.cell = step.hidden + walk.cells();
    Gemm<T> product = times_transposed(walk.batch, step.hidden, w.weight_hh, w.bias_hh, at, width);
    product.accumulate = true;
    table.gemm(product);
    step.active = given.runs_at(row), step.gates = at;
    step.out = states + walk.after(walk.step(i)), step.out_cell = step.out + walk.cells();
    step.saved = width == 5 * walk.size ? at : nullptr;
    table.cells.lstm(step);
  }
}

// dx [t b, 3 h] and dh [t b, 3 h]: gradients of both halves of the gates; dhidden [b, h] comes as
// 0.
template <class T>
void run_gru_back(const Walk& walk, const Given& given, const Tensor& g, const Tensor& saved,
                  const Tensor& states, const Tensor& dx, const Tensor& dh, const Tensor& dhidden) {
  GruStepBackward<T> step{.rows = walk.batch, .size = walk.size};
  step.dhidden = raw<T>(dhidden), step.carry = step.dhidden;
  for (int64_t i = walk.steps - 1; i >= 0; --i) {
    const int64_t t = walk.step(i), row = t * walk.batch;
    step.active = given.runs_at(row);
    step.dx = raw<T>(dx) + row * 3 * walk.size, step.dgates_h = raw<T>(dh) + row * 3 * walk.size;
    step.g = raw<T>(g) + t * walk.state(), step.saved = raw<T>(saved) + row * 4 * walk.size;
    step.hidden = raw<T>(states) + walk.before(t);
    kernels<T>(g).cells.gru_backward(step);
    kernels<T>(g).gemm(
        added_product<T>(walk.batch, step.dgates_h, given.weights.weight_hh, step.dhidden));
  }
}

template <class T>
void run_lstm_back(const Walk& walk, const Given& given, const Tensor& g, const Tensor& saved,
                   const Tensor& states, const Tensor& dgates, const Tensor& dhidden,
                   const Tensor& dcell) {
  LstmStepBackward<T> step{.rows = walk.batch, .size = walk.size};
  step.g_stride = walk.size;
  step.dhidden = raw<T>(dhidden), step.carry = step.dhidden;
  step.dcell = raw<T>(dcell), step.carry_cell = step.dcell;
  for (int64_t i = walk.steps - 1; i >= 0; --i) {
    const int64_t t = walk.step(i), row = t * walk.batch;
    step.active = given.runs_at(row);
    step.dgates = raw<T>(dgates) + row * 4 * walk.size;
    step.g = raw<T>(g) + t * walk.state(), step.g_cell = step.g + walk.steps * walk.state();
    step.saved = raw<T>(saved) + row * 5 * walk.size;
    step.cell = raw<T>(states) + walk.cells() + walk.before(t);
    kernels<T>(g).cells.lstm_backward(step);
    kernels<T>(g).gemm(
        added_product<T>(walk.batch, step.dgates, given.weights.weight_hh, step.dhidden));
  }
}

// Of x and of the weights, from the gradients of both halves of the gates, [t b, G h] each.
struct WeightGradients {
  Tensor x, weight_ih, weight_hh, bias_ih, bias_hh;
};
WeightGradients weight_gradients(const Walk& walk, const Given& given, const Tensor& dx,
                                 const Tensor& dh, const Tensor& before, Needed needed,
                                 size_t first_weight) {
  WeightGradients d;
  if (needed[0]) {
    d.x = reshape(matmul(dx, given.weights.weight_ih), {walk.steps, walk.batch, given.x.size(1)});
  }
  if (needed[first_weight]) d.weight_ih = matmul(transpose(dx), given.x);
  if (needed[first_weight + 1]) d.weight_hh = matmul(transpose(dh), before);
  if (needed[first_weight + 2]) d.bias_ih = sum(dx, 0);
  if (needed[first_weight + 3]) {
    d.bias_hh = dx.shares_body(dh) && d.bias_ih.defined() ? d.bias_ih : sum(dh, 0);
  }
  return d;
}

using Step = std::vector<Tensor> (*)(const Tensor& gates_x, const SequenceWeights& w,
                                     const std::vector<Tensor>& state);

// The states of one cell, step by step, as ops: each of them [t, b, h].
std::vector<Tensor> walk_of_ops(Step step, const Tensor& x, std::vector<Tensor> state,
                                const SequenceWeights& w, const Tensor& runs, bool reverse) {
  const int64_t steps = x.size(0);
  const Tensor gates = linear(without_padding(x, runs), w.weight_ih, w.bias_ih);
  std::vector<std::vector<Tensor>> all(state.size(),
                                       std::vector<Tensor>(static_cast<size_t>(steps)));
  for (int64_t i = 0; i < steps; ++i) {
    const int64_t t = reverse ? steps - 1 - i : i;
    std::vector<Tensor> next = step(select(gates, 0, t), w, state);
    for (size_t k = 0; k < state.size(); ++k) {
      if (runs.defined()) next[k] = where(unsqueeze(select(runs, 0, t), 1), next[k], state[k]);
      state[k] = all[k][static_cast<size_t>(t)] = next[k];
    }
  }
  std::vector<Tensor> stacked;
  for (const std::vector<Tensor>& one : all) stacked.push_back(stack(one));
  return stacked;
}

std::vector<Tensor> gru_of_ops(const Tensor& gates_x, const SequenceWeights& w,
                               const std::vector<Tensor>& state) {
  return {gru_step(gates_x, linear(state[0], w.weight_hh, w.bias_hh), state[0])};
}

std::vector<Tensor> lstm_of_ops(const Tensor& gates_x, const SequenceWeights& w,
                                const std::vector<Tensor>& state) {
  const int64_t size = state[1].size(1);
  const Tensor next = lstm_step(add(gates_x, linear(state[0], w.weight_hh, w.bias_hh)), state[1]);
  return {narrow(next, 1, 0, size), narrow(next, 1, size, size)};
}

Walk check_sequence(const char* op, int64_t gates, const Tensor& x, const Tensor& state,
                    const SequenceWeights& w, const SequenceOptions& options) {
  check(x.rank() == 3 && state.rank() == 2 && x.size(1) == state.size(0),
        "{}: takes x [time, batch, in] and a state [batch, hidden], not {} and {}", op, called(x),
        called(state));
  const int64_t size = state.size(1), wide = checked_mul(gates, size);
  static_cast<void>(
      checked_mul(checked_mul(5, size), checked_mul(checked_add(x.size(0), 1), x.size(1))));
  check(w.weight_ih.shape() == Shape{wide, x.size(2)} && w.weight_hh.shape() == Shape{wide, size},
        "{}: for x {} and a state {} the weights must be [{}, {}] and [{}, {}], not {} and {}", op,
        called(x), called(state), wide, x.size(2), wide, size, called(w.weight_ih),
        called(w.weight_hh));
  for (const Tensor* bias : {&w.bias_ih, &w.bias_hh}) {
    if (!bias->defined()) continue;
    check(bias->shape() == Shape{wide}, "{}: the bias must be [{}], not {}", op, wide,
          called(*bias));
    same_dtype(op, x, *bias);
  }
  for (const Tensor* other : {&state, &w.weight_ih, &w.weight_hh}) same_dtype(op, x, *other);
  check(!options.lengths.defined() || options.lengths.shape() == Shape{x.size(1)},
        "{}: lengths must be [{}], not {}", op, x.size(1),
        options.lengths.defined() ? options.lengths.shape() : Shape());
  return {x.size(0), x.size(1), size, options.reverse};
}

Given plain_inputs(const Walk& walk, const Tensor& x, const SequenceWeights& w,
                   const Tensor& lengths) {
  Given given;
  given.weights = {plain(w.weight_ih), plain(w.weight_hh), plain(w.bias_ih), plain(w.bias_hh)};
  if (lengths.defined()) {
    given.runs = transpose(length_mask(lengths, walk.steps)).contiguous().to(x.device());
  }
  given.x = reshape(plain(without_padding(x.detach(), given.runs)), {walk.rows(), x.size(2)});
  return given;
}

// Gradients of x, hidden and the four weights.
std::vector<Tensor> gru_backward(const Walk& walk, const Given& given, const Tensor& gates,
                                 const Tensor& states, const Tensor& g, Needed needed) {
  const Tensor dx = empty({walk.rows(), 3 * walk.size}, g.dtype(), g.device());
  const Tensor dh = empty(dx.shape(), g.dtype(), g.device()), from = plain(g);
  const Tensor dhidden = zeros({walk.batch, walk.size}, {.dtype = g.dtype(), .device = g.device()});
  for_floats("gru_sequence", g, [&]<class T>() {
    run_gru_back<T>(walk, given, from, gates, states, dx, dh, dhidden);
  });
  const auto d = weight_gradients(walk, given, dx, dh, walk.all_before(states), needed, 2);
  return {d.x, dhidden, d.weight_ih, d.weight_hh, d.bias_ih, d.bias_hh};
}

// Gradients of x, hidden, cell and the four weights.
std::vector<Tensor> lstm_backward(const Walk& walk, const Given& given, const Tensor& gates,
                                  const Tensor& states, const Tensor& g, Needed needed) {
  const Tensor dgates = empty({walk.rows(), 4 * walk.size}, g.dtype(), g.device()), from = plain(g);
  const Tensor dhidden = zeros({walk.batch, walk.size}, {.dtype = g.dtype(), .device = g.device()});
  const Tensor dcell = zeros(dhidden.shape(), {.dtype = g.dtype(), .device = g.device()});
  for_floats("lstm_sequence", g, [&]<class T>() {
    run_lstm_back<T>(walk, given, from, gates, states, dgates, dhidden, dcell);
  });
  const auto d = weight_gradients(walk, given, dgates, dgates, walk.all_before(states), needed, 3);
  return {d.x, dhidden, dcell, d.weight_ih, d.weight_hh, d.bias_ih, d.bias_hh};
}

}  // namespace

Tensor gru_sequence(const Tensor& x, const Tensor& hidden, const SequenceWeights& w,
                    const SequenceOptions& options) {
  const Walk walk = check_sequence("gru_sequence", 3, x, hidden, w, options);
  const Given given = plain_inputs(walk, x, w, options.lengths);
  const int64_t width = (GradMode::enabled() ? 4 : 3) * walk.size;
  const Tensor gates = empty({walk.rows(), width}, x.dtype(), x.device());
  const Tensor states = empty({walk.steps + 1, walk.batch, walk.size}, x.dtype(), x.device());
  const Tensor first = plain(hidden);
  for_floats("gru_sequence", x, [&]<class T>() {
    put_state(walk, first, raw<T>(states));
    run_gru(walk, given, width, raw<T>(gates), raw<T>(states));
  });
  return record_fused(
      "gru_sequence", walk.all_after(states),
      {x, hidden, w.weight_ih, w.weight_hh, w.bias_ih, w.bias_hh},
      [walk, given](const std::vector<Tensor>& in) {
        return walk_of_ops(gru_of_ops, in[0], {in[1]}, {in[2], in[3], in[4], in[5]}, given.runs,
                           walk.reverse)[0];
      },
      [walk, given, gates, states](const Tensor& g, Needed needed) {
        return gru_backward(walk, given, gates, states, g, needed);
      });
}

Tensor lstm_sequence(const Tensor& x, const Tensor& hidden, const Tensor& cell,
                     const SequenceWeights& w, const SequenceOptions& options) {
  const Walk walk = check_sequence("lstm_sequence", 4, x, hidden, w, options);
  check(cell.shape() == hidden.shape(),
        "lstm_sequence: the states must be equal in shape, not {} and {}", called(hidden),
        called(cell));
  same_dtype("lstm_sequence", x, cell);
  const Given given = plain_inputs(walk, x, w, options.lengths);
  const int64_t width = (GradMode::enabled() ? 5 : 4) * walk.size;
  const Tensor gates = empty({walk.rows(), width}, x.dtype(), x.device());
  const Tensor states = empty({2, walk.steps + 1, walk.batch, walk.size}, x.dtype(), x.device());
  const Tensor first = plain(hidden), first_cell = plain(cell);
  for_floats("lstm_sequence", x, [&]<class T>() {
    put_state(walk, first, raw<T>(states));
    put_state(walk, first_cell, raw<T>(states) + walk.cells());
    run_lstm(walk, given, width, raw<T>(gates), raw<T>(states));
  });
  return record_fused(
      "lstm_sequence",
      view_of(states, {2, walk.steps, walk.batch, walk.size}, states.strides(), walk.after(0)),
      {x, hidden, cell, w.weight_ih, w.weight_hh, w.bias_ih, w.bias_hh},
      [walk, given](const std::vector<Tensor>& in) {
        return stack(walk_of_ops(lstm_of_ops, in[0], {in[1], in[2]}, {in[3], in[4], in[5], in[6]},
                                 given.runs, walk.reverse));
      },
      [walk, given, gates, states](const Tensor& g, Needed needed) {
        return lstm_backward(walk, given, gates, states, g, needed);
      });
}

}  // namespace regrad

// All time steps of one direction of a recurrent layer as one op (the formulas of the cells are in
// recurrent.cpp). Forward: one GEMM for the inputs of all steps; then, for each step, one GEMM for
// its state and the cell's kernel. Backward: for each step, the cell's kernel and one GEMM; then
// each weight's gradient is one GEMM over all steps, e.g. dW_hh = Σ_t dgates_tᵀ h_(t-1) (Appleyard
// et al., "Optimizing performance of recurrent neural networks on GPUs", 2016).
// The states are [t + 1, b, h]: the initial state (at index 0, or at index t in reverse), and the
// state after each step. composed_scan computes the same from ops, for second derivatives.
#include "ops/dispatch.h"
#include "ops/ops.h"

namespace regrad {
namespace {

// The sizes, the order of the steps, and where their states are stored.
struct Scan {
  int64_t steps, batch, size;
  bool reverse;
  int64_t rows() const { return steps * batch; }
  int64_t state() const { return batch * size; }                         // elements
  int64_t step(int64_t i) const { return reverse ? steps - 1 - i : i; }  // the i-th step to run
  int64_t before(int64_t t) const { return (reverse ? t + 1 : t) * state(); }
  int64_t after(int64_t t) const { return (reverse ? t : t + 1) * state(); }
  int64_t start() const { return reverse ? steps * state() : 0; }
  int64_t cells() const { return (steps + 1) * state(); }  // where an LSTM's cells begin
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

// x [t, b, i] with zeros in the padding: the weights' gradients multiply it by 0, and 0 NaN is NaN.
Tensor without_padding(const Tensor& x, const Tensor& active) {
  return active.defined() ? where(unsqueeze(active, 2), x, 0) : x;
}

// What the steps of a sequence read, beside the states.
struct Given {
  Tensor x;  // [t b, i]
  SequenceWeights weights;
  Tensor active;  // bool [t, b], or undefined: all active
  const bool* active_at(int64_t row) const {
    return active.defined() ? raw<bool>(active) + row : nullptr;
  }
};

// c = a bᵀ + bias, or c += a bᵀ + bias; a [rows, k], b [n, k], c's rows c_row apart.
template <class T>
Gemm<T> gemm_nt(int64_t rows, const T* a, const Tensor& b, const Tensor& bias, T* c,
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
Gemm<T> accumulating_gemm(int64_t rows, const T* a, const Tensor& b, T* c) {
  Gemm<T> g;
  g.m = rows, g.n = b.size(1), g.k = b.size(0);
  g.a = a, g.a_row = g.k, g.a_col = 1;
  g.b = raw<T>(b), g.b_row = g.n, g.b_col = 1;
  g.c = c, g.c_row = g.n, g.accumulate = true;
  return g;
}

template <class T>
void put_state(const Scan& scan, const Tensor& first, T* states) {
  const Loop all = make_loop({&first, &first});
  kernels<T>(first).move.copy(all, states + scan.start(), raw<T>(first));
}

// gates [t b, width]: W_ih x + bias for r, z, n; where width is 4 h, each step overwrites its row
// with what the backward pass needs.
template <class T>
void run_gru(const Scan& scan, const Given& given, int64_t width, T* gates, T* states) {
  const auto& table = kernels<T>(given.x);
  const SequenceWeights& w = given.weights;
  table.gemm(gemm_nt(scan.rows(), raw<T>(given.x), w.weight_ih, w.bias_ih, gates, width));
  const Tensor recurrent = empty({scan.batch, 3 * scan.size}, given.x.dtype(), given.x.device());
  GruStep<T> step{.rows = scan.batch, .size = scan.size};
  step.gates_stride = width, step.gates_h = raw<T>(recurrent);
  for (int64_t i = 0; i < scan.steps; ++i) {
    const int64_t row = scan.step(i) * scan.batch;
    step.hidden = states + scan.before(scan.step(i));
    table.gemm(
        gemm_nt(scan.batch, step.hidden, w.weight_hh, w.bias_hh, raw<T>(recurrent), 3 * scan.size));
    step.active = given.active_at(row), step.out = states + scan.after(scan.step(i));
    step.gates_x = gates + row * width;
    step.saved = width == 4 * scan.size ? gates + row * width : nullptr;
    table.cells.gru(step);
  }
}

// states [2, t + 1, b, h]; gates [t b, width]: width is 5 h where a backward pass may follow.
template <class T>
void run_lstm(const Scan& scan, const Given& given, int64_t width, T* gates, T* states) {
  const auto& table = kernels<T>(given.x);
  const SequenceWeights& w = given.weights;
  table.gemm(gemm_nt(scan.rows(), raw<T>(given.x), w.weight_ih, w.bias_ih, gates, width));
  LstmStep<T> step{.rows = scan.batch, .size = scan.size};
  step.gates_stride = width, step.out_stride = scan.size;
  for (int64_t i = 0; i < scan.steps; ++i) {
    const int64_t row = scan.step(i) * scan.batch;
    T* const gates_row = gates + row * width;
    step.hidden = states + scan.before(scan.step(i)), step.cell = step.hidden + scan.cells();
    Gemm<T> product = gemm_nt(scan.batch, step.hidden, w.weight_hh, w.bias_hh, gates_row, width);
    product.accumulate = true;
    table.gemm(product);
    step.active = given.active_at(row), step.gates = gates_row;
    step.out = states + scan.after(scan.step(i)), step.out_cell = step.out + scan.cells();
    step.saved = width == 5 * scan.size ? gates_row : nullptr;
    table.cells.lstm(step);
  }
}

// Writes dgates_x and dgates_h [t b, 3 h], the gradients of both halves of the gates, and adds to
// dhidden [b, h], which must start as zeros.
template <class T>
void run_gru_back(const Scan& scan, const Given& given, const Tensor& g, const Tensor& saved,
                  const Tensor& states, const Tensor& dgates_x, const Tensor& dgates_h,
                  const Tensor& dhidden) {
  GruStepBackward<T> step{.rows = scan.batch, .size = scan.size};
  step.dhidden = raw<T>(dhidden), step.carry = step.dhidden;
  for (int64_t i = scan.steps - 1; i >= 0; --i) {
    const int64_t t = scan.step(i), row = t * scan.batch;
    step.active = given.active_at(row);
    step.dgates_x = raw<T>(dgates_x) + row * 3 * scan.size;
    step.dgates_h = raw<T>(dgates_h) + row * 3 * scan.size;
    step.g = raw<T>(g) + t * scan.state(), step.saved = raw<T>(saved) + row * 4 * scan.size;
    step.hidden = raw<T>(states) + scan.before(t);
    kernels<T>(g).cells.gru_backward(step);
    kernels<T>(g).gemm(
        accumulating_gemm<T>(scan.batch, step.dgates_h, given.weights.weight_hh, step.dhidden));
  }
}

template <class T>
void run_lstm_back(const Scan& scan, const Given& given, const Tensor& g, const Tensor& saved,
                   const Tensor& states, const Tensor& dgates, const Tensor& dhidden,
                   const Tensor& dcell) {
  LstmStepBackward<T> step{.rows = scan.batch, .size = scan.size};
  step.g_stride = scan.size;
  step.dhidden = raw<T>(dhidden), step.carry = step.dhidden;
  step.dcell = raw<T>(dcell), step.carry_cell = step.dcell;
  for (int64_t i = scan.steps - 1; i >= 0; --i) {
    const int64_t t = scan.step(i), row = t * scan.batch;
    step.active = given.active_at(row);
    step.dgates = raw<T>(dgates) + row * 4 * scan.size;
    step.g = raw<T>(g) + t * scan.state(), step.g_cell = step.g + scan.steps * scan.state();
    step.saved = raw<T>(saved) + row * 5 * scan.size;
    step.cell = raw<T>(states) + scan.cells() + scan.before(t);
    kernels<T>(g).cells.lstm_backward(step);
    kernels<T>(g).gemm(
        accumulating_gemm<T>(scan.batch, step.dgates, given.weights.weight_hh, step.dhidden));
  }
}

// The gradients of x and of the weights, from those of both halves of the gates, [t b, G h] each.
struct WeightGradients {
  Tensor x, weight_ih, weight_hh, bias_ih, bias_hh;
};
WeightGradients weight_gradients(const Scan& scan, const Given& given, const Tensor& dgates_x,
                                 const Tensor& dgates_h, const Tensor& before, Needed needed,
                                 size_t first_weight) {
  WeightGradients d;
  if (needed[0]) {
    d.x = reshape(matmul(dgates_x, given.weights.weight_ih),
                  {scan.steps, scan.batch, given.x.size(1)});
  }
  if (needed[first_weight]) d.weight_ih = matmul(transpose(dgates_x), given.x);
  if (needed[first_weight + 1]) d.weight_hh = matmul(transpose(dgates_h), before);
  if (needed[first_weight + 2]) d.bias_ih = sum(dgates_x, 0);
  if (needed[first_weight + 3]) {
    const bool same = dgates_x.shares_body(dgates_h) && d.bias_ih.defined();
    d.bias_hh = same ? d.bias_ih : sum(dgates_h, 0);
  }
  return d;
}

using Step = std::vector<Tensor> (*)(const Tensor& gates_x, const SequenceWeights& w,
                                     const std::vector<Tensor>& state);

// All steps of one cell, composed of ops: the states after each, [t, b, h] per kind of state.
std::vector<Tensor> composed_scan(Step step, const Tensor& x, std::vector<Tensor> state,
                                  const SequenceWeights& w, const Tensor& active, bool reverse) {
  const int64_t steps = x.size(0);
  const Tensor gates = linear(without_padding(x, active), w.weight_ih, w.bias_ih);
  std::vector<std::vector<Tensor>> all(state.size(),
                                       std::vector<Tensor>(static_cast<size_t>(steps)));
  for (int64_t i = 0; i < steps; ++i) {
    const int64_t t = reverse ? steps - 1 - i : i;
    std::vector<Tensor> next = step(select(gates, 0, t), w, state);
    for (size_t k = 0; k < state.size(); ++k) {
      if (active.defined()) next[k] = where(unsqueeze(select(active, 0, t), 1), next[k], state[k]);
      state[k] = all[k][static_cast<size_t>(t)] = next[k];
    }
  }
  std::vector<Tensor> stacked;
  for (const std::vector<Tensor>& one : all) stacked.push_back(stack(one));
  return stacked;
}

std::vector<Tensor> composed_gru(const Tensor& gates_x, const SequenceWeights& w,
                                 const std::vector<Tensor>& state) {
  return {gru_step(gates_x, linear(state[0], w.weight_hh, w.bias_hh), state[0])};
}

std::vector<Tensor> composed_lstm(const Tensor& gates_x, const SequenceWeights& w,
                                  const std::vector<Tensor>& state) {
  const int64_t size = state[1].size(1);
  const Tensor next = lstm_step(add(gates_x, linear(state[0], w.weight_hh, w.bias_hh)), state[1]);
  return {narrow(next, 1, 0, size), narrow(next, 1, size, size)};
}

Scan check_sequence(const char* op, int64_t gates, const Tensor& x, const Tensor& state,
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
    check_same_dtype(op, x, *bias);
  }
  for (const Tensor* other : {&state, &w.weight_ih, &w.weight_hh}) check_same_dtype(op, x, *other);
  check(!options.lengths.defined() || options.lengths.shape() == Shape{x.size(1)},
        "{}: lengths must be [{}], not {}", op, x.size(1),
        options.lengths.defined() ? options.lengths.shape() : Shape());
  return {x.size(0), x.size(1), size, options.reverse};
}

Given sequence_inputs(const Scan& scan, const Tensor& x, const SequenceWeights& w,
                      const Tensor& lengths) {
  Given given;
  given.weights = {kernel_input(w.weight_ih), kernel_input(w.weight_hh), kernel_input(w.bias_ih),
                   kernel_input(w.bias_hh)};
  if (lengths.defined()) {
    given.active = transpose(length_mask(lengths, scan.steps)).contiguous().to(x.device());
  }
  given.x =
      reshape(kernel_input(without_padding(detached(x), given.active)), {scan.rows(), x.size(2)});
  return given;
}

// Gradients of x, hidden, the two weights and the two biases.
std::vector<Tensor> gru_backward(const Scan& scan, const Given& given, const Tensor& gates,
                                 const Tensor& states, const Tensor& g, Needed needed) {
  const Tensor dgates_x = empty({scan.rows(), 3 * scan.size}, g.dtype(), g.device());
  const Tensor dgates_h = empty(dgates_x.shape(), g.dtype(), g.device()), from = kernel_input(g);
  const Tensor dhidden = zeros({scan.batch, scan.size}, {.dtype = g.dtype(), .device = g.device()});
  for_floats("gru_sequence", g, [&]<class T>() {
    run_gru_back<T>(scan, given, from, gates, states, dgates_x, dgates_h, dhidden);
  });
  const auto d =
      weight_gradients(scan, given, dgates_x, dgates_h, scan.all_before(states), needed, 2);
  return {d.x, dhidden, d.weight_ih, d.weight_hh, d.bias_ih, d.bias_hh};
}

// Gradients of x, hidden, cell, the two weights and the two biases.
std::vector<Tensor> lstm_backward(const Scan& scan, const Given& given, const Tensor& gates,
                                  const Tensor& states, const Tensor& g, Needed needed) {
  const Tensor dgates = empty({scan.rows(), 4 * scan.size}, g.dtype(), g.device());
  const Tensor from = kernel_input(g);
  const Tensor dhidden = zeros({scan.batch, scan.size}, {.dtype = g.dtype(), .device = g.device()});
  const Tensor dcell = zeros(dhidden.shape(), {.dtype = g.dtype(), .device = g.device()});
  for_floats("lstm_sequence", g, [&]<class T>() {
    run_lstm_back<T>(scan, given, from, gates, states, dgates, dhidden, dcell);
  });
  const auto d = weight_gradients(scan, given, dgates, dgates, scan.all_before(states), needed, 3);
  return {d.x, dhidden, dcell, d.weight_ih, d.weight_hh, d.bias_ih, d.bias_hh};
}

}  // namespace

Tensor gru_sequence(const Tensor& x, const Tensor& hidden, const SequenceWeights& w,
                    const SequenceOptions& options) {
  const Scan scan = check_sequence("gru_sequence", 3, x, hidden, w, options);
  const Given given = sequence_inputs(scan, x, w, options.lengths);
  const int64_t width = (GradMode::enabled() ? 4 : 3) * scan.size;
  const Tensor gates = empty({scan.rows(), width}, x.dtype(), x.device());
  const Tensor states = empty({scan.steps + 1, scan.batch, scan.size}, x.dtype(), x.device());
  const Tensor first = kernel_input(hidden);
  for_floats("gru_sequence", x, [&]<class T>() {
    put_state(scan, first, raw<T>(states));
    run_gru(scan, given, width, raw<T>(gates), raw<T>(states));
  });
  return record_fused(
      "gru_sequence", scan.all_after(states),
      {x, hidden, w.weight_ih, w.weight_hh, w.bias_ih, w.bias_hh},
      [scan, given](const std::vector<Tensor>& in) {
        return composed_scan(composed_gru, in[0], {in[1]}, {in[2], in[3], in[4], in[5]},
                             given.active, scan.reverse)[0];
      },
      [scan, given, gates, states](const Tensor& g, Needed needed) {
        return gru_backward(scan, given, gates, states, g, needed);
      });
}

Tensor lstm_sequence(const Tensor& x, const Tensor& hidden, const Tensor& cell,
                     const SequenceWeights& w, const SequenceOptions& options) {
  const Scan scan = check_sequence("lstm_sequence", 4, x, hidden, w, options);
  check(cell.shape() == hidden.shape(),
        "lstm_sequence: the states must be equal in shape, not {} and {}", called(hidden),
        called(cell));
  check_same_dtype("lstm_sequence", x, cell);
  const Given given = sequence_inputs(scan, x, w, options.lengths);
  const int64_t width = (GradMode::enabled() ? 5 : 4) * scan.size;
  const Tensor gates = empty({scan.rows(), width}, x.dtype(), x.device());
  const Tensor states = empty({2, scan.steps + 1, scan.batch, scan.size}, x.dtype(), x.device());
  const Tensor first = kernel_input(hidden), first_cell = kernel_input(cell);
  for_floats("lstm_sequence", x, [&]<class T>() {
    put_state(scan, first, raw<T>(states));
    put_state(scan, first_cell, raw<T>(states) + scan.cells());
    run_lstm(scan, given, width, raw<T>(gates), raw<T>(states));
  });
  return record_fused(
      "lstm_sequence",
      view_of(states, {2, scan.steps, scan.batch, scan.size}, states.strides(), scan.after(0)),
      {x, hidden, cell, w.weight_ih, w.weight_hh, w.bias_ih, w.bias_hh},
      [scan, given](const std::vector<Tensor>& in) {
        return stack(composed_scan(composed_lstm, in[0], {in[1], in[2]},
                                   {in[3], in[4], in[5], in[6]}, given.active, scan.reverse));
      },
      [scan, given, gates, states](const Tensor& g, Needed needed) {
        return lstm_backward(scan, given, gates, states, g, needed);
      });
}

}  // namespace regrad

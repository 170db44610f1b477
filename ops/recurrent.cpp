// The pointwise part of one step of a recurrent cell, fused; linear() does the products around it.
//   GRU:  r, z = σ(x + h),  n = tanh(x_n + r h_n),  h' = (1 - z) n + z h
//   LSTM: i, f, o = σ(gates), g = tanh(gates_g),  c' = f c + i g,  h' = o tanh(c')
// composed_gru and composed_lstm compute the same steps from ops, for second derivatives.
#include "ops/dispatch.h"
#include "ops/ops.h"

namespace regrad {
namespace {

Tensor composed_gru(const std::vector<Tensor>& in) {
  const Tensor &x = in[0], &h = in[1], &hidden = in[2];
  const int64_t size = hidden.size(1);
  const auto gate = [size](const Tensor& gates, int64_t i) {
    return narrow(gates, 1, i * size, size);
  };
  const Tensor r = sigmoid(add(gate(x, 0), gate(h, 0)));
  const Tensor z = sigmoid(add(gate(x, 1), gate(h, 1)));
  const Tensor n = tanh(add(gate(x, 2), mul(r, gate(h, 2))));
  return add(n, mul(z, sub(hidden, n)));
}

Tensor composed_lstm(const std::vector<Tensor>& in) {
  const Tensor &gates = in[0], &cell = in[1];
  const int64_t size = cell.size(1);
  const auto gate = [&](int64_t i) { return narrow(gates, 1, i * size, size); };
  const Tensor next = add(mul(sigmoid(gate(1)), cell), mul(sigmoid(gate(0)), tanh(gate(2))));
  return concat({mul(sigmoid(gate(3)), tanh(next)), next}, 1);
}

void check_state(const char* op, const Tensor& gates, const Tensor& state, int64_t count) {
  check(gates.rank() == 2 && state.rank() == 2 && gates.size(0) == state.size(0) &&
            gates.size(1) == checked_mul(count, state.size(1)),
        "{}: takes gates [batch, {} hidden] and a state [batch, hidden], not {} and {}", op, count,
        called(gates), called(state));
  static_cast<void>(checked_mul(5, state.size(1)));  // the size of what is saved for backward
  check_same_dtype(op, gates, state);
}

}  // namespace

Tensor gru_step(const Tensor& gates_x, const Tensor& gates_h, const Tensor& hidden) {
  check_state("gru_step", gates_x, hidden, 3);
  check_state("gru_step", gates_h, hidden, 3);
  const int64_t rows = hidden.size(0), size = hidden.size(1);
  Tensor out = empty(hidden.shape(), hidden.dtype(), hidden.device());
  const Tensor saved =
      GradMode::enabled() ? empty({rows, 4 * size}, hidden.dtype(), hidden.device()) : Tensor();
  const Tensor x = kernel_input(gates_x), h = kernel_input(gates_h), before = kernel_input(hidden);
  for_floats("gru_step", hidden, [&]<class T>() {
    GruStep<T> step{.rows = rows, .size = size, .out = raw<T>(out)};
    if (saved.defined()) step.saved = raw<T>(saved);
    step.gates_x = raw<T>(x), step.gates_stride = 3 * size;
    step.gates_h = raw<T>(h), step.hidden = raw<T>(before);
    kernels<T>(hidden).cells.gru(step);
  });
  return record_fused(
      "gru_step", std::move(out), {gates_x, gates_h, hidden}, composed_gru,
      [gates_x, gates_h, hidden, saved](const Tensor& g, Needed) -> std::vector<Tensor> {
        const Tensor dgates_x = empty(gates_x.shape(), g.dtype(), g.device());
        const Tensor dgates_h = empty(gates_h.shape(), g.dtype(), g.device());
        const Tensor dhidden = empty(hidden.shape(), g.dtype(), g.device());
        const Tensor from = kernel_input(g), old = kernel_input(hidden);
        for_floats("gru_step", g, [&]<class T>() {
          GruStepBackward<T> step{.rows = hidden.size(0), .size = hidden.size(1)};
          step.dgates_x = raw<T>(dgates_x), step.dgates_h = raw<T>(dgates_h);
          step.dhidden = raw<T>(dhidden);
          step.g = raw<T>(from), step.saved = raw<T>(saved), step.hidden = raw<T>(old);
          kernels<T>(g).cells.gru_backward(step);
        });
        return {dgates_x, dgates_h, dhidden};
      });
}

Tensor lstm_step(const Tensor& gates, const Tensor& cell) {
  check_state("lstm_step", gates, cell, 4);
  const int64_t rows = cell.size(0), size = cell.size(1);
  Tensor out = empty({rows, 2 * size}, cell.dtype(), cell.device());
  const Tensor saved =
      GradMode::enabled() ? empty({rows, 5 * size}, cell.dtype(), cell.device()) : Tensor();
  const Tensor all = kernel_input(gates), before = kernel_input(cell);
  for_floats("lstm_step", cell, [&]<class T>() {
    LstmStep<T> step{.rows = rows, .size = size};
    step.out = raw<T>(out), step.out_cell = step.out + size, step.out_stride = 2 * size;
    if (saved.defined()) step.saved = raw<T>(saved);
    step.gates = raw<T>(all), step.gates_stride = 4 * size, step.cell = raw<T>(before);
    kernels<T>(cell).cells.lstm(step);
  });
  return record_fused("lstm_step", std::move(out), {gates, cell}, composed_lstm,
                      [gates, cell, saved](const Tensor& g, Needed) -> std::vector<Tensor> {
                        const int64_t width = cell.size(1);
                        const Tensor dgates = empty(gates.shape(), g.dtype(), g.device());
                        const Tensor dcell = empty(cell.shape(), g.dtype(), g.device());
                        const Tensor from = kernel_input(g), old = kernel_input(cell);
                        for_floats("lstm_step", g, [&]<class T>() {
                          LstmStepBackward<T> step{.rows = cell.size(0), .size = width};
                          step.dgates = raw<T>(dgates), step.dcell = raw<T>(dcell);
                          step.g = raw<T>(from), step.g_cell = step.g + width,
                          step.g_stride = 2 * width;
                          step.saved = raw<T>(saved), step.cell = raw<T>(old);
                          kernels<T>(g).cells.lstm_backward(step);
                        });
                        return {dgates, dcell};
                      });
}

}  // namespace regrad

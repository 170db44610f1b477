#include "nn/recurrent.h"

#include <algorithm>
#include <cmath>

#include "autograd/check.h"
#include "autograd/names.h"
#include "ops/ops.h"

namespace regrad::nn {
namespace {

int64_t gates_of(Cell cell) { return cell == Cell::gru ? 3 : cell == Cell::lstm ? 4 : 1; }

RecurrentWeights make_weights(Cell cell, int64_t input_size, int64_t hidden_size, bool bias,
                              Generator& generator) {
  check(input_size >= 0 && hidden_size > 0,
        "recurrent layers: the input size must be 0 or more and the hidden size above 0, not {} "
        "and {}",
        input_size, hidden_size);
  const double limit = 1 / std::sqrt(static_cast<double>(hidden_size));
  const int64_t rows = checked_mul(gates_of(cell), hidden_size);
  const auto parameter = [&](const Shape& shape) {
    return init::uniform_(zeros(shape), -limit, limit, generator).set_requires_grad(true);
  };
  RecurrentWeights weights;
  weights.weight_ih = parameter({rows, input_size});
  weights.weight_hh = parameter({rows, hidden_size});
  if (bias) {
    weights.bias_ih = parameter({rows});
    weights.bias_hh = parameter({rows});
  }
  return weights;
}

// One step, from the projected input W_ih x + b_ih [B, G H].
LSTMState advance(Cell cell, const RecurrentWeights& w, const Tensor& projected,
                  const LSTMState& state) {
  const Tensor& h = state.hidden;
  const int64_t size = h.size(1);
  const Tensor recurrent = linear(h, w.weight_hh, w.bias_hh);
  if (cell == Cell::rnn_tanh) return {tanh(projected + recurrent), {}};
  if (cell == Cell::rnn_relu) return {relu(projected + recurrent), {}};
  if (cell == Cell::gru) return {gru_step(projected, recurrent, h), {}};
  const Tensor next = lstm_step(projected + recurrent, state.cell);
  return {narrow(next, 1, 0, size), narrow(next, 1, size, size)};
}

struct DirectionOutput {
  Tensor outputs;  // [T, B, H], 0 where a sequence does not run
  LSTMState end;
};

// All steps of one direction of an RNN. Where a sequence does not run, its state is kept; so in
// the reverse direction it starts at the sequence's own end.
Tensor states_of_rnn(Cell cell, const RecurrentWeights& w, const Tensor& input, Tensor state,
                     const Tensor& running, bool reverse) {
  // Zeros in the padding, which the weights' gradients multiply by 0: a NaN there would stay.
  const Tensor x = running.defined() ? where(running, input, 0.0) : input;
  const std::vector<Tensor> projected = unbind(linear(x, w.weight_ih, w.bias_ih));
  std::vector<Tensor> states(projected.size());
  for (size_t i = 0; i < projected.size(); ++i) {
    const size_t t = reverse ? projected.size() - 1 - i : i;
    Tensor next = advance(cell, w, projected[t], {state, {}}).hidden;
    if (running.defined()) next = where(select(running, 0, static_cast<int64_t>(t)), next, state);
    states[t] = state = next;
  }
  return stack(states);
}

bool all_run(const Tensor& lengths, int64_t steps) {
  if (!lengths.defined()) return true;
  const std::vector<int64_t> all = lengths.to_vector<int64_t>();
  return std::all_of(all.begin(), all.end(), [=](int64_t length) { return length == steps; });
}

// running: bool [T, B, 1], undefined where all run at every step.
DirectionOutput run_direction(Cell cell, const RecurrentWeights& w, const Tensor& input,
                              const LSTMState& first, const Tensor& lengths, const Tensor& running,
                              bool reverse) {
  if (input.size(0) == 0) return {narrow(unsqueeze(first.hidden, 0), 0, 0, 0), first};
  const SequenceWeights weights = {w.weight_ih, w.weight_hh, w.bias_ih, w.bias_hh};
  const SequenceOptions options = {lengths, reverse};
  const int64_t last = reverse ? 0 : input.size(0) - 1;
  DirectionOutput result;
  if (cell == Cell::lstm) {
    const Tensor both = lstm_sequence(input, first.hidden, first.cell, weights, options);
    result.outputs = select(both, 0, 0);
    result.end.cell = select(select(both, 0, 1), 0, last);
  } else if (cell == Cell::gru) {
    result.outputs = gru_sequence(input, first.hidden, weights, options);
  } else {
    result.outputs = states_of_rnn(cell, w, input, first.hidden, running, reverse);
  }
  result.end.hidden = select(result.outputs, 0, last);
  if (running.defined()) result.outputs = where(running, result.outputs, 0.0);
  return result;
}

LSTMState one_step(const char* op, Cell cell, const RecurrentWeights& w, const Tensor& input,
                   LSTMState state) {
  const int64_t size = w.weight_hh.size(1);
  check(input.rank() == 2 && input.size(1) == w.weight_ih.size(1),
        "{}: the input must be [batch, {}], not {}", op, w.weight_ih.size(1), shape_text(input));
  const Shape wanted = {input.size(0), size};
  const auto complete = [&](Tensor& part) {
    if (!part.defined()) part = zeros(wanted, {.dtype = input.dtype(), .device = input.device()});
    check(part.shape() == wanted, "{}: the state must be {} for an input of {}, not {}", op,
          wanted.str(), shape_text(input), shape_text(part));
  };
  complete(state.hidden);
  if (cell == Cell::lstm) complete(state.cell);
  return advance(cell, w, linear(input, w.weight_ih, w.bias_ih), state);
}

}  // namespace

void check_lengths(const char* op, const Tensor& lengths, int64_t batch, int64_t steps) {
  check(lengths.dtype() == int64 && lengths.shape() == Shape{batch},
        "{}: lengths must be int64 [{}], not {} {}", op, batch, name(lengths.dtype()),
        shape_text(lengths));
  for (const int64_t length : lengths.to_vector<int64_t>()) {
    check(length >= 0 && length <= steps, "{}: a length of {} is not within 0 and {} steps", op,
          length, steps);
  }
}

std::vector<Tensor> unbind(const Tensor& x) {
  std::vector<Tensor> rows;
  for (int64_t i = 0; i < x.size(0); ++i) rows.push_back(select(x, 0, i));
  return rows;
}

Recurrent::Recurrent(Cell cell, int64_t input_size, int64_t hidden_size,
                     const RecurrentOptions& options, Generator& generator)
    : cell_(cell),
      input_size_(input_size),
      hidden_size_(hidden_size),
      options_(options),
      dropout_(options.dropout, generator) {
  check(options.layers > 0, "recurrent layers: there must be 1 or more, not {}", options.layers);
  const int64_t directions = options.bidirectional ? 2 : 1;
  for (int64_t i = 0; i < checked_mul(options.layers, directions); ++i) {
    const int64_t in = i < directions ? input_size : checked_mul(directions, hidden_size);
    weights_.push_back(make_weights(cell, in, hidden_size, options.bias, generator));
  }
}

std::string Recurrent::suffix(size_t i) const {
  const size_t directions = options_.bidirectional ? 2 : 1;
  return fmt::format("_l{}{}", i / directions, i % directions == 1 ? "_reverse" : "");
}

void Recurrent::check_arguments(const char* op, const Tensor& input, const LSTMState& start,
                                const Tensor& lengths) const {
  check(input.rank() == 3 && input.size(2) == input_size_, "{}: the input must be [{}, {}], not {}",
        op, options_.batch_first ? "batch, time" : "time, batch", input_size_, shape_text(input));
  const int64_t batch = input.size(options_.batch_first ? 0 : 1);
  const int64_t steps = input.size(options_.batch_first ? 1 : 0);
  const Shape wanted = {static_cast<int64_t>(weights_.size()), batch, hidden_size_};
  for (const Tensor* part : {&start.hidden, &start.cell}) {
    check(!part->defined() || part->shape() == wanted,
          "{}: the first state must be {} (layers and directions, batch, hidden), not {}", op,
          wanted.str(), part->defined() ? part->shape().str() : "");
  }
  check(cell_ != Cell::lstm || start.hidden.defined() == start.cell.defined(),
        "{}: the first state is hidden and cell together; one of them was given alone", op);
  if (lengths.defined()) check_lengths(op, lengths, batch, steps);
}

LSTMOutput Recurrent::run(const char* op, const Tensor& input, const LSTMState& start,
                          const Tensor& lengths) const {
  check_arguments(op, input, start, lengths);
  Tensor x = options_.batch_first ? transpose(input, 0, 1) : input;  // [T, B, I]
  const int64_t steps = x.size(0), batch = x.size(1);
  const size_t directions = options_.bidirectional ? 2 : 1;
  const Tensor shorter = all_run(lengths, steps) ? Tensor() : lengths;
  Tensor running;
  if (shorter.defined()) {
    running = unsqueeze(transpose(length_mask(shorter, steps)), 2).to(input.device());
  }
  const Tensor zero_state =
      zeros({batch, hidden_size_}, {.dtype = input.dtype(), .device = input.device()});
  const auto first = [&](const Tensor& given, size_t i) {
    return given.defined() ? select(given, 0, static_cast<int64_t>(i)) : zero_state;
  };
  std::vector<Tensor> hidden, cell;
  for (size_t i = 0; i < weights_.size(); i += directions) {
    if (i > 0) x = dropout_(x);
    std::vector<Tensor> sides;
    for (size_t d = 0; d < directions; ++d) {
      DirectionOutput result = run_direction(cell_, weights_[i + d], x,
                                             {first(start.hidden, i + d), first(start.cell, i + d)},
                                             shorter, running, d == 1);
      sides.push_back(result.outputs);
      hidden.push_back(result.end.hidden);
      if (cell_ == Cell::lstm) cell.push_back(result.end.cell);
    }
    x = directions == 1 ? sides[0] : concat(sides, 2);
  }
  return {options_.batch_first ? transpose(x, 0, 1) : x, stack(hidden),
          cell.empty() ? Tensor() : stack(cell)};
}

RNN::RNN(int64_t input_size, int64_t hidden_size, const RecurrentOptions& options,
         Generator& generator)
    : Recurrent(options.relu ? Cell::rnn_relu : Cell::rnn_tanh, input_size, hidden_size, options,
                generator) {}

RecurrentOutput RNN::operator()(const Tensor& input, const Tensor& hidden,
                                const Tensor& lengths) const {
  LSTMOutput out = run("RNN", input, {hidden, {}}, lengths);
  return {out.output, out.hidden};
}

GRU::GRU(int64_t input_size, int64_t hidden_size, const RecurrentOptions& options,
         Generator& generator)
    : Recurrent(Cell::gru, input_size, hidden_size, options, generator) {}

RecurrentOutput GRU::operator()(const Tensor& input, const Tensor& hidden,
                                const Tensor& lengths) const {
  LSTMOutput out = run("GRU", input, {hidden, {}}, lengths);
  return {out.output, out.hidden};
}

LSTM::LSTM(int64_t input_size, int64_t hidden_size, const RecurrentOptions& options,
           Generator& generator)
    : Recurrent(Cell::lstm, input_size, hidden_size, options, generator) {}

LSTMOutput LSTM::operator()(const Tensor& input, const LSTMState& state,
                            const Tensor& lengths) const {
  return run("LSTM", input, state, lengths);
}

RNNCell::RNNCell(int64_t input_size, int64_t hidden_size, CellOptions options, Generator& generator)
    : RecurrentWeights(
          make_weights(Cell::rnn_tanh, input_size, hidden_size, options.bias, generator)),
      relu(options.relu) {}

Tensor RNNCell::operator()(const Tensor& input, const Tensor& hidden) const {
  return one_step("RNNCell", relu ? Cell::rnn_relu : Cell::rnn_tanh, *this, input, {hidden, {}})
      .hidden;
}

GRUCell::GRUCell(int64_t input_size, int64_t hidden_size, CellOptions options, Generator& generator)
    : RecurrentWeights(make_weights(Cell::gru, input_size, hidden_size, options.bias, generator)) {}

Tensor GRUCell::operator()(const Tensor& input, const Tensor& hidden) const {
  return one_step("GRUCell", Cell::gru, *this, input, {hidden, {}}).hidden;
}

LSTMCell::LSTMCell(int64_t input_size, int64_t hidden_size, CellOptions options,
                   Generator& generator)
    : RecurrentWeights(make_weights(Cell::lstm, input_size, hidden_size, options.bias, generator)) {
}

LSTMState LSTMCell::operator()(const Tensor& input, const LSTMState& state) const {
  return one_step("LSTMCell", Cell::lstm, *this, input, state);
}

}  // namespace regrad::nn

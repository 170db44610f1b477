// Whole recurrent sequences: ops/sequence.cpp, against their steps written out.
#include "tests/ops/case.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("ops");

double sigmoid_of(double x) { return 1 / (1 + std::exp(-x)); }

// w[row] · x[..] + bias[row]
double row_of(const Array& w, const Array& bias, int64_t row, const std::vector<double>& x) {
  double sum = bias({row});
  for (int64_t j = 0; j < w.size(1); ++j) sum += w({row, j}) * x[static_cast<size_t>(j)];
  return sum;
}

struct Layer {
  bool lstm;
  std::vector<int64_t> lengths;  // none: all run
  bool reverse;
};

// in: x [t, b, i], hidden [b, h], (cell,) weight_ih, weight_hh, bias_ih, bias_hh. For one sequence
// of the batch, the states after each step: t times h, then for an LSTM t times the cells.
std::vector<double> walk(const Layer& layer, const Arrays& in, int64_t b) {
  const size_t first = layer.lstm ? 3 : 2;
  const Array &x = in[0], &wi = in[first], &wh = in[first + 1], &bi = in[first + 2],
              &bh = in[first + 3];
  const int64_t steps = x.size(0), size = in[1].size(1);
  std::vector<double> h, c, all(static_cast<size_t>((layer.lstm ? 2 : 1) * steps * size));
  for (int64_t j = 0; j < size; ++j) {
    h.push_back(in[1]({b, j}));
    c.push_back(layer.lstm ? in[2]({b, j}) : 0);
  }
  for (int64_t i = 0; i < steps; ++i) {
    const int64_t t = layer.reverse ? steps - 1 - i : i;
    std::vector<double> now, before = h;
    for (int64_t j = 0; j < x.size(2); ++j) now.push_back(x({t, b, j}));
    const bool runs = layer.lengths.empty() || t < layer.lengths[static_cast<size_t>(b)];
    for (int64_t j = 0; j < size; ++j) {
      const auto from_x = [&](int64_t gate) { return row_of(wi, bi, gate * size + j, now); };
      const auto from_h = [&](int64_t gate) { return row_of(wh, bh, gate * size + j, before); };
      const auto both = [&](int64_t gate) { return from_x(gate) + from_h(gate); };
      const auto index = static_cast<size_t>(j);
      if (runs && layer.lstm) {
        c[index] = sigmoid_of(both(1)) * c[index] + sigmoid_of(both(0)) * std::tanh(both(2));
        h[index] = sigmoid_of(both(3)) * std::tanh(c[index]);
      } else if (runs) {
        const double z = sigmoid_of(both(1));
        const double n = std::tanh(from_x(2) + sigmoid_of(both(0)) * from_h(2));
        h[index] = (1 - z) * n + z * before[index];
      }
      all[static_cast<size_t>(t * size + j)] = h[index];
      if (layer.lstm) all[static_cast<size_t>((steps + t) * size + j)] = c[index];
    }
  }
  return all;
}

Array states_of(const Layer& layer, const Arrays& in) {
  const int64_t steps = in[0].size(0), batch = in[0].size(1), size = in[1].size(1);
  std::vector<std::vector<double>> each;
  for (int64_t b = 0; b < batch; ++b) each.push_back(walk(layer, in, b));
  const Index shape = layer.lstm ? Index{2, steps, batch, size} : Index{steps, batch, size};
  return twin::make(shape, [&](const Index& index) {
    const size_t k = layer.lstm ? 1 : 0;
    const int64_t plane = layer.lstm ? index[0] : 0;
    return each[static_cast<size_t>(index[k + 1])]
               [static_cast<size_t>((plane * steps + index[k]) * size + index[k + 2])];
  });
}

Tensor run(const Layer& layer, const Tensors& in) {
  const size_t first = layer.lstm ? 3 : 2;
  const SequenceWeights w = {in[first], in[first + 1], in[first + 2], in[first + 3]};
  SequenceOptions options;
  options.reverse = layer.reverse;
  if (!layer.lengths.empty()) options.lengths = tensor(layer.lengths, {in[0].size(1)});
  return layer.lstm ? lstm_sequence(in[0], in[1], in[2], w, options)
                    : gru_sequence(in[0], in[1], w, options);
}

Case case_of(const std::string& name, const Layer& layer, int64_t steps, int64_t batch,
             int64_t width, int64_t size) {
  const int64_t wide = (layer.lstm ? 4 : 3) * size;
  std::vector<In> inputs = {in({steps, batch, width}), in({batch, size})};
  if (layer.lstm) inputs.push_back(in({batch, size}));
  for (const Index& shape : {Index{wide, width}, Index{wide, size}, Index{wide}, Index{wide}}) {
    inputs.push_back(in(shape, -0.7, 0.7));
  }
  return {name,
          [layer](const Tensors& x) { return run(layer, x); },
          [layer](const Arrays& x) { return states_of(layer, x); },
          inputs,
          Empty::untested,
          4e-6};
}

TEST_CASE("gru_sequence and lstm_sequence") {
  for (const bool lstm : {false, true}) {
    const std::string op = lstm ? "lstm_sequence" : "gru_sequence";
    check_case(case_of(op, {lstm, {}, false}, 3, 2, 2, 3));
    check_case(case_of(op + " backwards", {lstm, {}, true}, 3, 2, 2, 2));
    check_case(case_of(op + " of lengths", {lstm, {3, 0, 1}, false}, 3, 3, 1, 2));
    check_case(case_of(op + " of lengths, backwards", {lstm, {1, 3}, true}, 3, 2, 2, 1));
    check_case(case_of(op + " of one step", {lstm, {}, false}, 1, 1, 3, 9));
  }
}

TEST_CASE("sequences without biases, steps or a batch") {
  const SequenceWeights none = {ones({6, 2}), ones({6, 2}), {}, {}};
  CHECK(gru_sequence(zeros({0, 3, 2}), zeros({3, 2}), none).shape() == Shape{0, 3, 2});
  CHECK(gru_sequence(zeros({4, 0, 2}), zeros({0, 2}), none).shape() == Shape{4, 0, 2});
  Tensor x = ones({2, 1, 2}, {.requires_grad = true});
  sum(gru_sequence(x, zeros({1, 2}), none)).backward();
  SequenceWeights zero = none;
  zero.bias_ih = zero.bias_hh = zeros({6});
  Tensor y = ones({2, 1, 2}, {.requires_grad = true});
  sum(gru_sequence(y, zeros({1, 2}), zero)).backward();
  CHECK(same_bits(x.grad(), y.grad()));
}

TEST_CASE("padding, whatever is in it, changes no bit of a sequence or its gradients") {
  for (const bool lstm : {false, true}) {
    for (const bool reverse : {false, true}) {
      const Layer layer{lstm, {2, 4}, reverse};
      const Case c = case_of("padding", layer, 4, 2, 5, 7);
      Tensors inputs, poisoned;
      for (size_t k = 0; k < c.inputs.size(); ++k) {
        inputs.push_back(to_tensor(numbers(c.inputs[k], static_cast<int64_t>(k)), float32));
      }
      poisoned = inputs;
      poisoned[0] = inputs[0].clone();
      narrow(select(poisoned[0], 1, 0), 0, 2, 2).fill_(std::numeric_limits<double>::infinity());
      CHECK(same_bits(run(layer, inputs), run(layer, poisoned)));
      const Tensor g = ones(run(layer, inputs).shape());
      const Tensors clean = gradients(c.op, inputs, g), found = gradients(c.op, poisoned, g);
      CHECK(same_bits(clean[0], found[0]));
      CHECK(same_bits(clean[1], found[1]));
    }
  }
}

TEST_CASE("sequences of wrong shapes") {
  const SequenceWeights w = {zeros({9, 2}), zeros({9, 3}), {}, {}};
  CHECK_ERROR(gru_sequence(zeros({4, 2}), zeros({2, 3}), w),
              "gru_sequence: takes x [time, batch, in] and a state [batch, hidden], not [4, 2] and "
              "[2, 3]");
  CHECK_ERROR(lstm_sequence(zeros({4, 1, 2}), zeros({1, 3}), zeros({1, 3}), w),
              "the weights must be [12, 2] and [12, 3], not [9, 2] and [9, 3]");
  CHECK_ERROR(
      gru_sequence(zeros({4, 1, 2}), zeros({1, 3}), {w.weight_ih, w.weight_hh, zeros({3}), {}}),
      "the bias must be [9], not [3]");
  CHECK_ERROR(gru_sequence(zeros({4, 1, 2}), zeros({1, 3}), w, {.lengths = tensor({1, 2}, {2})}),
              "lengths must be [1], not [2]");
}

TEST_SUITE_END();

}  // namespace

// Fused steps of recurrent cells: ops/recurrent.cpp.
#include "tests/ops/case.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("ops");

double sigmoid_of(double x) { return 1 / (1 + std::exp(-x)); }

Array gru_of(const Array& x, const Array& h, const Array& hidden) {
  const int64_t size = hidden.size(1);
  return twin::make(hidden.shape, [&](const Index& index) {
    const auto gate = [&](const Array& gates, int64_t i) {
      return gates({index[0], i * size + index[1]});
    };
    const double r = sigmoid_of(gate(x, 0) + gate(h, 0)), z = sigmoid_of(gate(x, 1) + gate(h, 1));
    const double n = std::tanh(gate(x, 2) + r * gate(h, 2));
    return (1 - z) * n + z * hidden(index);
  });
}

Array lstm_of(const Array& gates, const Array& cell) {
  const int64_t size = cell.size(1);
  return twin::make({cell.size(0), 2 * size}, [&](const Index& index) {
    const int64_t j = size == 0 ? 0 : index[1] % size;
    const auto gate = [&](int64_t i) { return gates({index[0], i * size + j}); };
    const double next =
        sigmoid_of(gate(1)) * cell({index[0], j}) + sigmoid_of(gate(0)) * std::tanh(gate(2));
    return index[1] < size ? sigmoid_of(gate(3)) * std::tanh(next) : next;
  });
}

TEST_CASE("gru_step and lstm_step") {
  const std::vector<Case> cases = {
      {"gru_step",
       OP(gru_step(x[0], x[1], x[2])),
       TWIN(gru_of(x[0], x[1], x[2])),
       {in({2, 15}), in({2, 15}), in({2, 5})},
       Empty::refuses,
       2e-6},
      {"gru_step of a wide state",
       OP(gru_step(x[0], x[1], x[2])),
       TWIN(gru_of(x[0], x[1], x[2])),
       {in({1, 51}), in({1, 51}), in({1, 17})},
       Empty::refuses,
       2e-6},
      {"lstm_step",
       OP(lstm_step(x[0], x[1])),
       TWIN(lstm_of(x[0], x[1])),
       {in({3, 20}), in({3, 5})},
       Empty::refuses,
       2e-6},
      {"lstm_step of a wide state",
       OP(lstm_step(x[0], x[1])),
       TWIN(lstm_of(x[0], x[1])),
       {in({1, 68}), in({1, 17})},
       Empty::refuses,
       2e-6},
  };
  for (const Case& c : cases) check_case(c);
  CHECK(gru_step(zeros({0, 6}), zeros({0, 6}), zeros({0, 2})).shape() == Shape{0, 2});
  CHECK(lstm_step(zeros({2, 0}), zeros({2, 0})).shape() == Shape{2, 0});
}

Tensor widened(const Tensor& h) { return concat({h, h * 2, h * h}, 1); }

Array widened(const Array& h) {
  return twin::make({h.size(0), 3 * h.size(1)}, [&](const Index& index) {
    const double x = h({index[0], index[1] % h.size(1)});
    return index[1] < h.size(1) ? x : index[1] < 2 * h.size(1) ? 2 * x : x * x;
  });
}

TEST_CASE("steps whose inputs depend on each other") {
  const auto doubled = each([](double x) { return 2 * x; });
  check_case({"gru_step of one for both",
              OP(gru_step(x[0], x[0], x[1])),
              TWIN(gru_of(x[0], x[0], x[1])),
              {in({2, 6}), in({2, 2})},
              Empty::untested,
              2e-6});
  check_case({"gru_step of gates from its state",
              OP(gru_step(x[0], widened(x[1]), x[1])),
              TWIN(gru_of(x[0], widened(x[1]), x[1])),
              {in({2, 9}), in({2, 3})},
              Empty::untested,
              2e-6});
  check_case(
      {"lstm_step of a cell from its gates",
       OP(lstm_step(x[0], narrow(x[0], 1, 0, 3) * 2)),
       [=](const Arrays& x) {
         const Array part = twin::make({2, 3}, [&](const Index& index) { return x[0](index); });
         return lstm_of(x[0], doubled({part}));
       },
       {in({2, 12})},
       Empty::untested,
       2e-6});
}

TEST_CASE("steps of wrong shapes") {
  CHECK_ERROR(
      gru_step(zeros({2, 9}), zeros({2, 9}), zeros({2, 4})),
      "gru_step: takes gates [batch, 3 hidden] and a state [batch, hidden], not [2, 9] and [2, 4]");
  CHECK_ERROR(lstm_step(zeros({2, 9}), zeros({2, 3})),
              "lstm_step: takes gates [batch, 4 hidden] and a state [batch, hidden], not [2, 9] "
              "and [2, 3]");
  CHECK_ERROR(lstm_step(zeros({2, 12}), zeros({2, 3}, {.dtype = float64})), "lstm_step: ");
}

TEST_SUITE_END();

}  // namespace

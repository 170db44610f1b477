// Additive attention's scores: ops/additive.cpp.
#include "tests/ops/case.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("ops");

Array scores_of(const Array& q, const Array& k, const Array& v) {
  return twin::make({q.size(0), q.size(1), k.size(1)}, [&](const Index& index) {
    double sum = 0;
    for (int64_t h = 0; h < v.size(0); ++h) {
      sum += v({h}) * std::tanh(q({index[0], index[1], h}) + k({index[0], index[2], h}));
    }
    return sum;
  });
}

TEST_CASE("additive_scores") {
  const auto op = OP(additive_scores(x[0], x[1], x[2]));
  const auto twin_of = TWIN(scores_of(x[0], x[1], x[2]));
  check_case({"additive_scores", op, twin_of, {in({2, 3, 5}), in({2, 4, 5}), in({5})}});
  check_case({"additive_scores of one query",
              op,
              twin_of,
              {in({3, 1, 17}), in({3, 2, 17}), in({17})},
              Empty::works,
              2e-6});
  check_case({"additive_scores without a batch",
              OP(unsqueeze(additive_scores(squeeze(x[0], 0), squeeze(x[1], 0), x[2]), 0)),
              twin_of,
              {in({1, 2, 9}), in({1, 3, 9}), in({9})},
              Empty::untested,
              2e-6});
  const Tensor q = to_tensor(numbers(in({2, 1, 3, 4}), 1)),
               k = to_tensor(numbers(in({5, 3, 4}), 2));
  const Tensor v = to_tensor(numbers(in({4}), 3));
  const Tensor all = additive_scores(q, k, v);  // [2, 1] and [5] broadcast to [2, 5]
  CHECK(all.shape() == Shape{2, 5, 3, 3});
  const Tensor one = additive_scores(select(select(q, 0, 1), 0, 0), select(k, 0, 4), v);
  CHECK(same_bits(select(select(all, 0, 1), 0, 4), one));
}

TEST_CASE("additive_scores far out, and of NaN") {
  const Tensor v = ones({3});
  const Tensor far = additive_scores(full({1, 1, 3}, 1e30), full({1, 1, 3}, 1.0), v);
  CHECK(far.item<double>() == 3);
  CHECK(additive_scores(full({1, 1, 3}, -1e30), zeros({1, 1, 3}), v).item<double>() == -3);
  CHECK(additive_scores(zeros({1, 1, 3}), zeros({1, 1, 3}), v).item<double>() == 0);
  const Tensor nan = full({1, 1, 3}, std::numeric_limits<double>::quiet_NaN());
  CHECK(std::isnan(additive_scores(nan, zeros({1, 1, 3}), v).item<double>()));
}

TEST_CASE("additive_scores never stores [batch, queries, keys, size] numbers") {
  Generator generator(1);
  const TensorOptions wanted{.requires_grad = true};
  const Tensor q = randn({2, 64, 128}, generator, wanted),
               k = randn({2, 64, 128}, generator, wanted);
  const Tensor v = randn({128}, generator, wanted);
  reset_peak_memory();
  const int64_t before = memory_use().peak_bytes;
  sum(additive_scores(q, k, v)).backward();
  CHECK(memory_use().peak_bytes - before < 2 * 64 * 64 * 128 * 4 / 4);
}

TEST_CASE("additive_scores of wrong shapes") {
  CHECK_ERROR(
      additive_scores(zeros({1, 2, 3}), zeros({1, 2, 4}), zeros({3})),
      "additive_scores: takes queries [.., m, h], keys [.., n, h] and v [h], not [1, 2, 3], "
      "[1, 2, 4] and [3]");
  CHECK_ERROR(additive_scores(zeros({2, 2, 3}), zeros({3, 2, 3}), zeros({3})), "additive_scores");
}

TEST_SUITE_END();

}  // namespace

// Attention: ops/attention.cpp, and masks of every kind.
#include "tests/ops/case.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("ops");

constexpr double inf = std::numeric_limits<double>::infinity();

struct Rules {
  double scale = 0;  // 1 / sqrt(d) unless given
  bool causal = false;
};

// q [t, d], k [s, d], v [s, e], scores(i, j) increased by bias: -inf forbids.
Array attend(const Array& q, const Array& k, const Array& v, const Array& bias,
             const Rules& rules) {
  const double scale =
      rules.scale != 0 ? rules.scale : 1 / std::sqrt(static_cast<double>(q.shape[1]));
  return twin::make({q.shape[0], v.shape[1]}, [&](const Index& at) {
    double most = -inf, total = 0, result = 0;
    std::vector<double> scores;
    for (int64_t j = 0; j < k.shape[0]; ++j) {
      double score = bias({at[0], j});
      for (int64_t p = 0; p < q.shape[1]; ++p) score += scale * q({at[0], p}) * k({j, p});
      scores.push_back(rules.causal && j > at[0] ? -inf : score);
      most = std::max(most, scores.back());
    }
    for (int64_t j = 0; j < k.shape[0] && most > -inf; ++j) {
      const double weight = std::exp(scores[static_cast<size_t>(j)] - most);
      total += weight;
      result += weight * v({j, at[1]});
    }
    return total > 0 ? result / total : 0;
  });
}

Array part(const Array& x, int64_t b) {  // x[b], or all of x for rank 2
  if (x.shape.size() < 3) return x;
  const Index shape(x.shape.begin() + 1, x.shape.end());
  return twin::make(shape, [&](Index at) {
    at.insert(at.begin(), x.shape[0] == 1 ? 0 : b);
    return x(at);
  });
}

enum class Fourth { none, mask, bias };

Twin attention(Fourth fourth, Rules rules = {}) {
  return [=](const Arrays& x) {
    const int64_t batch = x[0].shape.size() < 3 ? 1 : x[0].shape[0];
    Array result{x[0].shape, {}};
    result.shape.back() = x[2].shape.back();
    for (int64_t b = 0; b < batch; ++b) {
      const Array bias = fourth == Fourth::none ? Array{{}, {0}}
                         : fourth == Fourth::bias
                             ? part(x[3], b)
                             : each([](double m) { return m != 0 ? 0 : -inf; })({part(x[3], b)});
      const Array y = attend(part(x[0], b), part(x[1], b), part(x[2], b), bias, rules);
      result.values.insert(result.values.end(), y.values.begin(), y.values.end());
    }
    return result;
  };
}

#define ATTEND(...) OP(scaled_dot_product_attention(__VA_ARGS__))

TEST_CASE("scaled_dot_product_attention") {
  const std::vector<In> plain = {in({2, 3, 4}), in({2, 5, 4}), in({2, 5, 6})};
  const auto with = [&](const In& fourth) {
    std::vector<In> inputs = plain;
    inputs.push_back(fourth);
    return inputs;
  };
  const std::vector<Case> cases = {
      {"scaled_dot_product_attention", ATTEND(x[0], x[1], x[2]), attention(Fourth::none), plain},
      {"attention of rank 2",
       ATTEND(x[0], x[1], x[2]),
       attention(Fourth::none),
       {in({3, 4}), in({5, 4}), in({5, 2})}},
      {"attention, mask", ATTEND(x[0], x[1], x[2], x[3]), attention(Fourth::mask),
       with(mask_in({2, 3, 5}))},
      {"attention, mask of keys", ATTEND(x[0], x[1], x[2], x[3]), attention(Fourth::mask),
       with(mask_in({2, 1, 5}))},
      {"attention, one mask", ATTEND(x[0], x[1], x[2], x[3]), attention(Fourth::mask),
       with(mask_in({3, 5}))},
      {"attention, bias", ATTEND(x[0], x[1], x[2], x[3]), attention(Fourth::bias),
       with(in({2, 3, 5}))},
      {"attention, one bias", ATTEND(x[0], x[1], x[2], x[3]), attention(Fourth::bias),
       with(in({3, 5}))},
      {"attention, causal", ATTEND(x[0], x[1], x[2], {}, {.causal = true}),
       attention(Fourth::none, {.causal = true}), plain},
      {"attention, scaled", ATTEND(x[0], x[1], x[2], {}, {.scale = 0.3}),
       attention(Fourth::none, {.scale = 0.3}), plain},
      {"attention, causal and mask", ATTEND(x[0], x[1], x[2], x[3], {.causal = true}),
       attention(Fourth::mask, {.causal = true}), with(mask_in({2, 3, 5}))},
  };
  for (const Case& c : cases) check_case(c);
}

TEST_CASE("attention with heads is attention of each head") {
  const Tensor q = to_tensor(numbers(in({2, 3, 4, 5}), 0)),
               k = to_tensor(numbers(in({2, 3, 6, 5}), 1)),
               v = to_tensor(numbers(in({2, 3, 6, 7}), 2));
  const Tensor all = scaled_dot_product_attention(q, k, v);
  const Tensor one =
      scaled_dot_product_attention(select(q, 1, 2), select(k, 1, 2), select(v, 1, 2));
  CHECK(all.shape() == Shape{2, 3, 4, 7});
  CHECK(difference(to_array(select(all, 1, 2)), to_array(one), 1e-14) == "");
}

TEST_CASE("attention to nothing") {
  const Tensor q = ones({2, 3}), none = zeros({0, 3});
  CHECK(same_bits(scaled_dot_product_attention(q, none, zeros({0, 4})), zeros({2, 4})));
  CHECK(scaled_dot_product_attention(none, q, q).shape() == Shape{0, 3});
  CHECK(
      scaled_dot_product_attention(zeros({0, 2, 3}), zeros({0, 2, 3}), zeros({0, 2, 3})).numel() ==
      0);
}

bool nothing_but_numbers(const Tensors& tensors) {
  return std::all_of(tensors.begin(), tensors.end(), [](const Tensor& x) { return all_finite(x); });
}

TEST_CASE(
    "every mask of up to 6 keys gives finite attention and gradients, zero where nothing is "
    "allowed") {
  for (const DType dtype : {float32, float64}) {
    for (int64_t n = 1; n <= 6; ++n) {
      for (uint64_t bits = 0; bits < uint64_t{1} << n; ++bits) {
        std::vector<bool> allowed;
        for (int64_t i = 0; i < n; ++i) allowed.push_back((bits >> i & 1) != 0);
        const Tensor mask = tensor(allowed, {1, n});
        const Tensors x = {to_tensor(numbers(in({2, 3}, -50, 50), 0), dtype),
                           to_tensor(numbers(in({n, 3}, -50, 50), 1), dtype),
                           to_tensor(numbers(in({n, 4}), 2), dtype)};
        const auto op = [&](const Tensors& t) {
          return scaled_dot_product_attention(t[0], t[1], t[2], mask);
        };
        const Tensor y = op(x);
        const Tensors g = gradients(op, x, ones(y.shape(), {.dtype = dtype}));
        REQUIRE(all_finite(y));
        REQUIRE(nothing_but_numbers(g));
        for (int64_t i = 0; i < n; ++i) {
          if (!allowed[static_cast<size_t>(i)])
            REQUIRE(greatest(select(g[1], 0, i).to_vector<double>()) == 0);
          if (!allowed[static_cast<size_t>(i)])
            REQUIRE(greatest(select(g[2], 0, i).to_vector<double>()) == 0);
        }
        if (bits != 0) continue;
        REQUIRE(same_bits(y, zeros_like(y)));
        for (const Tensor& one : g) REQUIRE(same_bits(one, zeros_like(one)));
      }
    }
  }
}

TEST_CASE("random masks over many rows") {
  Generator generator(11);
  for (int round = 0; round < 200; ++round) {
    const Tensors x = {randn({4, 9, 8}, generator), randn({4, 13, 8}, generator),
                       randn({4, 13, 8}, generator)};
    const Tensor mask = rand({4, 9, 13}, generator) < 0.15;
    const auto op = [&](const Tensors& t) {
      return scaled_dot_product_attention(t[0], t[1], t[2], mask, {.causal = round % 2 == 0});
    };
    REQUIRE(all_finite(op(x)));
    REQUIRE(nothing_but_numbers(gradients(op, x, ones({4, 9, 8}))));
  }
}

TEST_CASE("what a mask forbids is not even looked at") {
  for (const double bad : {std::nan(""), inf, -inf, 1e38}) {
    const Tensor scores = tensor({1.0, bad, 2.0}, {1, 3}),
                 mask = tensor({true, false, true}, {1, 3});
    const Tensor y = masked_softmax(scores, mask, 1);
    CHECK(all_finite(y));
    CHECK(y.to_vector<double>()[1] == 0);
    const auto op = [&](const Tensors& t) { return masked_softmax(t[0], mask, 1); };
    CHECK(all_finite(gradients(op, {scores}, tensor({1.0, 2.0, 3.0}, {1, 3}))[0]));
  }
}

TEST_SUITE_END();

}  // namespace

// What a mask closes counts for nothing, whatever it is; and scores as large as a number gets.
#include "tests/ops/case.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("ops");

constexpr double inf = std::numeric_limits<double>::infinity();
const double nan_value = std::numeric_limits<double>::quiet_NaN();

Tensors attention_inputs(DType dtype, int64_t queries, int64_t keys, int64_t width) {
  Generator generator(21);
  Tensors x = {randn({2, queries, 8}, generator), randn({2, keys, 8}, generator),
               randn({2, keys, width}, generator)};
  for (Tensor& one : x) one = one.to(dtype);
  return x;
}

void spoil_rows(const Tensor& x, int64_t first, int64_t count, double bad) {
  const NoGrad guard;
  narrow(x, 1, first, count).fill_(bad);
}

TEST_CASE("attention: what is masked counts for nothing, forward and backward") {
  for (const DType dtype : {float32, float64}) {
    for (const int64_t keys : {5, 40, 170}) {
      for (const double bad : {nan_value, inf}) {
        const int64_t queries = 37, hidden = keys / 3 + 1, first = keys - hidden;
        const Tensors clean = attention_inputs(dtype, queries, keys, 19);
        Tensors spoiled = {clean[0], clean[1].clone(), clean[2].clone()};
        spoil_rows(spoiled[1], first, hidden, bad);
        spoil_rows(spoiled[2], first, hidden, bad);
        // Of every query, and of some queries alone, where others may attend to no key at all.
        Tensor mask = ones({queries, keys}).to(bool_);
        narrow(mask, 1, first, hidden).fill_(0);
        narrow(mask, 0, 3, 2).fill_(0);
        const Function op = [&](const Tensors& t) {
          return scaled_dot_product_attention(t[0], t[1], t[2], mask);
        };
        const Tensor g = ones({2, queries, 19}, {.dtype = dtype});
        CHECK(same_bits(op(clean), op(spoiled)));
        const Tensors wanted = gradients(op, clean, g), found = gradients(op, spoiled, g);
        for (size_t k = 0; k < 3; ++k) CHECK(same_bits(wanted[k], found[k]));
        const Tensors recorded = gradients(op, spoiled, g, true);
        for (size_t k = 0; k < 3; ++k) {
          CHECK(difference(to_array(recorded[k]), to_array(wanted[k]), 1e-5) == "");
        }
      }
    }
  }
}

TEST_CASE("attention: a value that some may not look at spoils only those who do") {
  for (const DType dtype : {float32, float64}) {
    const int64_t time = 90, index = 61;
    const Tensors clean = attention_inputs(dtype, time, time, 12);
    Tensors spoiled = {clean[0], clean[1], clean[2].clone()};
    spoil_rows(spoiled[2], index, 1, nan_value);
    const auto causal = [](const Tensors& t) {
      return scaled_dot_product_attention(t[0], t[1], t[2], {}, {.causal = true});
    };
    CHECK(same_bits(narrow(causal(clean), 1, 0, index), narrow(causal(spoiled), 1, 0, index)));
    for (const double v : narrow(causal(spoiled), 1, index, time - index).to_vector<double>()) {
      CHECK(std::isnan(v));
    }
    // A gradient of 0 for those who looked: what they saw must not reach the others' keys.
    Tensor g = ones({2, time, 12}, {.dtype = dtype});
    narrow(g, 1, index, time - index).fill_(0);
    Tensors q_spoiled = {clean[0].clone(), clean[1], clean[2]};
    Tensor mask = tril(ones({time, time})).to(bool_);
    narrow(mask, 0, index, 1).fill_(0);  // this query may look at nothing
    spoil_rows(q_spoiled[0], index, 1, nan_value);
    const Function masked = [&](const Tensors& t) {
      return scaled_dot_product_attention(t[0], t[1], t[2], mask);
    };
    const Tensors wanted = gradients(masked, clean, g), found = gradients(masked, q_spoiled, g);
    for (size_t k = 0; k < 3; ++k) CHECK(same_bits(wanted[k], found[k]));
  }
}

TEST_CASE("attention: a recorded pass sees nothing of the future either") {
  const Tensors clean = attention_inputs(float64, 9, 14, 5);
  const auto causal = [](const Tensors& t) {
    return scaled_dot_product_attention(t[0], t[1], t[2], {}, {.causal = true});
  };
  Tensors spoiled = {clean[0], clean[1].clone(), clean[2].clone()};
  for (const size_t k : {size_t{1}, size_t{2}})
    spoil_rows(spoiled[k], 9, 5, nan_value);  // beyond the last query
  const Tensor g = ones({2, 9, 5}, {.dtype = float64});
  const Tensors wanted = gradients(causal, clean, g), found = gradients(causal, spoiled, g, true);
  for (size_t k = 0; k < 3; ++k) {
    CHECK(difference(to_array(found[k]), to_array(wanted[k]), 1e-12) == "");
  }
}

TEST_CASE("a masked weight's gradient and an ignored row count for nothing") {
  const Tensor mask = tensor({true, false, true}, {1, 3});
  const Function open = [&](const Tensors& x) { return masked_softmax(x[0], mask, 1); };
  const Tensor x = tensor({1., 2., 3.}, {1, 3});
  for (const bool recorded : {false, true}) {
    const Tensor found = gradients(open, {x}, tensor({1., nan_value, 3.}, {1, 3}), recorded)[0];
    CHECK(difference(to_array(found),
                     to_array(gradients(open, {x}, tensor({1., 0., 3.}, {1, 3}))[0]), 1e-12) == "");
    const Tensor scores = tensor({1., 2., nan_value, nan_value}, {2, 2});
    const Function loss = [](const Tensors& t) {
      return cross_entropy(t[0], tensor({1, -100}, {2}));
    };
    const Tensor slope = gradients(loss, {scores}, scalar(1, float64), recorded)[0];
    CHECK(all_finite(slope));
    CHECK(narrow(slope, 0, 1, 1).to_vector<double>() == std::vector<double>{0, 0});
  }
}

TEST_CASE("attention: scores as large as a number gets") {
  for (const DType dtype : {float32, float64}) {
    const double largest = dtype == float32 ? static_cast<double>(std::numeric_limits<float>::max())
                                            : std::numeric_limits<double>::max();
    const Tensor v = tensor({1., 10., 100.}, {3, 1}, {.dtype = dtype});
    const auto of = [&](std::vector<double> bias) {
      const Tensor q = zeros({1, 4}, {.dtype = dtype}), k = ones({3, 4}, {.dtype = dtype});
      const Tensors x = {q, k, v, tensor(bias, {1, 3}, {.dtype = dtype})};
      const Function fused = [](const Tensors& t) {
        return scaled_dot_product_attention(t[0], t[1], t[2], t[3]);
      };
      const Function composed = [](const Tensors& t) {
        return matmul(softmax(add(mul(matmul(t[0], transpose(t[1])), 0.5), t[3]), -1), t[2]);
      };
      const Tensor g = ones({1, 1}, {.dtype = dtype});
      const Tensors wanted = gradients(composed, x, g), found = gradients(fused, x, g);
      for (size_t i = 0; i < 4; ++i) {
        CHECK(difference(to_array(found[i]), to_array(wanted[i]), 1e-5) == "");
      }
      return fused(x).item<double>();
    };
    for (const double b :
         {-largest, -0.9 * largest, -largest / 2, largest, largest / 2, -1e30, 1e30, 1e9, 0.0}) {
      CHECK(of({b, b, b}) == doctest::Approx(37).epsilon(1e-6));
      CHECK(of({b, b, -inf}) == doctest::Approx(5.5).epsilon(1e-6));
    }
    CHECK(of({-largest, 0, 0}) == doctest::Approx(55).epsilon(1e-6));
    CHECK(of({-largest, largest, 0}) == doctest::Approx(10).epsilon(1e-6));
    CHECK(of({1e4, 1e4, 0}) == doctest::Approx(5.5).epsilon(1e-6));
    // The products themselves may be as large.
    const Tensor q = full({1, 1}, largest / 4, {.dtype = dtype}),
                 k = full({3, 1}, -3.9, {.dtype = dtype});
    CHECK(scaled_dot_product_attention(q, k, v, {}, {.scale = 1}).item<double>() ==
          doctest::Approx(37).epsilon(1e-6));
  }
}

// ---- distances

TEST_CASE("squared distances come from the differences themselves") {
  const Tensor near = tensor({1., 0., 0., 2., 1e6, 1e6}, {3, 2});
  const Tensor origin = zeros({1, 2}, {.dtype = float64});
  CHECK(squared_distance(origin, near).to_vector<double>() == std::vector<double>{1, 4, 2e12});
  Generator generator(5);
  const Tensor far = randn({40, 7}, generator) * 1e-2 + 4096.0;
  const Tensor own = squared_distance(far, far);
  CHECK(min(own).item<double>() == 0);
  for (int64_t i = 0; i < 40; ++i) CHECK(select(select(own, 0, i), 0, i).item<double>() == 0);
  const Tensor exact = squared_distance(far.to(float64), far.to(float64));
  CHECK(difference(to_array(own), to_array(exact), 1e-6) == "");
  CHECK_ERROR(squared_distance(zeros({2, 3}), zeros({2, 4})), "squared_distance:");
}

TEST_CASE("squared_distance: every shape, and its derivatives") {
  const Function op = [](const Tensors& x) { return squared_distance(x[0], x[1]); };
  const auto inputs = [](const Shape& a, const Shape& b) {
    Generator generator(8);
    return Tensors{randn(a, generator, {.dtype = float64}),
                   randn(b, generator, {.dtype = float64})};
  };
  for (const auto& [a, b] : {std::pair{Shape{3, 4}, Shape{5, 4}},
                             {Shape{2, 3, 4}, Shape{5, 4}},
                             {Shape{2, 1, 3, 2}, Shape{4, 1, 2}},
                             {Shape{2, 0, 3}, Shape{2, 4, 3}},
                             {Shape{2, 3, 0}, Shape{2, 4, 0}}}) {
    const Tensors x = inputs(a, b);
    const Tensor wanted = sum(square(sub(unsqueeze(x[0], -2), unsqueeze(x[1], -3))), -1);
    CHECK(same_bits(op(x), wanted));
    if (wanted.numel() == 0) continue;
    CHECK(gradcheck(op, x));
    CHECK(gradgradcheck(op, x));
  }
  const Tensors large = inputs({2, 900, 3}, {2, 700, 3});  // in several parts
  const Tensors found = gradients(op, large, ones({2, 900, 700}, {.dtype = float64}));
  CHECK(difference(to_array(found[0]), to_array(2.0 * (700.0 * large[0] - sum(large[1], 1, true))),
                   1e-9) == "");
  CHECK(difference(to_array(found[1]), to_array(2.0 * (900.0 * large[1] - sum(large[0], 1, true))),
                   1e-9) == "");
}

TEST_CASE("a masked distance may be NaN, in a recorded pass too") {
  Tensor keys = tensor({1., 0., nan_value, 2., 0., 3.}, {3, 2});
  const Tensor mask = tensor({true, false, true}, {1, 3});
  const Function op = [&](const Tensors& x) {
    return masked_softmax(neg(squared_distance(x[0], x[1])), mask, -1);
  };
  const Tensors x = {tensor({0.5, 0.25}, {1, 2}), keys};
  CHECK(all_finite(op(x)));
  for (const bool recorded : {false, true}) {
    for (const Tensor& g : gradients(op, x, tensor({1., 2., 3.}, {1, 3}), recorded)) {
      CHECK(all_finite(g));
    }
  }
}

TEST_SUITE_END();

}  // namespace

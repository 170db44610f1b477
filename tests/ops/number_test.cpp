// Tensors with plain numbers: dtypes, whole numbers without a rounding, comparisons as real
// numbers.
#include <cfloat>
#include <cmath>

#include "tests/ops/case.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("ops");

using Whole = std::vector<int64_t>;
constexpr int64_t lowest = INT64_MIN, highest = INT64_MAX, wide = (int64_t{1} << 53) + 1;
constexpr double inf = std::numeric_limits<double>::infinity();

Whole whole(const Tensor& x) {
  CHECK(x.dtype() == int64);
  return x.to_vector<int64_t>();
}

TEST_CASE("a fill keeps the tensor's dtype, or is an error that names it") {
  const Tensor mask = tensor({true, false, false, true}, {2, 2});
  for (const DType dtype : {bool_, int64, float32, float64}) {
    const Tensor x = ones({2, 2}, {.dtype = dtype});
    for (const Tensor& y : {tril(x), triu(x), masked_fill(x, mask, 0), masked_fill(x, mask, 1.0),
                            pad(x, {1, 1}), full_like(x, 1), zeros_like(x)}) {
      CHECK(y.dtype() == dtype);
    }
    CHECK(tril(x).to_vector<double>() == std::vector<double>{1, 0, 1, 1});
    CHECK(triu(x, 1).to_vector<double>() == std::vector<double>{0, 1, 0, 0});
    CHECK(masked_fill(x, mask, false).to_vector<double>() == std::vector<double>{0, 1, 1, 0});
  }
  const Tensor large = full({2, 2}, wide, {.dtype = int64});
  CHECK(whole(tril(large)) == Whole{wide, 0, wide, wide});
  CHECK(whole(masked_fill(large, mask, highest)) == Whole{highest, wide, wide, highest});
  CHECK(whole(pad(tensor({wide}, {1}), {1, 0}, lowest)) == Whole{lowest, wide});
  const Tensor i = zeros({2, 2}, {.dtype = int64}), b = zeros({2, 2}, {.dtype = bool_});
  CHECK_ERROR(masked_fill(i, mask, 1.5),
              "masked_fill: the number 1.5 does not fit a tensor of int64");
  CHECK_ERROR(masked_fill(i, mask, -inf), "masked_fill: the number -inf does not fit");
  CHECK_ERROR(masked_fill(b, mask, 2), "masked_fill: the number 2 does not fit a tensor of bool");
  CHECK_ERROR(pad(i, {1, 1}, 0.5), "pad: the number 0.5 does not fit");
  CHECK_ERROR(full({2}, NAN, {.dtype = int64}), "full: the number nan does not fit");
  CHECK_ERROR(full({2}, 0x1p63, {.dtype = int64}), "full: the number 9.22");
  CHECK_ERROR(full_like(i, 1e30), "full_like: the number 1e+30 does not fit");
  CHECK_ERROR(scalar(0.5, int64), "scalar: the number 0.5 does not fit");
  Tensor filled = i.clone();
  CHECK_ERROR(filled.fill_(0.25), "fill_: the number 0.25 does not fit");
  CHECK(whole(filled.fill_(wide)) == Whole(4, wide));
}

TEST_CASE("a mask that went through tril, triu or masked_fill still masks") {
  const Tensor q = zeros({3, 1}), v = tensor({1.0f, 10.0f, 100.0f}, {3, 1});
  const Tensor all = ones({3, 3}, {.dtype = bool_});
  const std::vector<float> causal = {1, 5.5, 37};
  const auto attended = [&](const Tensor& mask) {
    return scaled_dot_product_attention(q, q, v, mask).to_vector<float>();
  };
  const std::vector<float> masks[] = {attended(tril(all)),
                                      attended(masked_fill(all, triu(all, 1), 0)),
                                      attended(where(tril(all), all, false))};
  for (const auto& found : masks) {
    for (size_t i = 0; i < 3; ++i) CHECK(found[i] == doctest::Approx(causal[i]));
  }
  CHECK_ERROR(attended(where(tril(all), all, 0)), "int64");  // as in PyTorch no mask any more
}

TEST_CASE("what a number makes of int64 and bool is PyTorch's dtype") {
  const Tensor i = tensor({wide, int64_t{-3}}, {2}), b = tensor({true, false}, {2});
  CHECK(whole(i + 1) == Whole{wide + 1, -2});
  CHECK(whole(i - highest) == Whole{wide - highest, highest - 1});
  CHECK(whole(wide - i) == Whole{0, wide + 3});
  CHECK(whole(2 * i) == Whole{2 * wide, -6});
  CHECK(whole(b + 1) == Whole{2, 1});
  CHECK(whole(b * wide) == Whole{wide, 0});
  CHECK((i + 1.5).dtype() == float32);
  CHECK((b * 0.5).dtype() == float32);
  CHECK((i / 2).dtype() == float32);
  CHECK((i * 1e30).dtype() == float32);
  CHECK((ones({2}, {.dtype = float64}) * 2).dtype() == float64);
  CHECK(whole(where(b, i, 7)) == Whole{wide, 7});
  CHECK(whole(where(b, lowest, i)) == Whole{lowest, -3});
  CHECK(where(b, i, 0.5).dtype() == float32);
  CHECK(where(b, b, false).dtype() == bool_);
  CHECK(whole(where(b, b, 5)) == Whole{1, 5});
}

TEST_CASE("int64 and bool are compared with a number as real numbers") {
  const Whole values = {lowest, lowest + 1, -wide, -2,       -1,          0,
                        1,      wide - 1,   wide,  wide + 1, highest - 1, highest};
  const double numbers[] = {-inf,    -1e300, -0x1p63, -0x1p53, -1.5,  -1.0, -0.5,
                            -1e-300, -0.0,   1e-300,  0.5,     0.999, 1.0,  0x1p53,
                            0x1p62,  0x1p63, 1e19,    inf,     NAN};
  const Tensor x = tensor(values, {12}), b = tensor({false, true}, {2});
  const auto check_all = [](const Tensor& t, const Whole& of, auto number, auto exact) {
    INFO("number: ", static_cast<double>(number));
    const std::vector<bool> found[] = {
        (t == number).template to_vector<bool>(), (t != number).template to_vector<bool>(),
        (t < number).template to_vector<bool>(),  (t <= number).template to_vector<bool>(),
        (t > number).template to_vector<bool>(),  (t >= number).template to_vector<bool>()};
    for (size_t i = 0; i < of.size(); ++i) {
      const auto v = static_cast<decltype(exact)>(of[i]);
      CHECK(found[0][i] == (v == exact));
      CHECK(found[1][i] == (v != exact));
      CHECK(found[2][i] == (v < exact));
      CHECK(found[3][i] == (v <= exact));
      CHECK(found[4][i] == (v > exact));
      CHECK(found[5][i] == (v >= exact));
    }
  };
  for (const double number : numbers) {
    check_all(x, values, number, static_cast<long double>(number));  // 64 bits of precision
    check_all(b, {0, 1}, number, static_cast<long double>(number));
  }
  for (const int64_t number : values) check_all(x, values, number, number);
  CHECK((x < UINT64_MAX).to_vector<bool>() == std::vector<bool>(12, true));
  CHECK((tensor({-1, 0, 1}, {3}) < 0.5).to_vector<bool>() == std::vector<bool>{true, true, false});
  CHECK(lt(x, wide).to_vector<bool>() == (x < wide).to_vector<bool>());
  CHECK((!x).to_vector<bool>()[5]);
}

TEST_CASE("functions that give whole numbers of whole ones keep every bit, and wrap around") {
  const Tensor x = tensor({int64_t{100001}, int64_t{-3}, wide, lowest}, {4});
  CHECK(whole(square(x))[0] == 10000200001);
  CHECK(whole(pow(x, 2))[0] == 10000200001);
  CHECK(whole(pow(x, 3)) == whole(x * x * x));
  CHECK(whole(pow(x, 0)) == Whole(4, 1));
  CHECK(whole(pow(x, 1)) == whole(x));
  CHECK(whole(relu(x)) == Whole{100001, 0, wide, 0});
  CHECK(whole(neg(x)) == Whole{-100001, 3, -wide, lowest});
  CHECK(whole(abs(x)) == Whole{100001, 3, wide, lowest});
  CHECK(whole(clamp(x, -2, wide - 1)) == Whole{100001, -2, wide - 1, -2});
  CHECK(whole(clamp(x, -inf, inf)) == whole(x));
  CHECK(whole(clamp(x, lowest, highest)) == whole(x));
  CHECK(whole(clamp(x, 5, 2)) == Whole(4, 2));
  CHECK(whole(maximum(x, tensor({wide}, {1}))) == Whole(4, wide));
  CHECK(clamp(x, 0.5, 2.5).to_vector<float>() == std::vector<float>{2.5, 0.5, 2.5, 0.5});
  CHECK(pow(x, -1).dtype() == float32);
  CHECK(pow(x, 0.5).dtype() == float32);
  CHECK(whole(square(tensor({true, false}, {2}))) == Whole{1, 0});
  // Others are computed in float64 and rounded once.
  CHECK(sin(tensor({16777217}, {1})).item<float>() == static_cast<float>(std::sin(16777217.0)));
  CHECK((tensor({16777219}, {1}) / 3).item<float>() == static_cast<float>(16777219 / 3.0));
  CHECK(mean(tensor({16777217, 16777219}, {2})).item<float>() == 16777218.0f);
}

TEST_CASE("clamp with min above max gives max") {
  const Tensor x = tensor({-5.0f, 0.5f, 7.0f}, {3}, {.requires_grad = true});
  CHECK(clamp(x, 3, 2).to_vector<float>() == std::vector<float>(3, 2));
  sum(clamp(x, 3, 2)).backward();
  CHECK(x.grad().to_vector<float>() == std::vector<float>(3, 0));
}

TEST_CASE("arange of whole numbers is int64, and exact") {
  CHECK(whole(arange(0, 5)) == Whole{0, 1, 2, 3, 4});
  CHECK(whole(arange(wide, wide + 2)) == Whole{wide, wide + 1});
  CHECK(whole(arange(5, -2, -3)) == Whole{5, 2, -1});
  CHECK(whole(arange(highest - 3, highest, 2)) == Whole{highest - 3, highest - 1});
  CHECK(whole(arange(lowest, highest, highest)) == Whole{lowest, -1, highest - 1});
  CHECK(whole(arange(highest, lowest, lowest)) == Whole{highest, -1});
  CHECK(whole(arange(0.0, 4.5, 1.0, {.dtype = int64})) == Whole{0, 1, 2, 3, 4});
  CHECK(arange(0, 5, 1, {.dtype = float64}).dtype() == float64);
  CHECK(arange(0.0, 5).dtype() == float32);
  CHECK(arange(0, 5, 0.5).numel() == 10);
  CHECK(arange(2.5).to_vector<float>() == std::vector<float>{0, 1, 2});
  CHECK_ERROR(arange(0, 3, 0), "arange: a step of 0");
  CHECK_ERROR(arange(0, 3, -1), "arange: a step of -1 does not lead from 0 to 3");
  CHECK_ERROR(arange(0.0, NAN), "arange");
  CHECK_ERROR(arange(0.0, inf), "arange");
  CHECK_ERROR(arange(0.0, 1e300), "arange");
  CHECK_ERROR(arange(0.5, 3.0, 1.0, {.dtype = int64}), "arange: the number 0.5 does not fit");
}

TEST_CASE("linspace meets both ends and lies symmetrically") {
  for (const int64_t count : {2, 3, 7, 10, 50, 100, 1001}) {
    for (const DType dtype : {float32, float64}) {
      const std::vector<double> x = linspace(0, 1, count, {.dtype = dtype}).to_vector<double>();
      CHECK(x.front() == 0);
      CHECK(x.back() == 1);
      const std::vector<double> y = linspace(-3, 3, count, {.dtype = dtype}).to_vector<double>();
      for (size_t i = 0; i < y.size(); ++i) {
        if (2 * i + 1 != y.size()) CHECK(y[i] == -y[y.size() - 1 - i]);
      }
    }
  }
  const auto largest = linspace(-DBL_MAX, DBL_MAX, 3, {.dtype = float64}).to_vector<double>();
  CHECK(largest == std::vector<double>{-DBL_MAX, 0, DBL_MAX});
}

TEST_CASE("whole numbers are printed in full") {
  CHECK(tensor({wide}, {1}).str().find("9007199254740993") != std::string::npos);
}

TEST_SUITE_END();

}  // namespace

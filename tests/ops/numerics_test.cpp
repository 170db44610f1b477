// NaN, infinities and denormal numbers at each place of a vector.
#include "tests/ops/case.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("ops");

const double nan_value = std::numeric_limits<double>::quiet_NaN();

struct Named {
  const char* name;
  Tensor (*function)(const Tensor&);
};

TEST_CASE("NaN goes through at each lane and tail position") {
  const Named functions[] = {
      {"neg", neg},
      {"abs", abs},
      {"exp", exp},
      {"log", log},
      {"sqrt", sqrt},
      {"rsqrt", rsqrt},
      {"square", square},
      {"reciprocal", reciprocal},
      {"sin", sin},
      {"cos", cos},
      {"tanh", tanh},
      {"sigmoid", sigmoid},
      {"relu", relu},
      {"gelu", gelu},
      {"silu", silu},
      {"erf", erf},
      {"softplus", [](const Tensor& x) { return softplus(x); }},
      {"clamp", [](const Tensor& x) { return clamp(x, -1, 1); }},
      {"pow", [](const Tensor& x) { return pow(x, 1.5); }},
      {"maximum, left", [](const Tensor& x) { return maximum(x, ones_like(x)); }},
      {"maximum, right", [](const Tensor& x) { return maximum(ones_like(x), x); }},
      {"minimum, left", [](const Tensor& x) { return minimum(x, ones_like(x)); }},
      {"minimum, right", [](const Tensor& x) { return minimum(ones_like(x), x); }},
  };
  for (const DType dtype : {float32, float64}) {
    for (const int64_t n : {1, 2, 3, 4, 7, 8, 16, 21, 37}) {
      for (int64_t index = 0; index < n; ++index) {
        std::vector<double> x(static_cast<size_t>(n), 0.5);
        x[static_cast<size_t>(index)] = nan_value;
        const Tensor t = tensor(x, {n}, {.dtype = dtype});
        for (const auto& one : functions) {
          const auto& name = one.name;
          const std::vector<double> y = one.function(t).to_vector<double>();
          int64_t wrong = 0;
          for (int64_t i = 0; i < n; ++i)
            wrong += std::isnan(y[static_cast<size_t>(i)]) == (i == index) ? 0 : 1;
          CHECK_MESSAGE(wrong == 0, name, " n ", n, " at ", index);
        }
        for (const auto& one :
             {std::pair("sum", sum(t)), std::pair("max", max(t)), std::pair("min", min(t)),
              std::pair("mean", mean(t)), std::pair("logsumexp", logsumexp(t))}) {
          CHECK_MESSAGE(std::isnan(one.second.item<double>()), one.first, " n ", n, " at ", index);
        }
      }
    }
  }
}

TEST_CASE("NaN goes through reductions along every dimension") {
  for (const DType dtype : {float32, float64}) {
    for (int64_t index = 0; index < 3 * 19 * 5; index += 7) {
      std::vector<double> values(3 * 19 * 5, 0.5);
      values[static_cast<size_t>(index)] = nan_value;
      const Tensor x = tensor(values, {3, 19, 5}, {.dtype = dtype});
      for (const int64_t dim : {0, 1, 2}) {
        for (const Tensor& y :
             {sum(x, dim), max(x, dim), min(x, dim), logsumexp(x, dim), var(x, dim)}) {
          const std::vector<double> found = y.to_vector<double>();
          CHECK(std::count_if(found.begin(), found.end(), [](double v) { return std::isnan(v); }) ==
                1);
        }
      }
    }
  }
}

TEST_CASE("NaN in a product reaches its row and column, and no other") {
  for (const int64_t n : {3, 17, 40}) {
    std::vector<double> values(static_cast<size_t>(n * n), 1);
    values[static_cast<size_t>(n + 2)] = nan_value;  // row 1, column 2
    const Tensor x = tensor(values, {n, n}), y = ones({n, n}, {.dtype = float64});
    const std::vector<double> left = matmul(x, y).to_vector<double>(),
                              right = matmul(y, x).to_vector<double>();
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        CHECK(std::isnan(left[static_cast<size_t>(i * n + j)]) == (i == 1));
        CHECK(std::isnan(right[static_cast<size_t>(i * n + j)]) == (j == 2));
      }
    }
  }
}

TEST_CASE("0 times NaN and infinity is NaN in a product") {
  const Tensor zero = zeros({2, 2}),
               wild = tensor({nan_value, 1.0, 1.0, 1.0}, {2, 2}, {.dtype = float32});
  CHECK(std::isnan(matmul(zero, wild).to_vector<double>()[0]));
  CHECK(matmul(zero, wild).to_vector<double>()[1] == 0);
}

TEST_CASE("infinities in log-sum-exp") {
  constexpr double inf = std::numeric_limits<double>::infinity();
  const auto of = [](std::vector<double> x) {
    const auto n = static_cast<int64_t>(x.size());
    return logsumexp(tensor(x, {n}, {.dtype = float32})).item<double>();
  };
  CHECK(of({-inf, -inf}) == -inf);
  CHECK(of({inf, 1}) == inf);
  CHECK(of({-inf, 3}) == 3);
  CHECK(of({1e38, 1e38}) == doctest::Approx(1e38));
  CHECK(of({-1e38, -1e38}) == doctest::Approx(-1e38));
  CHECK(of({88.7, 88.7}) == doctest::Approx(88.7 + std::log(2)).epsilon(1e-6));
  const auto op = [](const Tensors& x) { return logsumexp(x[0]); };
  CHECK(all_finite(gradients(op, {full({3}, -inf)}, scalar(1))[0]));
}

TEST_CASE("what averages divides: the mean of ones is 1, in every order and dtype") {
  for (const DType dtype : {float32, float64}) {
    for (int64_t n = 1; n < 400; ++n) {
      const Tensor x = ones({n, 3}, {.dtype = dtype}), target = zeros({n, 3}, {.dtype = dtype});
      CHECK(mean(x).item<double>() == 1);
      CHECK(mean(x, 0).to_vector<double>() == std::vector<double>(3, 1));
      CHECK(mean(transpose(x), 1).to_vector<double>() == std::vector<double>(3, 1));
      CHECK(mse_loss(x, target).item<double>() == 1);
      CHECK(nll_loss(-x, zeros({n}, {.dtype = int64})).item<double>() == 1);
      if (n > 1) CHECK(var(x, 0).to_vector<double>() == std::vector<double>(3, 0));
      Tensor leaf = x.clone().set_requires_grad(true);
      mean(leaf, 0).backward(full({3}, static_cast<double>(n), {.dtype = dtype}));
      CHECK(leaf.grad().to_vector<double>() == std::vector<double>(static_cast<size_t>(3 * n), 1));
    }
  }
}

TEST_CASE("var far from 0, where no float32 is the mean") {
  CHECK(var(tensor({1e7f, 1e7f + 1, 1e7f + 2}, {3})).item<float>() == 1);
  CHECK(var(tensor({16777216.0f, 16777218.0f}, {2})).item<float>() == 2);
  CHECK(var(tensor({1e8f, 1e8f + 8}, {2}), {}, false, 0).item<float>() == 16);
  CHECK(var(tensor({9007199254740992.0, 9007199254740994.0}, {2})).item<double>() == 2);
  for (const int64_t n : {4, 100, 1000, 5000}) {  // 1e7 + 0, 1, 2, 0, 1, 2, ..
    Array x{{3, n}, {}}, wanted{{3}, {}};
    for (int64_t i = 0; i < 3 * n; ++i) x.values.push_back(1e7 + static_cast<double>(i % n % 3));
    double total = 0, squares = 0;
    for (int64_t i = 0; i < n; ++i) total += static_cast<double>(i % 3);
    for (int64_t i = 0; i < n; ++i) {
      squares += std::pow(static_cast<double>(i % 3) - total / static_cast<double>(n), 2);
    }
    wanted.values.assign(3, squares / static_cast<double>(n - 1));
    const Tensor rows = to_tensor(x, float32);
    CHECK(difference(to_array(var(rows, 1)), wanted, 1e-5) == "");
    CHECK(difference(to_array(var(transpose(rows).contiguous(), 0)), wanted, 1e-5) == "");
  }
}

TEST_CASE("denormal numbers are kept") {
  const Tensor x = full({20}, 1e-40);
  CHECK((x * 0.5).to_vector<float>() == std::vector<float>(20, 1e-40f * 0.5f));
  CHECK(sum(x).item<float>() == doctest::Approx(2e-39f));
}

// What IEEE arithmetic defines is the same in every table, to the bit.
TEST_CASE("exact operations have the bits of plain C++") {
  const std::vector<float> a =
      to_tensor(numbers(in({1003}, -1e3, 1e3), 0), float32).to_vector<float>();
  const std::vector<float> b =
      to_tensor(numbers(in({1003}, 0.01, 5), 1), float32).to_vector<float>();
  const Tensor x = tensor(a, {1003}), y = tensor(b, {1003});
  const auto same = [&](const Tensor& got, auto wanted) {
    const std::vector<float> values = got.to_vector<float>();
    for (size_t k = 0; k < a.size(); ++k) {
      if (values[k] != wanted(a[k], b[k])) return false;
    }
    return true;
  };
  CHECK(same(x + y, [](float p, float q) { return p + q; }));
  CHECK(same(x - y, [](float p, float q) { return p - q; }));
  CHECK(same(x * y, [](float p, float q) { return p * q; }));
  CHECK(same(x / y, [](float p, float q) { return p / q; }));
  CHECK(same(sqrt(y), [](float, float q) { return std::sqrt(q); }));
  CHECK(same(reciprocal(y), [](float, float q) { return 1 / q; }));
  CHECK(same(rsqrt(y), [](float, float q) { return 1 / std::sqrt(q); }));
  CHECK(same(maximum(x, y), [](float p, float q) { return std::max(p, q); }));
  CHECK(same(square(x), [](float p, float) { return p * p; }));
  CHECK(same(clamp(x, -1.5, 2.5), [](float p, float) { return std::clamp(p, -1.5f, 2.5f); }));
}

TEST_SUITE_END();

}  // namespace

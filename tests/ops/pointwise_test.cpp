// Functions of each element: ops/pointwise.cpp.
#include <numbers>
#include <tuple>

#include "tests/ops/case.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("ops");

double sigmoid_of(double x) { return 1 / (1 + std::exp(-x)); }

TEST_CASE("functions of each element") {
  const std::vector<Case> cases = {
      {"neg", OP(neg(x[0])), each([](double x) { return -x; }), {in({2, 3})}},
      {"neg by operator", OP(-x[0]), each([](double x) { return -x; }), {in({5})}},
      {"abs", OP(abs(x[0])), each([](double x) { return std::abs(x); }), {in({2, 3})}},
      {"exp", OP(exp(x[0])), each([](double x) { return std::exp(x); }), {in({3, 2})}},
      {"log", OP(log(x[0])), each([](double x) { return std::log(x); }), {in({2, 3}, 0.2, 3)}},
      {"sqrt", OP(sqrt(x[0])), each([](double x) { return std::sqrt(x); }), {in({7}, 0.2, 3)}},
      {"rsqrt",
       OP(rsqrt(x[0])),
       each([](double x) { return 1 / std::sqrt(x); }),
       {in({2, 3}, 0.3, 3)}},
      {"square", OP(square(x[0])), each([](double x) { return x * x; }), {in({2, 3})}},
      {"reciprocal",
       OP(reciprocal(x[0])),
       each([](double x) { return 1 / x; }),
       {in({2, 3}, -3, -0.5)}},
      {"sin", OP(sin(x[0])), each([](double x) { return std::sin(x); }), {in({2, 3}, -9, 9)}},
      {"cos", OP(cos(x[0])), each([](double x) { return std::cos(x); }), {in({2, 3}, -9, 9)}},
      {"tanh", OP(tanh(x[0])), each([](double x) { return std::tanh(x); }), {in({2, 3})}},
      {"sigmoid", OP(sigmoid(x[0])), each(sigmoid_of), {in({2, 3}, -4, 4)}},
      {"relu", OP(relu(x[0])), each([](double x) { return x > 0 ? x : 0; }), {in({3, 3})}},
      {"gelu",
       OP(gelu(x[0])),
       each([](double x) { return x / 2 * std::erfc(-x / std::numbers::sqrt2); }),
       {in({2, 5}, -3, 3)}},
      {"silu",
       OP(silu(x[0])),
       each([](double x) { return x * sigmoid_of(x); }),
       {in({2, 3}, -4, 4)}},
      {"softplus",
       OP(softplus(x[0])),
       each([](double x) { return std::log1p(std::exp(x)); }),
       {in({2, 3}, -3, 3)}},
      {"softplus beyond its threshold",
       OP(softplus(x[0], 3, 2)),
       each([](double x) { return 3 * x > 2 ? x : std::log1p(std::exp(3 * x)) / 3; }),
       {in({2, 5})}},
      {"erf", OP(erf(x[0])), each([](double x) { return std::erf(x); }), {in({2, 3})}},
      {"clamp",
       OP(clamp(x[0], -0.7, 1.1)),
       each([](double x) { return x < -0.7  ? -0.7
                                  : x > 1.1 ? 1.1
                                            : x; }),
       {in({3, 3})}},
  };
  for (const Case& c : cases) check_case(c);
}

TEST_CASE("powers with a number as the exponent") {
  for (const double p : {0.0, 0.5, 1.0, 2.0, 3.0, 1.7, -1.0, -2.5}) {
    check_case({"pow to " + std::to_string(p),
                [p](const Tensors& x) { return pow(x[0], p); },
                each([p](double x) { return std::pow(x, p); }),
                {in({2, 3}, 0.4, 2)}});
  }
  for (const double p : {0.0, 1.0, 2.0, 3.0, -1.0, -2.0}) {
    check_case({"pow of negative numbers to " + std::to_string(p),
                [p](const Tensors& x) { return pow(x[0], p); },
                each([p](double x) { return std::pow(x, p); }),
                {in({2, 3}, -2, -0.5)}});
  }
}

TEST_CASE("slopes at kinks are PyTorch's") {
  const auto slope = [](const Function& f, double index) {
    const Tensor x = tensor({index}, {1}).set_requires_grad(true);
    return grad({sum(f({x}))}, {x})[0].item<double>();
  };
  CHECK(slope(OP(relu(x[0])), 0) == 0);
  CHECK(slope(OP(abs(x[0])), 0) == 0);
  CHECK(slope(OP(clamp(x[0], 0, 1)), 0) == 1);
  CHECK(slope(OP(clamp(x[0], 0, 1)), 1) == 1);
  CHECK(slope(OP(pow(x[0], 0.0)), 0) == 0);
  CHECK(slope(OP(pow(x[0], 1.0)), 0) == 1);
  CHECK(slope(OP(pow(x[0], 2.0)), 0) == 0);
  CHECK(slope(OP(pow(x[0], 3.0)), 0) == 0);
  CHECK(std::isinf(slope(OP(sqrt(x[0])), 0)));
}

// The distance of a float from the exact value, in units of the float's last place.
double ulps(float got, double exact) {
  if (std::isnan(got) && std::isnan(exact)) return 0;
  const auto nearest = static_cast<float>(exact);
  if (got == nearest) return 0;
  if (!std::isfinite(got) || !std::isfinite(nearest)) return 1e9;
  const float away = std::nextafter(std::abs(nearest), std::numeric_limits<float>::infinity());
  const double unit = static_cast<double>(away) - std::abs(static_cast<double>(nearest));
  return std::abs(static_cast<double>(got) - exact) / unit;
}

struct Range {
  const char* name;
  Tensor (*function)(const Tensor&);
  double (*exact)(double);
  double low, high, bound;  // in ulps
};

double mish_of(double x) { return x * std::tanh(std::log1p(std::exp(x))); }
double gelu_of(double x) { return x / 2 * std::erfc(-x / std::numbers::sqrt2); }

TEST_CASE("float32 functions over their whole range, and float64 ones") {
  const Range ranges[] = {
      {"exp", exp, std::exp, -87, 88.7, 2},
      {"log", log, std::log, 1e-30, 1e3, 2},
      {"log of large numbers", log, std::log, 1, 3e38, 2},
      {"sqrt", sqrt, std::sqrt, 0, 1e6, 0.51},
      {"sin", sin, std::sin, -100, 100, 2},
      {"cos", cos, std::cos, -100, 100, 2},
      {"tanh", tanh, std::tanh, -12, 12, 2},
      {"tanh near 0", tanh, std::tanh, -1e-3, 1e-3, 2},
      {"sigmoid", sigmoid, sigmoid_of, -80, 80, 2},
      {"softplus", [](const Tensor& x) { return softplus(x); },
       [](double x) { return std::log1p(std::exp(x)); }, -80, 19.9, 2},
      {"erf", erf, std::erf, -6, 6, 2},
      {"log1p", log1p, std::log1p, -0.999, 1e3, 3},
      {"log1p near 0", log1p, std::log1p, -1e-3, 1e-3, 3},
      {"expm1", expm1, std::expm1, -20, 80, 4},
      {"expm1 near 0", expm1, std::expm1, -1e-3, 1e-3, 4},
      {"mish", mish, mish_of, -50, 19, 4},
      {"erf near 0", erf, std::erf, -1e-3, 1e-3, 2},
  };
  for (const Range& r : ranges) {
    INFO(r.name);
    const Array exact = numbers(in({5003}, r.low, r.high), 0);
    const std::vector<float> x = to_tensor(exact, float32).to_vector<float>();
    const std::vector<float> y = r.function(tensor(x, {5003})).to_vector<float>();
    const std::vector<double> wide = r.function(to_tensor(exact)).to_vector<double>();
    double worst = 0, worst_wide = 0;
    for (size_t i = 0; i < y.size(); ++i) {
      worst = std::max(worst, ulps(y[i], r.exact(static_cast<double>(x[i]))));
      const double wanted = r.exact(exact.values[i]);
      worst_wide = std::max(worst_wide, std::abs(wide[i] - wanted) / std::abs(wanted));
    }
    CHECK(worst <= r.bound);
    CHECK(worst_wide <= 1e-14);
  }
}

TEST_CASE("every one of many numbers, and gradients added to gradients") {
  for (const int64_t n : {(int64_t{1} << 20) + 55, (int64_t{1} << 21) - 1}) {
    Tensor x = arange(0, static_cast<double>(n), 1, {.dtype = float32});
    const std::vector<float> y = (x * 0.5).to_vector<float>();
    Tensor w = zeros({n}).set_requires_grad(true);
    for (int i = 0; i < 2; ++i) (w * x).backward(ones({n}));  // the second time: added
    const std::vector<float> z = w.grad().to_vector<float>();
    int64_t wrong = 0;
    for (int64_t i = 0; i < n; ++i) {
      const auto index = static_cast<size_t>(i);
      wrong += y[index] != 0.5f * static_cast<float>(i) || z[index] != 2 * static_cast<float>(i);
    }
    CHECK(wrong == 0);
  }
}

TEST_CASE("gelu, silu and softplus lose nothing in their tails") {
  for (const double x : {-5.0, -3.0, -1.0, -1e-4, 1e-4, 1.0, 3.0, 30.0, 90.0}) {
    const Tensor index = tensor({x}, {1});
    CHECK(gelu(index).item<double>() == doctest::Approx(gelu_of(x)).epsilon(1e-9));
    CHECK(silu(index).item<double>() == doctest::Approx(x * sigmoid_of(x)).epsilon(1e-13));
    const double softplus_of = x > 40 ? x : std::log1p(std::exp(x));
    CHECK(softplus(index).item<double>() == doctest::Approx(softplus_of).epsilon(1e-8));
  }
}

double elu_of(double x, double alpha) { return x > 0 ? x : alpha * std::expm1(x); }

TEST_CASE("more functions of each element") {
  const std::vector<Case> cases = {
      {"floor", OP(floor(x[0])), each([](double x) { return std::floor(x); }), {in({2, 3})}},
      {"round",
       OP(round(x[0])),
       each([](double x) { return std::nearbyint(x); }),
       {in({2, 3}, -9, 9)}},
      {"sign", OP(sign(x[0])), each([](double x) { return x < 0 ? -1 : x > 0; }), {in({3, 3})}},
      {"log1p",
       OP(log1p(x[0])),
       each([](double x) { return std::log1p(x); }),
       {in({2, 3}, -0.7, 3)}},
      {"expm1", OP(expm1(x[0])), each([](double x) { return std::expm1(x); }), {in({2, 3})}},
      {"leaky_relu",
       OP(leaky_relu(x[0])),
       each([](double x) { return x > 0 ? x : 0.01 * x; }),
       {in({3, 3})}},
      {"leaky_relu with a slope",
       OP(leaky_relu(x[0], 0.3)),
       each([](double x) { return x > 0 ? x : 0.3 * x; }),
       {in({3, 3})}},
      {"elu", OP(elu(x[0])), each([](double x) { return elu_of(x, 1); }), {in({3, 3})}},
      {"elu with alpha",
       OP(elu(x[0], 1.7)),
       each([](double x) { return elu_of(x, 1.7); }),
       {in({5})}},
      {"hardtanh",
       OP(hardtanh(x[0])),
       each([](double x) { return std::clamp(x, -1.0, 1.0); }),
       {in({3, 3})}},
      {"hardtanh with bounds",
       OP(hardtanh(x[0], -0.5, 1.5)),
       each([](double x) { return std::clamp(x, -0.5, 1.5); }),
       {in({3, 3})}},
      {"mish", OP(mish(x[0])), each(mish_of), {in({2, 5}, -4, 4)}},
  };
  for (const Case& c : cases) check_case(c);
}

TEST_CASE("floor, round and sign at halves, edges and beyond") {
  constexpr double inf = std::numeric_limits<double>::infinity();
  const double given[] = {-2.5,  -1.5, -0.5, -0.3,      -0.0,      0.0,      0.5,
                          1.5,   2.5,  0.7,  1e6 + 0.5, 8388607.5, -8388609, 4503599627370495.5,
                          1e300, inf,  -inf};
  for (const double x : given) {
    for (const DType dtype : {float32, float64}) {
      const double exact = scalar(x, dtype).item();
      CHECK(floor(scalar(x, dtype)).item() == std::floor(exact));
      CHECK(round(scalar(x, dtype)).item() == std::nearbyint(exact));
      CHECK(std::signbit(round(scalar(x, dtype)).item()) == std::signbit(exact));
    }
  }
  CHECK(sign(scalar(-inf)).item() == -1);
  CHECK(std::isnan(sign(scalar(std::nan(""))).item()));
  CHECK(std::isnan(floor(scalar(std::nan(""))).item()));
  const Tensor integers = tensor({-3, 0, 5}, {3});
  CHECK(sign(integers).to_vector<int64_t>() == std::vector<int64_t>{-1, 0, 1});
  CHECK(same_bits(floor(integers), integers));
  CHECK(log1p(scalar(-1)).item() == -inf);
  CHECK(std::isnan(log1p(scalar(-2)).item()));
  CHECK(log1p(scalar(inf)).item() == inf);
  CHECK(std::signbit(log1p(scalar(-0.0)).item()));
  CHECK(expm1(scalar(-inf)).item() == -1);
  CHECK(expm1(scalar(inf)).item() == inf);
  CHECK(elu(scalar(-inf)).item() == -1);
  CHECK(elu(scalar(inf)).item() == inf);
  CHECK(mish(scalar(inf)).item() == inf);
  CHECK(mish(scalar(-inf)).item() == 0);
  CHECK_ERROR(hardtanh(scalar(1), 2, 1), "hardtanh: min 2 must not be above max 1");
}

// g f' as a function of x and g, whose first and second derivatives are f's second and third.
Function derivative_of(const Function& f) {
  return [f](const Tensors& x) {
    const Tensor at = x[0].requires_grad() ? x[0] : x[0].detach().set_requires_grad(true);
    return grad({f({at, x[1]})}, {at}, {.grad_outputs = {x[1]}, .create_graph = true})[0];
  };
}

TEST_CASE("third derivatives, and fourth") {
  const std::pair<Function, In> functions[] = {
      {OP(neg(x[0])), in({4})},
      {OP(square(x[0])), in({4})},
      {OP(reciprocal(x[0])), in({4}, 0.5, 2)},
      {OP(sqrt(x[0])), in({4}, 0.5, 2)},
      {OP(rsqrt(x[0])), in({4}, 0.5, 2)},
      {OP(exp(x[0])), in({4})},
      {OP(log(x[0])), in({4}, 0.5, 2)},
      {OP(sin(x[0])), in({4})},
      {OP(cos(x[0])), in({4})},
      {OP(tanh(x[0])), in({4})},
      {OP(sigmoid(x[0])), in({4})},
      {OP(gelu(x[0])), in({4})},
      {OP(silu(x[0])), in({4})},
      {OP(softplus(x[0], 1.3)), in({4})},
      {OP(erf(x[0])), in({4})},
      {OP(pow(x[0], 3.5)), in({4}, 0.5, 2)},
      {OP(pow(x[0], 3)), in({4})},
      {OP(log1p(x[0])), in({4}, -0.5, 2)},
      {OP(expm1(x[0])), in({4})},
      {OP(elu(x[0], 1.2)), in({4})},
  };
  for (size_t i = 0; i < std::size(functions); ++i) {
    INFO("function ", i);
    const auto& [f, input] = functions[i];
    const Tensor x = to_tensor(numbers(input, 3)).set_requires_grad(true);
    const Tensor g = to_tensor(numbers(in({4}, 0.5, 1.5), 4)).set_requires_grad(true);
    const GradcheckResult third = gradgradcheck(derivative_of(f), {x, g});
    CHECK_MESSAGE(third.passed, third.message);
    const GradcheckResult fourth = gradgradcheck(derivative_of(derivative_of(f)), {x, g});
    CHECK_MESSAGE(fourth.passed, fourth.message);
  }
  const Function of_mish = derivative_of(OP(mish(x[0])));
  const Tensor at = to_tensor(numbers(in({4}), 3)).set_requires_grad(true);
  CHECK_ERROR(gradgradcheck(of_mish, {at, ones({4}, float64)}),
              "mish: its third derivative is not available");
}

TEST_CASE("values at the edges") {
  constexpr double inf = std::numeric_limits<double>::infinity();
  for (const DType dtype : {float32, float64}) {
    const auto value_of = [dtype](Tensor (*f)(const Tensor&), double x) {
      return f(scalar(x, dtype)).item<double>();
    };
    CHECK(value_of(exp, -inf) == 0);
    CHECK(value_of(exp, inf) == inf);
    CHECK(value_of(exp, 1e4) == inf);
    CHECK(value_of(exp, -1e4) == 0);
    CHECK(value_of(exp, 0) == 1);
    CHECK(value_of(log, 0) == -inf);
    CHECK(value_of(log, inf) == inf);
    CHECK(std::isnan(value_of(log, -1)));
    CHECK(std::isnan(value_of(sqrt, -1)));
    CHECK(value_of(rsqrt, 0) == inf);
    CHECK(value_of(reciprocal, inf) == 0);
    CHECK(value_of(tanh, inf) == 1);
    CHECK(value_of(tanh, -inf) == -1);
    CHECK(value_of(sigmoid, inf) == 1);
    CHECK(value_of(sigmoid, -inf) == 0);
    CHECK(value_of(sigmoid, 0) == 0.5);
    CHECK(value_of(erf, inf) == 1);
    CHECK(value_of(erf, -inf) == -1);
    CHECK(value_of(relu, inf) == inf);
    CHECK(value_of(relu, -inf) == 0);
    CHECK(value_of(abs, -inf) == inf);
    CHECK(std::signbit(value_of(neg, 0)));
    CHECK(std::signbit(value_of(tanh, -0.0)));
    CHECK(std::isnan(value_of(sin, inf)));
  }
  CHECK(exp(scalar(88.7)).item<double>() == doctest::Approx(std::exp(88.7)).epsilon(1e-5));
}

TEST_CASE("integers: exact where they stay integers, else float32") {
  const Tensor x = tensor({int64_t{-3}, int64_t{0}, int64_t{1} << 53}, {3});
  CHECK(neg(x).dtype() == int64);
  CHECK(abs(x).to_vector<int64_t>() == std::vector<int64_t>{3, 0, int64_t{1} << 53});
  CHECK(exp(tensor({0, 1}, {2})).dtype() == float32);
}

TEST_SUITE_END();

}  // namespace

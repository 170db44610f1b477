// Limits and tails: what a function comes to at infinity, and how near it is on the way there.
#include <bit>
#include <numbers>

#include "tests/ops/case.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("ops");

constexpr double inf = std::numeric_limits<double>::infinity();
constexpr double none = std::numeric_limits<double>::quiet_NaN();  // there is no limit: not checked

struct Limits {
  const char* name;
  Tensor (*function)(const Tensor&);
  double value[2], slope[2], curvature[2];  // at -inf and at +inf
};

const Limits limits[] = {
    {"neg", neg, {inf, -inf}, {-1, -1}, {none, none}},
    {"abs", abs, {inf, inf}, {-1, 1}, {0, 0}},
    {"square", square, {inf, inf}, {-inf, inf}, {2, 2}},
    {"reciprocal", reciprocal, {0, 0}, {0, 0}, {0, 0}},
    {"sqrt", sqrt, {none, inf}, {none, 0}, {none, 0}},
    {"rsqrt", rsqrt, {none, 0}, {none, 0}, {none, 0}},
    {"exp", exp, {0, inf}, {0, inf}, {0, inf}},
    {"log", log, {none, inf}, {none, 0}, {none, 0}},
    {"tanh", tanh, {-1, 1}, {0, 0}, {0, 0}},
    {"sigmoid", sigmoid, {0, 1}, {0, 0}, {0, 0}},
    {"relu", relu, {0, inf}, {0, 1}, {0, 0}},
    {"gelu", gelu, {0, inf}, {0, 1}, {0, 0}},
    {"silu", silu, {0, inf}, {0, 1}, {0, 0}},
    {"softplus", [](const Tensor& x) { return softplus(x); }, {0, inf}, {0, 1}, {0, 0}},
    {"softplus, sharper",
     [](const Tensor& x) { return softplus(x, 3, 9); },
     {0, inf},
     {0, 1},
     {0, 0}},
    {"erf", erf, {-1, 1}, {0, 0}, {0, 0}},
    {"clamp", [](const Tensor& x) { return clamp(x, -2, 3); }, {-2, 3}, {0, 0}, {0, 0}},
    {"pow 3", [](const Tensor& x) { return pow(x, 3); }, {-inf, inf}, {inf, inf}, {-inf, inf}},
    {"pow 1.5", [](const Tensor& x) { return pow(x, 1.5); }, {none, inf}, {none, inf}, {none, 0}},
    {"pow -2", [](const Tensor& x) { return pow(x, -2); }, {0, 0}, {0, 0}, {0, 0}},
    {"log(1 + x^2)",
     [](const Tensor& x) { return log(add(square(x), 1)); },
     {inf, inf},
     {none, none},
     {none, none}},
};

TEST_CASE("every pointwise function, its slope and its curvature at both infinities") {
  for (const DType dtype : {float32, float64}) {
    for (const Limits& l : limits) {
      for (const int side : {0, 1}) {
        // Beside others in a vector, and in its remainder.
        const Tensor x =
            full({19}, side == 0 ? -inf : inf, {.dtype = dtype}).set_requires_grad(true);
        const Tensor y = l.function(x);
        const Tensor slope = grad({sum(y)}, {x}, {.create_graph = true})[0];
        INFO(l.name, side == 0 ? " at -inf" : " at +inf");
        const auto check_all = [](const Tensor& found, double wanted) {
          if (std::isnan(wanted)) return;
          for (const double v : found.to_vector<double>()) CHECK(v == wanted);
        };
        check_all(y, l.value[side]);
        check_all(slope, l.slope[side]);
        if (std::isnan(l.curvature[side])) continue;
        check_all(grad({sum(slope)}, {x})[0], l.curvature[side]);
      }
    }
  }
}

TEST_CASE("a power of two tensors, where one is infinite or 0") {
  for (const DType dtype : {float32, float64}) {
    const Tensor a = tensor({inf, inf, 0.0, 0.5}, {4}, {.dtype = dtype}).set_requires_grad(true);
    const Tensor b = tensor({-1.0, -2.5, 2.0, inf}, {4}, {.dtype = dtype}).set_requires_grad(true);
    const Tensor y = pow(a, b);
    CHECK(y.to_vector<double>() == std::vector<double>{0, 0, 0, 0});
    const Tensor db = grad({sum(y)}, {b}, {.create_graph = true})[0];
    CHECK(db.to_vector<double>() == std::vector<double>{0, 0, 0, 0});
    CHECK(grad({sum(db)}, {b})[0].to_vector<double>() == std::vector<double>{0, 0, 0, 0});
  }
}

TEST_CASE("losses, logsumexp and dropout at infinity") {
  const auto loss = [](double x, double t, DType dtype) {
    return binary_cross_entropy_with_logits(tensor({x}, {1}, {.dtype = dtype}),
                                            tensor({t}, {1}, {.dtype = dtype}))
        .item<double>();
  };
  for (const DType dtype : {float32, float64}) {
    CHECK(loss(-inf, 0, dtype) == 0);
    CHECK(loss(inf, 1, dtype) == 0);
    CHECK(loss(inf, 0, dtype) == inf);
    CHECK(loss(-inf, 1, dtype) == inf);
    CHECK(loss(inf, 0.5, dtype) == inf);
    CHECK(loss(2, 0.25, dtype) == doctest::Approx(std::log1p(std::exp(2.)) - 0.5).epsilon(1e-6));
    for (const auto& [values, wanted] :
         {std::pair{std::vector<double>{inf, 0}, std::vector<double>{1, 0}},
          std::pair{std::vector<double>{inf, -inf}, std::vector<double>{1, 0}},
          std::pair{std::vector<double>{inf, 3, inf}, std::vector<double>{0.5, 0, 0.5}},
          std::pair{std::vector<double>{-inf, 3}, std::vector<double>{0, 1}},
          std::pair{std::vector<double>{-inf, -inf}, std::vector<double>{0, 0}},
          std::pair{std::vector<double>{1e30, 1e30}, std::vector<double>{0.5, 0.5}}}) {
      const auto n = static_cast<int64_t>(values.size());
      const Tensor x = tensor(values, {n}, {.dtype = dtype}).set_requires_grad(true);
      CHECK(grad({logsumexp(x)}, {x})[0].to_vector<double>() == wanted);
    }
    Generator generator(3);
    const Tensor x = full({64}, inf, {.dtype = dtype});
    for (const double v : dropout(x, 1, generator).to_vector<double>()) CHECK(v == 0);
    for (const double v : dropout(x, 0.5, generator).to_vector<double>()) {
      CHECK((v == 0 || v == inf));
    }
  }
}

// ---- tails

template <class T>
double units_off(T got, long double exact) {
  const T nearest = static_cast<T>(exact);
  if (got == nearest) return 0;
  const T next = std::nextafter(std::abs(nearest), std::numeric_limits<T>::infinity());
  const long double unit =
      static_cast<long double>(next) - std::abs(static_cast<long double>(nearest));
  return static_cast<double>(std::abs(static_cast<long double>(got) - exact) / unit);
}

template <class T>
double worst_of_gelu(double low, double high, int64_t count) {
  std::vector<T> x;
  for (int64_t i = 0; i < count; ++i) {
    const double share = (static_cast<double>(i) + 0.37) / static_cast<double>(count);
    x.push_back(static_cast<T>(low + (high - low) * share));
  }
  const std::vector<T> y = gelu(tensor(x, {count})).template to_vector<T>();
  double worst = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const auto exact = static_cast<long double>(x[i]);
    const long double phi = std::erfc(exact * -std::numbers::sqrt2_v<long double> / 2) / 2;
    worst = std::max(worst, units_off(y[i], exact * phi));
  }
  return worst;
}

TEST_CASE("gelu within 2 units in the last place, wherever it is not 0") {
  const bool on_cpu = default_device() == cpu;  // the C library's erfc has up to 5 on a GPU
  CHECK(worst_of_gelu<float>(-15, -4, 100003) <= 2);
  CHECK(worst_of_gelu<float>(-4, 4, 100003) <= 2);
  CHECK(worst_of_gelu<float>(-1e-3, 1e-3, 10007) <= 2);
  CHECK(worst_of_gelu<double>(-38.5, -4, 20011) <= (on_cpu ? 2 : 12));
  CHECK(worst_of_gelu<double>(-4, 4, 20011) <= (on_cpu ? 2 : 12));
}

// ---- what stands beside a number

TEST_CASE("a number gives the same bits whatever stands beside it") {
  const std::pair<const char*, Tensor (*)(const Tensor&)> functions[] = {
      {"exp", exp},
      {"log", log},
      {"sin", sin},
      {"cos", cos},
      {"tanh", tanh},
      {"gelu", gelu},
      {"sigmoid", sigmoid},
      {"silu", silu},
      {"erf", erf},
      {"sqrt", sqrt},
      {"softplus", [](const Tensor& x) { return softplus(x); }},
      {"pow", [](const Tensor& x) { return pow(x, 2.3); }},
  };
  for (const DType dtype : {float32, float64}) {
    std::vector<double> values;
    for (int i = 0; i < 33; ++i) values.push_back(0.1 + 0.037 * i);
    for (const auto& one : functions) {
      const auto& name = one.first;
      const auto& function = one.second;
      const std::vector<double> plain =
          function(tensor(values, {33}, {.dtype = dtype})).to_vector<double>();
      for (const double bad : {1e3, -1e3, 1e5, 1e30, inf, -inf, none, 1e-40}) {
        for (const size_t index : {size_t{0}, size_t{5}, size_t{14}, size_t{32}}) {
          std::vector<double> mixed = values;
          mixed[index] = bad;
          const std::vector<double> y =
              function(tensor(mixed, {33}, {.dtype = dtype})).to_vector<double>();
          int64_t changed = 0;
          for (size_t i = 0; i < 33; ++i) {
            changed +=
                i != index && std::bit_cast<uint64_t>(y[i]) != std::bit_cast<uint64_t>(plain[i]);
          }
          CHECK_MESSAGE(changed == 0, name, " beside ", bad);
        }
      }
    }
  }
}

TEST_SUITE_END();

}  // namespace

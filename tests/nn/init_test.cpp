// First values: distributions by their statistics, orthogonal matrices by their products.
#include <numbers>

#include "tests/errors.h"
#include "tests/nn/patterns.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("nn");

double deviation(const Tensor& x) { return std::sqrt(var(x).item<double>()); }

double density(double z) { return std::exp(-z * z / 2) / std::sqrt(2 * std::numbers::pi); }
double below(double z) { return std::erfc(-z / std::numbers::sqrt2) / 2; }

// Mean and deviation as the textbooks give them, and the share of numbers below the middle of
// [a, b]; all numbers are in it.
void check_truncated(double mean, double deviation_given, double a, double b, DType dtype) {
  Generator generator(11);
  const int64_t n = 200'000;
  const Tensor x =
      nn::init::trunc_normal_(zeros({n}, {.dtype = dtype}), mean, deviation_given, a, b, generator);
  const std::vector<double> values = x.to_vector<double>();
  const double low = (a - mean) / deviation_given, high = (b - mean) / deviation_given;
  const double mass = below(high) - below(low), ratio = (density(low) - density(high)) / mass;
  const double spread = 1 - (high * density(high) - low * density(low)) / mass - ratio * ratio;
  const double wanted = deviation_given * std::sqrt(spread), error = 5 / std::sqrt(n);
  CHECK(std::abs(regrad::mean(x.to(float64)).item<double>() - mean - deviation_given * ratio) <
        error * wanted);
  CHECK(deviation(x.to(float64)) == doctest::Approx(wanted).epsilon(error));
  const double middle = (low + high) / 2;
  int64_t fewer = 0;
  for (const double value : values) {
    if (dtype == float64) REQUIRE((value >= a && value <= b));
    REQUIRE((static_cast<float>(value) >= static_cast<float>(a) &&
             static_cast<float>(value) <= static_cast<float>(b)));
    fewer += (value - mean) / deviation_given < middle;
  }
  CHECK(std::abs(static_cast<double>(fewer) / n - (below(middle) - below(low)) / mass) < error / 2);
}

TEST_CASE("trunc_normal_ is normal within its bounds, wide, narrow, and on either side") {
  for (const DType dtype : {float32, float64}) {
    check_truncated(0, 1, -2, 2, dtype);
    check_truncated(0, 0.02, -2, 2, dtype);  // nothing is cut off
    check_truncated(1, 2, 0.9, 1.3, dtype);
    check_truncated(0, 1, -0.5, 3, dtype);
    check_truncated(0, 1, 2, 3, dtype);  // in the tail, and in its mirror image
    check_truncated(0, 1, -4, -3, dtype);
  }
  Generator generator(1);
  const Tensor far =
      nn::init::trunc_normal_(zeros({1000}, {.dtype = float64}), 0, 1, 30, INFINITY, generator);
  CHECK(min(far).item<double>() >= 30);
  // An exponential of rate 30 nearly: the mean of what is above z is z + 1/z - 2/z³ ..
  CHECK(mean(far).item<double>() == doctest::Approx(30 + 1 / 30.0).epsilon(2e-4));
  CHECK_ERROR(nn::init::trunc_normal_(zeros({2}), 0, 1, 40, 41), "too far from the mean");
  CHECK_ERROR(nn::init::trunc_normal_(zeros({2}), 0, 1, -41, -40), "too far from the mean");
  CHECK_ERROR(nn::init::trunc_normal_(zeros({2}), 0, 0), "the deviation 0 must be above 0");
  CHECK_ERROR(nn::init::trunc_normal_(zeros({2}), 0, 1, 2, 2), "below b 2");
  CHECK_ERROR(nn::init::trunc_normal_(zeros({2}), NAN), "too far from the mean");
  nn::init::trunc_normal_(zeros({0, 3}));
}

void check_orthogonal(const Shape& shape, double gain, DType dtype) {
  Generator generator(3), same(3);
  const Tensor x = zeros(shape, {.dtype = dtype, .requires_grad = true});
  const Tensor w = nn::init::orthogonal_(x, gain, generator);
  CHECK(w.shares_body(x));
  CHECK(w.is_leaf());
  CHECK(largest_difference(w, nn::init::orthogonal_(zeros(shape, {.dtype = dtype}), gain, same)) ==
        0);
  const int64_t rows = shape[0], columns = shape.numel() / rows, n = std::min(rows, columns);
  const Tensor flat = w.detach().to(float64).reshape({rows, columns});
  const Tensor product =
      rows <= columns ? matmul(flat, transpose(flat)) : matmul(transpose(flat), flat);
  CHECK(largest_difference(product, eye(n, {.dtype = float64}) * (gain * gain)) <
        (dtype == float32 ? 1e-6 : 1e-13) * gain * gain);
}

TEST_CASE("orthogonal_ gives orthonormal rows or columns, times the gain") {
  for (const DType dtype : {float32, float64}) {
    for (const Shape& shape : std::vector<Shape>{
             {1, 1}, {5, 5}, {3, 8}, {8, 3}, {6, 2, 3, 3}, {20, 2, 3}, {100, 100}, {40, 130}}) {
      check_orthogonal(shape, 1, dtype);
    }
    check_orthogonal({5, 5}, std::sqrt(2.0), dtype);
  }
  CHECK_ERROR(nn::init::orthogonal_(zeros({3})), "orthogonal_: a weight has 2 or more dimensions");
  nn::init::orthogonal_(zeros({0, 3}));
  nn::init::orthogonal_(zeros({3, 0}));
}

// Uniform among the orthogonal matrices: of n by n, an entry has the mean 0 and the variance 1/n,
// the trace the mean 0 and the variance 1, and both determinants are as frequent. Without the
// signs of R's diagonal the trace would not be.
TEST_CASE("orthogonal_ is uniform among the orthogonal matrices") {
  Generator generator(4);
  const int many = 4000;
  double corner = 0, corner2 = 0, trace = 0, trace2 = 0;
  int turns = 0;
  for (int i = 0; i < many; ++i) {
    const std::vector<double> q =
        nn::init::orthogonal_(zeros({2, 2}, {.dtype = float64}), 1, generator).to_vector<double>();
    corner += q[0];
    corner2 += q[0] * q[0];
    trace += q[0] + q[3];
    trace2 += (q[0] + q[3]) * (q[0] + q[3]);
    turns += q[0] * q[3] - q[1] * q[2] > 0;
  }
  const double error = 4 / std::sqrt(many);
  CHECK(std::abs(corner / many) < error);
  CHECK(corner2 / many == doctest::Approx(0.5).epsilon(2 * error));
  CHECK(std::abs(trace / many) < error);
  CHECK(trace2 / many == doctest::Approx(1).epsilon(2 * error));
  CHECK(turns / static_cast<double>(many) == doctest::Approx(0.5).epsilon(2 * error));
}

TEST_CASE("kaiming by fan_out, and the identity") {
  const Tensor w = zeros({64, 32, 3, 3});
  CHECK(deviation(nn::init::kaiming_normal_(w)) ==
        doctest::Approx(std::sqrt(2.0 / (32 * 9))).epsilon(0.02));
  CHECK(deviation(nn::init::kaiming_normal_(w, 0, nn::init::fan_out)) ==
        doctest::Approx(std::sqrt(2.0 / (64 * 9))).epsilon(0.02));
  CHECK(deviation(nn::init::kaiming_uniform_(w, 1, nn::init::fan_out)) ==
        doctest::Approx(std::sqrt(1.0 / (64 * 9))).epsilon(0.02));
  CHECK(max(abs(w)).item<double>() <= std::sqrt(3.0 / (64 * 9)));
  CHECK(largest_difference(nn::init::eye_(ones({2, 3})), {1, 0, 0, 0, 1, 0}) == 0);
  CHECK(largest_difference(nn::init::eye_(ones({3, 2}, {.dtype = float64})), {1, 0, 0, 1, 0, 0}) ==
        0);
  CHECK_ERROR(nn::init::eye_(ones({2, 3, 4})), "eye_: takes a matrix, not [2, 3, 4]");
  nn::init::eye_(ones({0, 2}));
}

TEST_CASE("a plain distribution has its moments") {
  Generator generator(6);
  const Tensor x = zeros({200, 500});
  nn::init::uniform_(x, -1, 3, generator);
  CHECK(mean(x).item<double>() == doctest::Approx(1).epsilon(0.02));
  CHECK(deviation(x) == doctest::Approx(4 / std::sqrt(12.0)).epsilon(0.01));
  CHECK(min(x).item<double>() >= -1);
  CHECK(max(x).item<double>() <= 3);
  nn::init::normal_(x, 2, 0.5, generator);
  CHECK(mean(x).item<double>() == doctest::Approx(2).epsilon(0.01));
  CHECK(deviation(x) == doctest::Approx(0.5).epsilon(0.01));
  CHECK(largest_difference(nn::init::constant_(zeros({2}), 1.5), {1.5, 1.5}) == 0);
  CHECK(largest_difference(nn::init::zeros_(ones({2})), {0, 0}) == 0);
}

TEST_SUITE_END();

}  // namespace

#include "ops/cpu/scalar_math.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace regrad::simd::scalar {
namespace {

// The normal distribution and its density, in long double, as the rounding error of x^2 would be
// amplified by the exponential. For |x| > 40 the results no longer change in double.
long double clamped(double x) {
  return x == x ? static_cast<long double>(std::clamp(x, -40., 40.)) : x;
}

long double normal(long double x) {
  return std::erfc(x * -std::numbers::sqrt2_v<long double> / 2) / 2;
}

long double density(long double x) {
  return std::exp(x * x / -2) * std::numbers::inv_sqrtpi_v<long double> /
         std::numbers::sqrt2_v<long double>;
}

}  // namespace

void sin(float* x, int count) noexcept {
  for (int i = 0; i < count; ++i) x[i] = std::sin(x[i]);
}

void sin(double* x, int count) noexcept {
  for (int i = 0; i < count; ++i) x[i] = std::sin(x[i]);
}

void cos(float* x, int count) noexcept {
  for (int i = 0; i < count; ++i) x[i] = std::cos(x[i]);
}

void cos(double* x, int count) noexcept {
  for (int i = 0; i < count; ++i) x[i] = std::cos(x[i]);
}

void erf(double* x, int count) noexcept {
  for (int i = 0; i < count; ++i) x[i] = std::erf(x[i]);
}

void gelu(double* x, int count) noexcept {
  for (int i = 0; i < count; ++i) {
    if (!(x[i] > 40)) x[i] = static_cast<double>(clamped(x[i]) * normal(clamped(x[i])));
  }
}

void gelu_slope(double* x, int count) noexcept {
  for (int i = 0; i < count; ++i) {
    const long double t = clamped(x[i]);
    x[i] = static_cast<double>(normal(t) + t * density(t));
  }
}

void gelu_curvature(double* x, int count) noexcept {
  for (int i = 0; i < count; ++i) {
    const long double t = clamped(x[i]);
    x[i] = static_cast<double>(density(t) * (2 - t * t));
  }
}

void pow(float* x, const float* y, int count) noexcept {
  for (int i = 0; i < count; ++i) x[i] = std::pow(x[i], y[i]);
}

void pow(double* x, const double* y, int count) noexcept {
  for (int i = 0; i < count; ++i) x[i] = std::pow(x[i], y[i]);
}

}  // namespace regrad::simd::scalar

#include "ops/cpu/scalar_math.h"

#include <cmath>

namespace regrad::simd::scalar {

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

void pow(float* x, const float* y, int count) noexcept {
  for (int i = 0; i < count; ++i) x[i] = std::pow(x[i], y[i]);
}

void pow(double* x, const double* y, int count) noexcept {
  for (int i = 0; i < count; ++i) x[i] = std::pow(x[i], y[i]);
}

}  // namespace regrad::simd::scalar

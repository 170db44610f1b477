// C library functions applied to a few numbers in place, compiled for the baseline instruction set:
// the fallback of the vector functions of math.h where a vector algorithm is not worth it.
#pragma once

namespace regrad::simd::scalar {

void sin(float* x, int count) noexcept;
void sin(double* x, int count) noexcept;
void cos(float* x, int count) noexcept;
void cos(double* x, int count) noexcept;
void erf(double* x, int count) noexcept;
void gelu(double* x, int count) noexcept;  // x Phi(x), and its first and second derivative
void gelu_slope(double* x, int count) noexcept;
void gelu_curvature(double* x, int count) noexcept;
void pow(float* x, const float* y, int count) noexcept;  // x[i] = pow(x[i], y[i])
void pow(double* x, const double* y, int count) noexcept;

}  // namespace regrad::simd::scalar

// Functions of the C library on a few numbers in place, compiled for the baseline processor: what
// the vector functions of math.h fall back on where a vector algorithm does not pay.
#pragma once

namespace regrad::simd::scalar {

void sin(float* x, int count) noexcept;
void sin(double* x, int count) noexcept;
void cos(float* x, int count) noexcept;
void cos(double* x, int count) noexcept;
void erf(double* x, int count) noexcept;
void gelu(double* x, int count) noexcept;  // x Phi(x), its slope, and the slope's slope
void gelu_slope(double* x, int count) noexcept;
void gelu_curvature(double* x, int count) noexcept;
void pow(float* x, const float* y, int count) noexcept;  // x[i] becomes x[i] to the power y[i]
void pow(double* x, const double* y, int count) noexcept;

}  // namespace regrad::simd::scalar

// The functions that ops/kernels/pointwise.h and ops/kernels/elements.h are written with, for
// scalars: functions of the C library, which CUDA has too, and functions composed of them.
#pragma once

#include <cuda_runtime.h>

#include <cmath>

namespace regrad::gpu {

template <class T>
__host__ __device__ inline T v_select(bool condition, T yes, T no) {
  return condition ? yes : no;
}
template <class T>
__host__ __device__ inline T v_neg(T x) {
  return -x;
}

// The maximum and the minimum; NaN if either is a NaN.
template <class T>
__host__ __device__ inline T v_max(T x, T y) {
  return x > y || !(x == x) ? x : y;
}
template <class T>
__host__ __device__ inline T v_min(T x, T y) {
  return x < y || !(x == x) ? x : y;
}

// x y + z, rounded once.
__host__ __device__ inline float multiply_add(float x, float y, float z) { return ::fmaf(x, y, z); }
__host__ __device__ inline double multiply_add(double x, double y, double z) {
  return ::fma(x, y, z);
}

__host__ __device__ inline float v_abs(float x) { return ::fabsf(x); }
__host__ __device__ inline double v_abs(double x) { return ::fabs(x); }
__host__ __device__ inline float v_sqrt(float x) { return ::sqrtf(x); }
__host__ __device__ inline double v_sqrt(double x) { return ::sqrt(x); }
__host__ __device__ inline float v_exp(float x) { return ::expf(x); }
__host__ __device__ inline double v_exp(double x) { return ::exp(x); }
__host__ __device__ inline float v_log(float x) { return ::logf(x); }
__host__ __device__ inline double v_log(double x) { return ::log(x); }
__host__ __device__ inline float v_log1p_unit(float x) { return ::log1pf(x); }
__host__ __device__ inline double v_log1p_unit(double x) { return ::log1p(x); }
__host__ __device__ inline float v_sin(float x) { return ::sinf(x); }
__host__ __device__ inline double v_sin(double x) { return ::sin(x); }
__host__ __device__ inline float v_cos(float x) { return ::cosf(x); }
__host__ __device__ inline double v_cos(double x) { return ::cos(x); }
__host__ __device__ inline float v_tanh(float x) { return ::tanhf(x); }
__host__ __device__ inline double v_tanh(double x) { return ::tanh(x); }
__host__ __device__ inline float v_erf(float x) { return ::erff(x); }
__host__ __device__ inline double v_erf(double x) { return ::erf(x); }
__host__ __device__ inline float v_pow(float x, float y) { return ::powf(x, y); }
__host__ __device__ inline double v_pow(double x, double y) { return ::pow(x, y); }

// 1 / (1 + e^-x), computed from e = e^-|x|, which cannot overflow. For x < 0 it is e / (1 + e),
// computed as e - e^2 / (1 + e), which reduces the effect of the quotient's rounding error.
template <class T>
__host__ __device__ inline T v_sigmoid(T x) {
  const T e = v_exp(-v_abs(x)), inverse = T(1) / (T(1) + e);
  return x < T(0) ? e - e * e * inverse : inverse;
}

// max(x, limit), and x clamped to [-limit, limit]; a NaN stays.
template <class T>
__host__ __device__ inline T clamp_below(T x, double limit) {
  return v_max(x, static_cast<T>(limit));
}
template <class T>
__host__ __device__ inline T v_clamp(T x, double limit) {
  return v_min(clamp_below(x, -limit), static_cast<T>(limit));
}

// The normal distribution: Phi(x) and its density e^(-x^2/2) / sqrt(2 pi). The rounding error of
// -x / sqrt(2) matters in the tail; it is corrected to first order with the derivative of erfc.
struct Normal {
  double distribution, density;
};
__host__ __device__ inline Normal normal_distribution(double x) {
  constexpr double root = -0.70710678118654752440, root_low = 4.833646656726457e-17;
  const double z = x * root, error = ::fma(x, root, -z) + x * root_low, gaussian = ::exp(-z * z);
  return {0.5 * ::erfc(z) - error * 0.56418958354775628695 * gaussian,
          0.39894228040143267794 * gaussian};
}

// x Phi(x) for x < -37, where erfc is denormal and would lose digits:
//   x Phi(x) = -phi(x) (1 - 1/x^2 + 3/x^4 - 15/x^6 + ...)
// with phi scaled by e^64, and corrected for the rounding error of x^2.
__host__ __device__ inline double gelu_tail(double x) {
  constexpr double root = 0.39894228040143267794, scale = 1.603810890548638e-28;  // e^-64
  const double square = x * x, error = ::fma(x, x, -square), q = 1 / square;
  const double series = 1 - q * (1 - q * (3 - q * (15 - q * (105 - q * (945 - q * 10395)))));
  return -root * ::exp(64 - square / 2) * (1 - error / 2) * series * scale;
}

// Computed in double, as the exponential would amplify the rounding error of x^2 in float. For
// |x| > 40 the results no longer change.
template <class T>
__host__ __device__ inline T v_gelu(T x) {
  const double clamped = v_clamp(static_cast<double>(x), 40);
  if (clamped < -37) return static_cast<T>(gelu_tail(clamped));
  return x > T(40) ? x : static_cast<T>(clamped * normal_distribution(clamped).distribution);
}
template <class T>
__host__ __device__ inline T v_gelu_slope(T x) {
  const double clamped = v_clamp(static_cast<double>(x), 40);
  const Normal normal = normal_distribution(clamped);
  return static_cast<T>(normal.distribution + clamped * normal.density);
}
template <class T>
__host__ __device__ inline T v_gelu_curvature(T x) {
  const double clamped = v_clamp(static_cast<double>(x), 40);
  return static_cast<T>(normal_distribution(clamped).density * (2 - clamped * clamped));
}

}  // namespace regrad::gpu

// ops/kernels/pointwise.h and ops/kernels/elements.h call these by their bare names.
namespace regrad::pointwise {
using namespace gpu;
}

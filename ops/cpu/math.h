// Elementary functions of a SIMD vector, for float and double and every instruction set, within
// 2 ulp over the whole range; infinities, NaNs and denormals as in C. Everything is inlined.
// The coefficients were fitted with the Remez algorithm for the relative error of the result. The
// high parts of ln 2 and pi/2 end in zero bits, so that their product with an integer is exact.
#pragma once

#include "ops/cpu/math_exp.h"
#include "ops/cpu/scalar_math.h"
#include "ops/kernels/series.h"

namespace regrad::simd {

// ---- sigmoid and tanh

// 1 / (1 + e^-x), computed from e = e^-|x|, which cannot overflow. For x < 0 it is e / (1 + e),
// computed as e - e^2 / (1 + e), which reduces the effect of the quotient's rounding error. An
// error of e may count twice, so the exponential with rounded powers from a table is not accurate
// enough.
template <class T, class A>
REGRAD_INLINE xsimd::batch<T, A> v_sigmoid(xsimd::batch<T, A> x) {
  using V = xsimd::batch<T, A>;
  const V one(T(1));
  const auto is_negative = x < V(T(0));
  const V e = v_exp_with<PowersOfTwo<T, A>>(v_neg(v_abs(x)));
  return v_select(is_negative, e, V(T(0))) - v_select(is_negative, e * e, V(T(-1))) / (one + e);
}

// An odd polynomial for |x| < 0.6, otherwise 1 - 2 / (e^2x + 1).
template <class T, class A>
REGRAD_INLINE xsimd::batch<T, A> v_tanh(xsimd::batch<T, A> x) {
  using V = xsimd::batch<T, A>;
  const V one(T(1));
  const V magnitude = clamp_above(v_abs(x), is_float<T> ? 10 : 20);
  const V square = magnitude * magnitude;
  V series;
  if constexpr (is_float<T>) {
    series = polynomial(square, -0.33333299225318806, 0.13331956777327354, -0.053786543547921552,
                        0.020804864992149787, -0.0059052115317481325);
  } else {
    series = polynomial(square, -0.33333333333333325, 0.13333333333331816, -0.05396825396724174,
                        0.021869488502259121, -0.0088632348636083432, 0.0035921196768403921,
                        -0.001455764175646207, 0.00058962264324475282, -0.00023751408664450752,
                        9.2492298924552753e-5, -3.1182077283821644e-5, 6.5051880983679596e-6);
  }
  const V near_zero = multiply_add(magnitude * square, series, magnitude);
  const V far = one - V(T(2)) / (exp_normal(magnitude + magnitude) + one);
  return with_sign(v_select(magnitude < V(T(0.6)), near_zero, far), x);
}

// ---- logarithms

template <class T, class A>
REGRAD_INLINE xsimd::batch<T, A> v_log(xsimd::batch<T, A> x) {
  const auto [fraction, exponent] = split(x);
  return with_log_edge_cases(
      x, series::log_from_parts<T>(fraction - xsimd::batch<T, A>(T(1)), exponent));
}

// log(1 + x) for x in [0, 1]: x + x^2 P(x) for float; for double 2 artanh(s) = 2 (s + s^3/3 + s^5/5
// + ...) with s = x / (2 + x).
template <class T, class A>
REGRAD_INLINE xsimd::batch<T, A> v_log1p_unit(xsimd::batch<T, A> x) {
  using V = xsimd::batch<T, A>;
  if constexpr (is_float<T>) {
    const V series = polynomial(x, -0.49999932762843846, 0.3333051130466636, -0.24958587298218163,
                                0.1969540004567107, -0.15355395208766454, 0.10680554136019095,
                                -0.05766443471095373, 0.02020458178263207, -0.003318472228635831);
    return multiply_add(x * x, series, x);
  } else {
    const V s = x / (V(T(2)) + x), square = s * s;
    const V series =
        polynomial(square, 1. / 3, 1. / 5, 1. / 7, 1. / 9, 1. / 11, 1. / 13, 1. / 15, 1. / 17,
                   1. / 19, 1. / 21, 1. / 23, 1. / 25, 1. / 27, 1. / 29, 1. / 31);
    const V half = multiply_add(s * square, series, s);
    return half + half;
  }
}

// ---- sine and cosine

template <int quarters, class T, class A>
REGRAD_INLINE xsimd::batch<T, A> sine_of_quadrant(xsimd::batch<T, A> x) {
  using V = xsimd::batch<T, A>;
  using B = Bits<T, A>;
  auto [shifted, sine, cosine] = series::reduced_sincos<T>(x);
  const auto quadrant = bits_of(shifted) + typename B::Word{quarters};
  const auto odd = -(quadrant & 1);
  const auto sign = (quadrant & 2) << (sizeof(T) * 8 - 2);
  sine = v_select(x == V(T(0)), x, sine);  // keeps the sign of a zero
  return from_bits<T, A>(((bits_of(cosine) & odd) | (bits_of(sine) & ~odd)) ^ sign);
}

// The argument reduction is accurate for |x| <= 1e4; lanes beyond that take f's value instead of y.
template <class T, class A>
REGRAD_INLINE xsimd::batch<T, A> with_fallback(void (*f)(T*, int) noexcept, xsimd::batch<T, A> x,
                                               xsimd::batch<T, A> y) {
  constexpr T limit = 1e4;
  if (all_within(x, limit)) return y;
  return v_select(v_abs(x) <= xsimd::batch<T, A>(limit), y, apply_per_lane(x, f));
}

template <class T, class A>
REGRAD_INLINE xsimd::batch<T, A> v_sin(xsimd::batch<T, A> x) {
  return with_fallback(scalar::sin, x, sine_of_quadrant<0>(x));
}

template <class T, class A>
REGRAD_INLINE xsimd::batch<T, A> v_cos(xsimd::batch<T, A> x) {
  return with_fallback(scalar::cos, x, sine_of_quadrant<1>(x));
}

// ---- powers

// x^y, with C's special cases: 1 for y = 0 and for x = 1, even if the other is a NaN.
template <class T, class A>
REGRAD_INLINE xsimd::batch<T, A> v_pow(xsimd::batch<T, A> x, xsimd::batch<T, A> y) {
  constexpr int count = static_cast<int>(xsimd::batch<T, A>::size);
  alignas(64) T bases[count];
  alignas(64) T exponents[count];
  x.store_unaligned(bases);
  y.store_unaligned(exponents);
  scalar::pow(bases, exponents, count);
  return xsimd::batch<T, A>::load_unaligned(bases);
}

// ---- the error function

template <class T, class A>
REGRAD_INLINE xsimd::batch<T, A> v_erf(xsimd::batch<T, A> x) {
  using V = xsimd::batch<T, A>;
  if constexpr (is_float<T>) {
    // x + x P(x^2) for |x| < 0.94, otherwise 1 - e^Q(x); for |x| >= 4 it rounds to 1.
    const V magnitude = clamp_above(v_abs(x), 4);
    const V series = polynomial(magnitude * magnitude, 0.12837916649485507, -0.37612632286976103,
                                0.11283672544782565, -0.02685810414639608, 0.0051977967437423717,
                                -0.00081059602680077747, 8.2154042367737431e-5);
    const V log_tail =
        polynomial(magnitude, 0.00017992427237248723, -1.1295400042581097, -0.63329645436600617,
                   -0.10833538277874409, 0.025155050757006102, -0.0041845466454352616,
                   0.00043723750996104956, -2.1334479417656012e-5);
    const V near_zero = multiply_add(magnitude, series, magnitude);
    const V far = V(T(1)) - exp_normal(log_tail);
    return with_sign(v_select(magnitude < V(T(0.94)), near_zero, far), x);
  } else {
    return apply_per_lane(x, scalar::erf);
  }
}

// ---- the normal distribution

// formula(x, Phi(x), phi(x)), where Phi is the distribution function of the normal distribution and
// phi(x) = e^(-x^2/2) / sqrt(2 pi) its density. x is clamped to [-15, 15], beyond which the results
// no longer change in float. Computed in double, as the exponential would amplify the rounding
// error of x^2 in float; accurate to about 30 bits, so that the float is within 1 ulp, even if it
// is denormal.
template <class A, class Formula>
REGRAD_INLINE xsimd::batch<float, A> with_normal(xsimd::batch<float, A> x, const Formula& formula) {
  const auto of_doubles = [&](xsimd::batch<double, A> z) __attribute__((always_inline)) {
    using V = xsimd::batch<double, A>;
    // Phi(-s) = e^(-s^2/2) t P(t) with t = 1 / (1 + 0.3 s): no digits are lost in the tail.
    const V magnitude = v_abs(z), exponent = magnitude * magnitude * V(-0.5 * log2_of_e);
    const V shifter(Bits<double, A>::shifter);
    const V n = (exponent + shifter) - shifter;
    const V density = power_of_two(n) * polynomial(exponent - n, 1.0000000005541674,
                                                   0.69314720573727018, 0.24022646890629804,
                                                   0.055503287769657801, 0.0096184889575924287,
                                                   0.0013399931218333009, 0.00015345811871869615);
    const V t = V(1) / multiply_add(magnitude, V(0.3), V(1));
    const V series = polynomial(t, 0.11968671666791142, 0.11957131779571122, 0.1102393430832328,
                                0.07837224648364384, 0.096204839882557319, -0.079508988184415694,
                                0.1918830620938318, -0.22828460599917055, 0.11246471224524744,
                                -0.020628645801305009);
    const V tail = density * (t * series);
    return formula(z, v_select(z > V(0), V(1) - tail, tail), density * V(0.39894228040143267794));
  };
  const auto [low, high] = widen(v_clamp(x, 15));
  return narrow(of_doubles(low), of_doubles(high));
}

template <class T, class A>
REGRAD_INLINE xsimd::batch<T, A> v_gelu(xsimd::batch<T, A> x) {
  if constexpr (is_float<T>) {
    const auto y = with_normal(
        x, [](auto z, auto phi, auto) __attribute__((always_inline)) { return z * phi; });
    return v_select(x < xsimd::batch<T, A>(15), y, x);
  } else {
    return apply_per_lane(x, scalar::gelu);
  }
}

template <class T, class A>
REGRAD_INLINE xsimd::batch<T, A> v_gelu_slope(xsimd::batch<T, A> x) {
  if constexpr (is_float<T>) {
    return with_normal(
        x, [](auto z, auto phi, auto density)
               __attribute__((always_inline)) { return multiply_add(z, density, phi); });
  } else {
    return apply_per_lane(x, scalar::gelu_slope);
  }
}

template <class T, class A>
REGRAD_INLINE xsimd::batch<T, A> v_gelu_curvature(xsimd::batch<T, A> x) {
  if constexpr (is_float<T>) {
    return with_normal(
        x, [](auto z, auto, auto density)
               __attribute__((always_inline)) { return density * (decltype(z)(2) - z * z); });
  } else {
    return apply_per_lane(x, scalar::gelu_curvature);
  }
}

}  // namespace regrad::simd

// ops/kernels/pointwise.h and ops/kernels/elements.h call these by their bare names.
namespace regrad::pointwise {
using namespace simd;
}

// Elementary functions of a SIMD vector, for float and double and every instruction set, within
// 2 units in the last place over the whole range; infinities, NaNs and denormals as in C.
// Everything is inlined. The coefficients were fitted by Remez's exchange, for the relative error
// of the result; the constants that split ln 2 and pi/2 end in zeros, so that a whole number times
// one of them is exact.
#pragma once

#include "ops/cpu/math_exp.h"
#include "ops/cpu/scalar_math.h"
#include "ops/kernels/series.h"

namespace regrad::simd {

// ---- sigmoid and tanh

// 1 / (1 + e^-x), from e = e^-|x|, which cannot overflow. Left of 0 it is e / (1 + e), but nearer
// to that as e - e^2 / (1 + e), where what rounding does to the quotient counts for less. What it
// does to e can count twice, so a table's rounded powers would be too far off.
template <class T, class A>
REGRAD_INLINE xsimd::batch<T, A> v_sigmoid(xsimd::batch<T, A> x) {
  using V = xsimd::batch<T, A>;
  const V one(T(1));
  const auto is_negative = x < V(T(0));
  const V small = v_exp_by<WholePowers<T, A>>(v_neg(v_abs(x)));
  return v_select(is_negative, small, V(T(0))) -
         v_select(is_negative, small * small, V(T(-1))) / (one + small);
}

// An odd polynomial near 0, and 1 - 2 / (e^2x + 1) further out
template <class T, class A>
REGRAD_INLINE xsimd::batch<T, A> v_tanh(xsimd::batch<T, A> x) {
  using V = xsimd::batch<T, A>;
  const V one(T(1));
  const V size = clamp_above(v_abs(x), is_float<T> ? 10 : 20);
  const V square = size * size;
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
  const V inner = multiply_add(size * square, series, size);
  const V outer = one - V(T(2)) / (exp_normal(size + size) + one);
  return with_sign(v_select(size < V(T(0.6)), inner, outer), x);
}

// ---- logarithms

template <class T, class A>
REGRAD_INLINE xsimd::batch<T, A> v_log(xsimd::batch<T, A> x) {
  const auto [fraction, exponent] = split(x);
  return log_edges(x, series::log_from_parts<T>(fraction - xsimd::batch<T, A>(T(1)), exponent));
}

// log(1 + x) for x in [0, 1]: x + x^2 P(x), or as 2 artanh(s) = 2 (s + s^3/3 + s^5/5 + ...) with
// s = x / (2 + x)
template <class T, class A>
REGRAD_INLINE xsimd::batch<T, A> v_log1p_unit(xsimd::batch<T, A> x) {
  using V = xsimd::batch<T, A>;
  if constexpr (is_float<T>) {
    const V series =
        polynomial(x, -0.49999932762843846, 0.3333051130466636, -0.24958587298218163,
                   0.1969540004567107, -0.15355395208766454, 0.10680554136019095,
                   -0.05766443471095373, 0.02020458178263207, -0.003318472228635831);
    return multiply_add(x * x, series, x);
  } else {
    const V s = x / (V(T(2)) + x), square = s * s;
    const V series = polynomial(square, 1. / 3, 1. / 5, 1. / 7, 1. / 9, 1. / 11, 1. / 13, 1. / 15,
                                1. / 17, 1. / 19, 1. / 21, 1. / 23, 1. / 25, 1. / 27, 1. / 29,
                                1. / 31);
    const V half = multiply_add(s * square, series, s);
    return half + half;
  }
}

// ---- sine and cosine

template <int quarters, class T, class A>
REGRAD_INLINE xsimd::batch<T, A> sine_of_turned(xsimd::batch<T, A> x) {
  using V = xsimd::batch<T, A>;
  using B = Bits<T, A>;
  auto [shifted, sine, cosine] = series::reduced_sincos<T>(x);
  const auto quadrant = bits_of(shifted) + typename B::Word{quarters};
  const auto odd = -(quadrant & 1);
  const auto sign = (quadrant & 2) << (sizeof(T) * 8 - 2);
  sine = v_select(x == V(T(0)), x, sine);  // keeps the sign of a zero
  return from_bits<T, A>(((bits_of(cosine) & odd) | (bits_of(sine) & ~odd)) ^ sign);
}

// The reduction above is exact enough for |x| <= 1e4; the few lanes further out take f's value.
template <class T, class A>
REGRAD_INLINE xsimd::batch<T, A> far_lanes_by(void (*f)(T*, int) noexcept, xsimd::batch<T, A> x,
                                              xsimd::batch<T, A> y) {
  constexpr T limit = 1e4;
  if (all_within(x, limit)) return y;
  return v_select(v_abs(x) <= xsimd::batch<T, A>(limit), y, lane_by_lane(x, f));
}

template <class T, class A>
REGRAD_INLINE xsimd::batch<T, A> v_sin(xsimd::batch<T, A> x) {
  return far_lanes_by(scalar::sin, x, sine_of_turned<0>(x));
}

template <class T, class A>
REGRAD_INLINE xsimd::batch<T, A> v_cos(xsimd::batch<T, A> x) {
  return far_lanes_by(scalar::cos, x, sine_of_turned<1>(x));
}

// ---- powers

// x to the power y, as C has it: 1 for y = 0 and for x = 1, whatever the other is.
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
    // x + x P(x^2) near 0, 1 - e^Q(x) further out; beyond 4 it is 1 to the last bit.
    const V size = clamp_above(v_abs(x), 4);
    const V series = polynomial(size * size, 0.12837916649485507, -0.37612632286976103,
                                0.11283672544782565, -0.02685810414639608, 0.0051977967437423717,
                                -0.00081059602680077747, 8.2154042367737431e-5);
    const V decay =
        polynomial(size, 0.00017992427237248723, -1.1295400042581097, -0.63329645436600617,
                   -0.10833538277874409, 0.025155050757006102, -0.0041845466454352616,
                   0.00043723750996104956, -2.1334479417656012e-5);
    const V inner = multiply_add(size, series, size);
    const V outer = V(T(1)) - exp_normal(decay);
    return with_sign(v_select(size < V(T(0.94)), inner, outer), x);
  } else {
    return lane_by_lane(x, scalar::erf);
  }
}

// ---- the normal distribution

// formula(x, Phi(x), phi(x)) for x within [-15, 15], beyond which a float is at the limits: Phi is
// the chance of being below x, phi(x) = e^(-x^2/2) / sqrt(2 pi) its density. In double, as x^2
// would lose the digits that it needs as an exponent; to about 30 bits, so that a float of it is
// within one unit, also where it is denormal.
template <class A, class Formula>
REGRAD_INLINE xsimd::batch<float, A> with_normal(xsimd::batch<float, A> x, const Formula& formula) {
  const auto of_half = [&](xsimd::batch<double, A> half) __attribute__((always_inline)) {
    using V = xsimd::batch<double, A>;
    // Phi(-s) = e^(-s^2/2) t P(t) with t = 1 / (1 + 0.3 s): no digits are lost in the tail.
    const V size = v_abs(half), power = size * size * V(-0.5 * log2_of_e);
    const V shifter(Bits<double, A>::shifter);
    const V n = (power + shifter) - shifter;
    const V density = power_of_two(n) * polynomial(power - n, 1.0000000005541674,
                                                   0.69314720573727018, 0.24022646890629804,
                                                   0.055503287769657801, 0.0096184889575924287,
                                                   0.0013399931218333009, 0.00015345811871869615);
    const V t = V(1) / multiply_add(size, V(0.3), V(1));
    const V series = polynomial(t, 0.11968671666791142, 0.11957131779571122, 0.1102393430832328,
                                0.07837224648364384, 0.096204839882557319, -0.079508988184415694,
                                0.1918830620938318, -0.22828460599917055, 0.11246471224524744,
                                -0.020628645801305009);
    const V tail = density * (t * series);
    return formula(half, v_select(half > V(0), V(1) - tail, tail),
                   density * V(0.39894228040143267794));
  };
  const auto [low, high] = widen(v_clamp(x, 15));
  return narrow(of_half(low), of_half(high));
}

template <class T, class A>
REGRAD_INLINE xsimd::batch<T, A> v_gelu(xsimd::batch<T, A> x) {
  if constexpr (is_float<T>) {
    const auto y = with_normal(
        x, [](auto at, auto phi, auto) __attribute__((always_inline)) { return at * phi; });
    return v_select(x < xsimd::batch<T, A>(15), y, x);
  } else {
    return lane_by_lane(x, scalar::gelu);
  }
}

template <class T, class A>
REGRAD_INLINE xsimd::batch<T, A> v_gelu_slope(xsimd::batch<T, A> x) {
  if constexpr (is_float<T>) {
    return with_normal(
        x, [](auto at, auto phi, auto density)
               __attribute__((always_inline)) { return multiply_add(at, density, phi); });
  } else {
    return lane_by_lane(x, scalar::gelu_slope);
  }
}

template <class T, class A>
REGRAD_INLINE xsimd::batch<T, A> v_gelu_curvature(xsimd::batch<T, A> x) {
  if constexpr (is_float<T>) {
    return with_normal(
        x, [](auto at, auto, auto density)
               __attribute__((always_inline)) { return density * (decltype(at)(2) - at * at); });
  } else {
    return lane_by_lane(x, scalar::gelu_curvature);
  }
}

}  // namespace regrad::simd

// ops/kernels/pointwise.h and ops/kernels/elements.h call these by their bare names.
namespace regrad::pointwise {
using namespace simd;
}

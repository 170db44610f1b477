// Exponentials of a SIMD vector: e^x = 2^(n / steps) e^r with an integer n and a small |r|, where
// steps is 1, or the size of a table. Each function's comment says for which x it is valid.
#pragma once

#include "ops/cpu/math_lanes.h"

namespace regrad::simd {

constexpr double log2_of_e = 0x1.71547652b82fep+0;

// ln 2 in two parts
template <class T>
constexpr double ln2_high = is_float<T> ? 0x1.62e4p-1 : 0x1.62e42fefa38p-1;
template <class T>
constexpr double ln2_low = is_float<T> ? 0x1.7f7d1cf79abcap-20 : 0x1.ef35793c7673p-45;

// e^x = 2^n (1 + r + tail): r is exact, and the tail holds its correction and the rest of the
// series.
template <class T, class A>
struct ReducedExponent {
  xsimd::batch<T, A> n, r, tail;
};

// (e^r - 1 - r) / r^2, for |r| <= ln(2) / (2 steps)
template <int steps, class T, class A>
REGRAD_INLINE xsimd::batch<T, A> exp_series(xsimd::batch<T, A> r) {
  if constexpr (steps == 16) {
    return polynomial(r, 0.5000161957694663, 0.16666666666666666);
  } else if constexpr (is_float<T>) {
    return polynomial(r, 0.4999999333965086, 0.16666518931155196, 0.04166840649326637,
                      0.0083689225351494257, 0.001381425563828566);
  } else {
    return polynomial(r, 0.5, 0.16666666666666668, 0.041666666666666621, 0.0083333333333291291,
                      0.001388888888892436, 0.00019841269864969287, 2.4801587214102658e-5,
                      2.7557267354260628e-6, 2.7557394397333066e-7, 2.5100420737599935e-8,
                      2.0869906583361609e-9);
  }
}

template <class T, class A>
REGRAD_INLINE ReducedExponent<T, A> reduce_exponent(xsimd::batch<T, A> x) {
  using V = xsimd::batch<T, A>;
  const V shifter(Bits<T, A>::shifter);
  const V n = multiply_add(x, V(static_cast<T>(log2_of_e)), shifter) - shifter;
  const V coarse = multiply_add(n, V(static_cast<T>(-ln2_high<T>)), x);
  const V fine = n * V(static_cast<T>(-ln2_low<T>));
  const V r = coarse + fine;
  return {n, coarse, multiply_add(r * r, exp_series<1>(r), fine)};
}

// e^x for x within the bounds of v_exp; the result may overflow or be denormal.
template <class T, class A>
REGRAD_INLINE xsimd::batch<T, A> exp_bounded(xsimd::batch<T, A> x) {
  const auto [n, r, tail] = reduce_exponent(x);
  return scale(xsimd::batch<T, A>(T(1)) + (r + tail), n);
}

// e^x where it is a normal number, so that 2^n is a single number: half the work. |x| <= 87, or 708
// for double, is sufficient; a NaN stays.
template <class P, class T, class A>
REGRAD_INLINE xsimd::batch<T, A> exp_normal_with(xsimd::batch<T, A> x) {
  using V = xsimd::batch<T, A>;
  const V shifter(P::shifter);
  const V shifted = multiply_add(x, V(static_cast<T>(P::steps * log2_of_e)), shifter);
  const V n = shifted - shifter;
  const V r = multiply_add(n, V(static_cast<T>(-ln2_low<T> / P::steps)),
                           multiply_add(n, V(static_cast<T>(-ln2_high<T> / P::steps)), x));
  const V power = P::power(shifted);
  return multiply_add(power, multiply_add(r * r, exp_series<P::steps>(r), r), power);
}

template <class T, class A>
REGRAD_INLINE xsimd::batch<T, A> exp_normal(xsimd::batch<T, A> x) {
  return exp_normal_with<ExpPowers<T, A>>(x);
}

template <class T>
inline constexpr T exp_normal_limit = is_float<T> ? T(87) : T(708);

template <class T, class A>
REGRAD_INLINE bool all_within(xsimd::batch<T, A> x, T limit) {
  return __builtin_expect(xsimd::all(v_abs(x) <= xsimd::batch<T, A>(limit)), 1);
}

// A lane's formula depends on its own value alone, so that its bits do not depend on the other
// lanes.
template <class P, class T, class A>
REGRAD_INLINE xsimd::batch<T, A> v_exp_with(xsimd::batch<T, A> x) {
  const auto y = exp_normal_with<P>(x);
  if (all_within(x, exp_normal_limit<T>)) return y;
  // Beyond these bounds the result is 0 or infinity.
  const auto bounded =
      clamp_above(clamp_below(x, is_float<T> ? -104 : -746), is_float<T> ? 89 : 710);
  return v_select(v_abs(x) <= xsimd::batch<T, A>(exp_normal_limit<T>), y, exp_bounded(bounded));
}

template <class T, class A>
REGRAD_INLINE xsimd::batch<T, A> v_exp(xsimd::batch<T, A> x) {
  return v_exp_with<ExpPowers<T, A>>(x);
}

// At and below this the power of two in exp_normal is 0: -127 ln 2, and -1023 ln 2 for double.
template <class T>
inline constexpr T exp_lowest = is_float<T> ? T(-88.029691931113054) : T(-709.08956571282410);

// exp(x) for x <= 0, flushed to 0 at and below exp_lowest: denormals, and the edge cases of -inf
// (masked scores), would cost a hundred times as much. Just above exp_lowest, where 2^n is
// denormal, the result is less than the smallest normal number, but not accurate.
template <class T, class Arch>
REGRAD_INLINE Vec<T, Arch> exp_nonpositive(Vec<T, Arch> x) {
  return exp_normal(max_or_second(Vec<T, Arch>(exp_lowest<T>), x));
}

template <class T, class Arch>
REGRAD_INLINE Vec<T, Arch> horner(Vec<T, Arch>, double c) {
  return Vec<T, Arch>(static_cast<T>(c));
}
template <class T, class Arch, class... More>
REGRAD_INLINE Vec<T, Arch> horner(Vec<T, Arch> x, double c, double next, More... more) {
  return multiply_add(horner(x, next, more...), x, Vec<T, Arch>(static_cast<T>(c)));
}

// e^x for x <= 0, within 2 ulp plus the effect of rounding x log2(e), and exactly 0 below the
// normal numbers; a NaN stays. Computed as a power of 2, which is half the work. x may be any
// difference of two finite scores, however large.
template <class T, class Arch>
REGRAD_INLINE Vec<T, Arch> exp_nonpositive_fast(Vec<T, Arch> x) {
  using V = Vec<T, Arch>;
  const V exponent = x * V(static_cast<T>(log2_of_e));
  const V bounded = clamp_below(exponent, is_float<T> ? -127 : -1023);  // 2^n is 0 there
  const V shifter(Bits<T, Arch>::shifter);
  const V n = (bounded + shifter) - shifter;
  const V fraction = bounded - n;
  V series;  // 2^fraction, |fraction| <= 1/2
  if constexpr (is_float<T>) {
    series = horner(fraction, 1.0, 0.6931472149680279, 0.24022652782887737, 0.055503105510137972,
                    0.0096176929729930623, 0.0013406643902351759, 0.00015594678161326619);
  } else {
    series = horner(fraction, 1.0, 0.6931471805599457, 0.24022650695910098, 0.055504108664790395,
                    0.0096181291076070024, 0.0013333558153439965, 0.0001540353044157213,
                    1.5252727385193868e-5, 1.3215442675329822e-6, 1.0180647659234139e-7,
                    7.0725704128144235e-9, 4.0780719295883367e-10);
  }
  return series * power_of_two(n);
}

// u = 1 / (e^2x + 1). Then tanh x = 1 - 2u with an absolute error of about 1 ulp of 1, which
// suffices for a sum of them, and the derivative 1 - tanh² = 4 u (1 - u) has a small relative
// error.
template <class T, class Arch>
REGRAD_INLINE Vec<T, Arch> sigmoid_minus_2x(Vec<T, Arch> x) {
  using V = Vec<T, Arch>;
  const double limit = is_float<T> ? 40 : 80;
  const V one(T(1));
  return one / (exp_bounded(clamp_above(clamp_below(x + x, -limit), limit)) + one);
}

}  // namespace regrad::simd

// Exponentials of a SIMD vector: e^x = 2^n e^r with n an integer and |r| <= ln(2)/2, or n in steps of a
// table. Each formula says for which x it is meant.
#pragma once

#include "ops/cpu/math_lanes.h"
#include "ops/cpu/math_x86.h"

namespace regrad::simd {

constexpr double log2_of_e = 0x1.71547652b82fep+0;

// ln 2 in two parts
template <class T>
constexpr double ln2_high = is_float<T> ? 0x1.62e4p-1 : 0x1.62e42fefa38p-1;
template <class T>
constexpr double ln2_low = is_float<T> ? 0x1.7f7d1cf79abcap-20 : 0x1.ef35793c7673p-45;

// e^x = 2^n (1 + r + tail), where r is exact and what it lacks is in the tail.
template <class T, class A>
struct PowerOfTwo {
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
REGRAD_INLINE PowerOfTwo<T, A> reduce_exponent(xsimd::batch<T, A> x) {
  using V = xsimd::batch<T, A>;
  const V shifter(Bits<T, A>::shifter);
  const V n = multiply_add(x, V(static_cast<T>(log2_of_e)), shifter) - shifter;
  const V coarse = multiply_add(n, V(static_cast<T>(-ln2_high<T>)), x);
  const V fine = n * V(static_cast<T>(-ln2_low<T>));
  const V r = coarse + fine;
  return {n, coarse, multiply_add(r * r, exp_series<1>(r), fine)};
}

// Within the bounds that v_exp sets.
template <class T, class A>
REGRAD_INLINE xsimd::batch<T, A> exp_bounded(xsimd::batch<T, A> x) {
  const auto [n, r, tail] = reduce_exponent(x);
  return scale(xsimd::batch<T, A>(T(1)) + (r + tail), n);
}

// Where e^x is a normal number, whose power of two is then one number: half the work. |x| <= 87, or
// 708 for double, is within that; a NaN stays.
template <class P, class T, class A>
REGRAD_INLINE xsimd::batch<T, A> exp_normal_by(xsimd::batch<T, A> x) {
  using V = xsimd::batch<T, A>;
  const V shifter(P::shifter);
  const V shifted = multiply_add(x, V(static_cast<T>(P::steps * log2_of_e)), shifter);
  const V n = shifted - shifter;
  const V r = multiply_add(n, V(static_cast<T>(-ln2_low<T> / P::steps)),
                           multiply_add(n, V(static_cast<T>(-ln2_high<T> / P::steps)), x));
  const V power = P::of(shifted);
  return multiply_add(power, multiply_add(r * r, exp_series<P::steps>(r), r), power);
}

template <class T, class A>
REGRAD_INLINE xsimd::batch<T, A> exp_normal(xsimd::batch<T, A> x) {
  return exp_normal_by<Powers<T, A>>(x);
}

template <class T>
inline constexpr T exp_normal_limit = is_float<T> ? T(87) : T(708);

template <class T, class A>
REGRAD_INLINE bool all_within(xsimd::batch<T, A> x, T limit) {
  return __builtin_expect(xsimd::all(v_abs(x) <= xsimd::batch<T, A>(limit)), 1);
}

// Each lane takes its formula by its own value: what stands beside it changes no bit.
template <class P, class T, class A>
REGRAD_INLINE xsimd::batch<T, A> v_exp_by(xsimd::batch<T, A> x) {
  const auto y = exp_normal_by<P>(x);
  if (all_within(x, exp_normal_limit<T>)) return y;
  // Beyond these the result is 0 or infinity.
  const auto bounded =
      clamp_above(clamp_below(x, is_float<T> ? -104 : -746), is_float<T> ? 89 : 710);
  return v_select(v_abs(x) <= xsimd::batch<T, A>(exp_normal_limit<T>), y, exp_bounded(bounded));
}

template <class T, class A>
REGRAD_INLINE xsimd::batch<T, A> v_exp(xsimd::batch<T, A> x) {
  return v_exp_by<Powers<T, A>>(x);
}

// From here down the power of two that exp_normal makes is 0: -127 ln 2, and -1023 ln 2.
template <class T>
inline constexpr T exp_lowest = is_float<T> ? T(-88.029691931113054) : T(-709.08956571282410);

// exp(x) for x <= 0, and 0 from there down: what is masked with -inf would otherwise go through
// denormal numbers, at a hundred times the cost. Just above, where the power of two of exp(x) is no
// normal number any more, it is less than the smallest of these, but no longer near exp(x).
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

// e^x for x <= 0 within 2 units in the last place, if that of x itself is not counted, and exactly
// 0 from the end of the normal numbers on; a NaN stays. As a power of 2 it is half the work. x is a
// difference of scores, each of which may be as large as a number gets.
template <class T, class Arch>
REGRAD_INLINE Vec<T, Arch> exp_nonpositive_fast(Vec<T, Arch> x) {
  using V = Vec<T, Arch>;
  const V power = x * V(static_cast<T>(log2_of_e));
  const V bounded = clamp_below(power, is_float<T> ? -127 : -1023);  // 2^n is 0 there
  const V shifter(Bits<T, Arch>::shifter);
  const V n = (bounded + shifter) - shifter;
  const V rest = bounded - n;
  V series;  // of 2^rest, |rest| <= 1/2
  if constexpr (is_float<T>) {
    series = horner(rest, 1.0, 0.6931472149680279, 0.24022652782887737, 0.055503105510137972,
                    0.0096176929729930623, 0.0013406643902351759, 0.00015594678161326619);
  } else {
    series = horner(rest, 1.0, 0.6931471805599457, 0.24022650695910098, 0.055504108664790395,
                    0.0096181291076070024, 0.0013333558153439965, 0.0001540353044157213,
                    1.5252727385193868e-5, 1.3215442675329822e-6, 1.0180647659234139e-7,
                    7.0725704128144235e-9, 4.0780719295883367e-10);
  }
  return series * power_of_two(n);
}

// u = 1 / (e^2x + 1). Then tanh x = 1 - 2u, exact to a unit of 1, which is what a sum of them
// needs, and its slope 1 - tanh² = 4 u (1 - u) is exact to a unit of its own.
template <class T, class Arch>
REGRAD_INLINE Vec<T, Arch> sigmoid_minus_2x(Vec<T, Arch> x) {
  using V = Vec<T, Arch>;
  const double most = is_float<T> ? 40 : 80;
  const V one(T(1));
  return one / (exp_bounded(clamp_above(clamp_below(x + x, -most), most)) + one);
}

}  // namespace regrad::simd

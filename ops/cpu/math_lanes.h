// Building blocks of the elementary functions in math.h: clamping, rounding, powers of two, and the
// sign and exponent of every lane.
// xsimd is used only where versions 8.1 to 14 agree. On AVX-512, version 8.1 returns false for
// `x != x` if x is a NaN, and the versions differ in max and min of a NaN, so these are not used
// here; `x == x` is right everywhere.
#pragma once

#include <cstdint>
#include <limits>
#include <type_traits>
#include <utility>
#include <xsimd/xsimd.hpp>

#include "ops/cpu/lanes.h"

namespace regrad::simd {

// The constants of a floating-point format, and a vector of its bit patterns as integers, on which
// the compiler's operators work.
template <class T, class Arch>
struct Bits {
  using Word = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
  typedef Word Words __attribute__((vector_size(sizeof(xsimd::batch<T, Arch>))));
  static constexpr int fraction = std::numeric_limits<T>::digits - 1;
  static constexpr Word bias = std::numeric_limits<T>::max_exponent - 1;
  static constexpr T smallest = std::numeric_limits<T>::min();  // of the normal numbers
  static constexpr T infinity = std::numeric_limits<T>::infinity();
  static constexpr T invalid = std::numeric_limits<T>::quiet_NaN();
  static constexpr Word one = bias << fraction;
  static constexpr Word sign = Word{1} << (sizeof(T) * 8 - 1);
  // 1.5 * 2^fraction: adding it to a small number rounds that to an integer.
  static constexpr T shifter = T(1.5) * static_cast<T>(Word{1} << fraction);
};

template <class T, class Arch>
REGRAD_INLINE typename Bits<T, Arch>::Words bits_of(xsimd::batch<T, Arch> x) {
  const typename xsimd::batch<T, Arch>::register_type lanes = x;
  return (typename Bits<T, Arch>::Words)lanes;
}

template <class T, class Arch>
REGRAD_INLINE xsimd::batch<T, Arch> from_bits(typename Bits<T, Arch>::Words bits) {
  return xsimd::batch<T, Arch>((typename xsimd::batch<T, Arch>::register_type)bits);
}

// ---- exact functions of one or two arguments

template <class T, class Arch>
REGRAD_INLINE xsimd::batch<T, Arch> v_select(xsimd::batch_bool<T, Arch> condition,
                                             xsimd::batch<T, Arch> yes, xsimd::batch<T, Arch> no) {
  return xsimd::select(condition, yes, no);
}

template <class T, class Arch>
REGRAD_INLINE xsimd::batch<T, Arch> v_neg(xsimd::batch<T, Arch> x) {
  return from_bits<T, Arch>(bits_of(x) ^ Bits<T, Arch>::sign);
}

template <class T, class Arch>
REGRAD_INLINE xsimd::batch<T, Arch> v_abs(xsimd::batch<T, Arch> x) {
  return from_bits<T, Arch>(bits_of(x) & ~Bits<T, Arch>::sign);
}

// x, which must not be negative, with the sign of y.
template <class T, class Arch>
REGRAD_INLINE xsimd::batch<T, Arch> with_sign(xsimd::batch<T, Arch> x, xsimd::batch<T, Arch> y) {
  return from_bits<T, Arch>(bits_of(x) | (bits_of(y) & Bits<T, Arch>::sign));
}

// The maximum and the minimum; y if either is a NaN (as the x86 instructions).
template <class T, class Arch>
REGRAD_INLINE xsimd::batch<T, Arch> max_or_second(xsimd::batch<T, Arch> x,
                                                  xsimd::batch<T, Arch> y) {
  return xsimd::select(x > y, x, y);
}

template <class T, class Arch>
REGRAD_INLINE xsimd::batch<T, Arch> min_or_second(xsimd::batch<T, Arch> x,
                                                  xsimd::batch<T, Arch> y) {
  return xsimd::select(x < y, x, y);
}

template <class T, class Arch>
REGRAD_INLINE xsimd::batch<T, Arch> v_sqrt(xsimd::batch<T, Arch> x) {
  return xsimd::sqrt(x);
}

// ---- building blocks of the elementary functions

// c0 + c2 z + c4 z^2 + ..., with every second coefficient.
template <class T, class Arch>
REGRAD_INLINE xsimd::batch<T, Arch> even_coefficients(xsimd::batch<T, Arch>, double c0,
                                                      double = 0) {
  return xsimd::batch<T, Arch>(static_cast<T>(c0));
}
template <class T, class Arch, class... More>
REGRAD_INLINE xsimd::batch<T, Arch> even_coefficients(xsimd::batch<T, Arch> z, double c0, double,
                                                      double c2, More... more) {
  return multiply_add(even_coefficients(z, c2, more...), z,
                      xsimd::batch<T, Arch>(static_cast<T>(c0)));
}

// c0 + c1 x + c2 x^2 + ..., as two Horner chains in x^2: half the latency for one more product.
template <class T, class Arch, class... More>
REGRAD_INLINE xsimd::batch<T, Arch> polynomial(xsimd::batch<T, Arch> x, double c0, More... more) {
  const auto square = x * x;
  return multiply_add(even_coefficients(square, more...), x,
                      even_coefficients(square, c0, more...));
}

// The integer powers of 2^(1 / steps), with steps = 1. e^x is such a power times a short series.
template <class T, class Arch>
struct PowersOfTwo {
  using B = Bits<T, Arch>;
  static constexpr int steps = 1;
  static constexpr T shifter = B::shifter + static_cast<T>(B::bias);
  // 2^(n / steps), given n + shifter
  static REGRAD_INLINE xsimd::batch<T, Arch> power(xsimd::batch<T, Arch> shifted) {
    return from_bits<T, Arch>(bits_of(shifted) << B::fraction);
  }
};

// The same, with more steps where one instruction looks them up in a table (math_x86.h): the series
// is then shorter.
template <class T, class Arch>
struct ExpPowers : PowersOfTwo<T, Arch> {};

// 2^n for an integer n that is the exponent of a normal number.
template <class T, class Arch>
REGRAD_INLINE xsimd::batch<T, Arch> power_of_two(xsimd::batch<T, Arch> n) {
  using P = PowersOfTwo<T, Arch>;
  return P::power(n + xsimd::batch<T, Arch>(P::shifter));
}

// x * 2^n, rounded only once, even if the result overflows or is denormal; |n| < 2 * bias.
template <class T, class Arch>
REGRAD_INLINE xsimd::batch<T, Arch> scale(xsimd::batch<T, Arch> x, xsimd::batch<T, Arch> n) {
  const xsimd::batch<T, Arch> shifter(Bits<T, Arch>::shifter);
  const auto half = multiply_add(n, xsimd::batch<T, Arch>(T(0.5)), shifter) - shifter;
  return x * power_of_two(half) * power_of_two(n - half);
}

template <class T, class Arch>
struct FractionExponent {
  xsimd::batch<T, Arch> fraction, exponent;
};

// x = fraction * 2^exponent with the fraction in [0.75, 1.5), for x > 0; denormals included.
template <class T, class Arch>
REGRAD_INLINE FractionExponent<T, Arch> split(xsimd::batch<T, Arch> x) {
  using B = Bits<T, Arch>;
  using V = xsimd::batch<T, Arch>;
  const auto is_denormal = x < V(B::smallest);
  const T scale_up = static_cast<T>(typename B::Word{1} << (B::fraction + 2));
  const auto bits = bits_of(v_select(is_denormal, x * V(scale_up), x));
  // Adds half a unit of the exponent, so that fractions in [1.5, 2) go to the next exponent.
  const auto rounded = bits + (typename B::Word{1} << (B::fraction - 1));
  const auto exponent = rounded >> B::fraction;
  const V integer = from_bits<T, Arch>(exponent | bits_of(V(B::shifter))) -
                    V(B::shifter + static_cast<T>(B::bias));
  return {from_bits<T, Arch>(bits - (exponent << B::fraction) + B::one),
          integer - v_select(is_denormal, V(T(B::fraction + 2)), V(T(0)))};
}

// The logarithm of x, given y for x in (0, infinity): -inf, NaN and infinity at and beyond the
// edges.
template <class T, class Arch>
REGRAD_INLINE xsimd::batch<T, Arch> with_log_edge_cases(xsimd::batch<T, Arch> x,
                                                        xsimd::batch<T, Arch> y) {
  using V = xsimd::batch<T, Arch>;
  const V infinity(Bits<T, Arch>::infinity);
  const V invalid(Bits<T, Arch>::invalid);
  const V edge = v_select(x == V(T(0)), v_neg(infinity), v_select(x < V(T(0)), invalid, x));
  return v_select(x > V(T(0)), v_select(x < infinity, y, x), edge);
}

}  // namespace regrad::simd

#include "ops/cpu/math_x86.h"  // overloads, which must come before their first use

namespace regrad::simd {

// The maximum and the minimum; NaN if either is a NaN.
template <class T, class A>
REGRAD_INLINE xsimd::batch<T, A> v_max(xsimd::batch<T, A> x, xsimd::batch<T, A> y) {
  return v_select(x == x, max_or_second(x, y), x);
}

template <class T, class A>
REGRAD_INLINE xsimd::batch<T, A> v_min(xsimd::batch<T, A> x, xsimd::batch<T, A> y) {
  return v_select(x == x, min_or_second(x, y), x);
}

// max(x, limit) and min(x, limit); a NaN stays.
template <class T, class A>
REGRAD_INLINE xsimd::batch<T, A> clamp_below(xsimd::batch<T, A> x, double limit) {
  return max_or_second(xsimd::batch<T, A>(static_cast<T>(limit)), x);
}

template <class T, class A>
REGRAD_INLINE xsimd::batch<T, A> clamp_above(xsimd::batch<T, A> x, double limit) {
  return min_or_second(xsimd::batch<T, A>(static_cast<T>(limit)), x);
}

// x clamped to [-limit, limit]; a NaN stays.
template <class T, class A>
REGRAD_INLINE xsimd::batch<T, A> v_clamp(xsimd::batch<T, A> x, double limit) {
  return clamp_above(clamp_below(x, -limit), limit);
}

// f applied to every lane, for functions where a vector algorithm is not worth it.
template <class T, class A>
REGRAD_INLINE xsimd::batch<T, A> apply_per_lane(xsimd::batch<T, A> x, void (*f)(T*, int) noexcept) {
  constexpr int count = static_cast<int>(xsimd::batch<T, A>::size);
  alignas(64) T lanes[count];
  x.store_unaligned(lanes);
  f(lanes, count);
  return xsimd::batch<T, A>::load_unaligned(lanes);
}

template <class T>
inline constexpr bool is_float = sizeof(T) == 4;

}  // namespace regrad::simd

// ops/kernels/series.h calls these by their bare names.
namespace regrad::series {
using namespace simd;
}

// Horizontal reductions: the lanes of a vector combined into one number, or `lanes` vectors reduced
// to the lanes of one. The order depends on the number of lanes alone.
#pragma once

#include "ops/cpu/math_lanes.h"

namespace regrad::simd {

struct Sum {
  template <class V>
  static REGRAD_INLINE V apply(V x, V y) {
    return x + y;
  }
};
struct Product {
  template <class V>
  static REGRAD_INLINE V apply(V x, V y) {
    return x * y;
  }
};
// The maximum (sign 1) or the minimum (sign -1); NaN if either argument is.
template <int sign>
struct Extremum {
  template <class V>
  static REGRAD_INLINE V apply(V x, V y) {
    return ((sign > 0 ? x > y : x < y) | (x != x)) ? x : y;
  }
  template <class T, class Arch>
  static REGRAD_INLINE xsimd::batch<T, Arch> apply(xsimd::batch<T, Arch> x,
                                                   xsimd::batch<T, Arch> y) {
    return sign > 0 ? v_max(x, y) : v_min(x, y);
  }
};
// The maximum; it may ignore a NaN.
struct FastMax {
  template <class V>
  static REGRAD_INLINE V apply(V x, V y) {
    return x > y ? x : y;
  }
  template <class T, class Arch>
  static REGRAD_INLINE xsimd::batch<T, Arch> apply(xsimd::batch<T, Arch> x,
                                                   xsimd::batch<T, Arch> y) {
    return max_or_second(x, y);
  }
};

// A vector as the compiler's own type, whose lanes can be shuffled.
template <class T, class Arch>
REGRAD_INLINE auto lanes_in(xsimd::batch<T, Arch> x) {
  typedef T Lanes __attribute__((vector_size(sizeof(x))));
  const typename xsimd::batch<T, Arch>::register_type lanes = x;
  return (Lanes)lanes;
}

template <class Combine, class V, int... I>
REGRAD_INLINE auto fold_halves(V x, std::integer_sequence<int, I...>) {
  constexpr int half = static_cast<int>(sizeof...(I));
  if constexpr (half == 1) {
    return Combine::apply(x[0], x[1]);
  } else {
    return fold_halves<Combine>(Combine::apply(__builtin_shufflevector(x, x, I...),
                                               __builtin_shufflevector(x, x, (I + half)...)),
                                std::make_integer_sequence<int, half / 2>{});
  }
}

// All lanes of a vector combined: the upper half with the lower, repeatedly.
template <class Combine, class T, class Arch>
REGRAD_INLINE T fold_lanes(xsimd::batch<T, Arch> x) {
  constexpr int count = static_cast<int>(xsimd::batch<T, Arch>::size);
  return fold_halves<Combine>(lanes_in(x), std::make_integer_sequence<int, count / 2>{});
}

template <class T, class Arch>
REGRAD_INLINE T sum_lanes(xsimd::batch<T, Arch> x) {
  return fold_lanes<Sum>(x);
}

// x and y are divided into runs of 2 Half lanes; the upper half of every run is combined with its
// lower half. The result is the combined runs of x, followed by those of y.
template <class Combine, int Half, class T, class Arch, int... I>
REGRAD_INLINE xsimd::batch<T, Arch> fold_runs(xsimd::batch<T, Arch> x, xsimd::batch<T, Arch> y,
                                              std::integer_sequence<int, I...>) {
  using V = xsimd::batch<T, Arch>;
  using Register = typename V::register_type;
  const auto a = lanes_in(x), b = lanes_in(y);
  return Combine::apply(V((Register)__builtin_shufflevector(a, b, (2 * I - I % Half)...)),
                        V((Register)__builtin_shufflevector(a, b, (2 * I - I % Half + Half)...)));
}

// Lane r of the result is all lanes of rows[r] combined, in the order of fold_lanes. There are as
// many rows as lanes; they are overwritten.
template <class Combine, class T, class Arch,
          int Half = static_cast<int>(xsimd::batch<T, Arch>::size) / 2>
REGRAD_INLINE xsimd::batch<T, Arch> fold_rows(xsimd::batch<T, Arch>* rows) {
  constexpr std::make_integer_sequence<int, static_cast<int>(xsimd::batch<T, Arch>::size)> lanes{};
#pragma GCC unroll 8
  for (int r = 0; r < Half; ++r) {
    rows[r] = fold_runs<Combine, Half>(rows[2 * r], rows[2 * r + 1], lanes);
  }
  if constexpr (Half > 1) return fold_rows<Combine, T, Arch, Half / 2>(rows);
  return rows[0];
}

}  // namespace regrad::simd

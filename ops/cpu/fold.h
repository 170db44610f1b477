// The lanes of a vector combined into one number, or of as many vectors as one has lanes into a
// vector: always in an order that the lanes alone decide.
#pragma once

#include "ops/cpu/gemm_vector.h"

namespace regrad::simd {

struct Sum {
  template <class V>
  static REGRAD_INLINE V of(V x, V y) {
    return x + y;
  }
};
// The larger and the smaller; a NaN on either side gives NaN.
struct Larger {
  template <class V>
  static REGRAD_INLINE V of(V x, V y) {
    return ((x > y) | (x != x)) ? x : y;
  }
};
struct Smaller {
  template <class V>
  static REGRAD_INLINE V of(V x, V y) {
    return ((x < y) | (x != x)) ? x : y;
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
    return Combine::of(x[0], x[1]);
  } else {
    return fold_halves<Combine>(Combine::of(__builtin_shufflevector(x, x, I...),
                                            __builtin_shufflevector(x, x, (I + half)...)),
                                std::make_integer_sequence<int, half / 2>{});
  }
}

// All lanes of a vector: the upper half onto the lower, and again.
template <class Combine, class T, class Arch>
REGRAD_INLINE T fold_lanes(xsimd::batch<T, Arch> x) {
  constexpr int count = static_cast<int>(xsimd::batch<T, Arch>::size);
  return fold_halves<Combine>(lanes_in(x), std::make_integer_sequence<int, count / 2>{});
}

template <class T, class Arch>
REGRAD_INLINE T sum_lanes(xsimd::batch<T, Arch> x) {
  return fold_lanes<Sum>(x);
}

}  // namespace regrad::simd

// SIMD vectors for all kernels: loads and stores of full and partial vectors, and a fused
// multiply-add (xsimd 8 has none for AVX-512). The remainder of a loop is one partial vector, which
// goes through the same code as the full ones. Everything is inlined, and every symbol's name
// contains its instruction set.
#pragma once

#include <cstdint>
#include <xsimd/xsimd.hpp>

#define REGRAD_INLINE __attribute__((always_inline)) inline
#define REGRAD_LAMBDA __attribute__((always_inline))

namespace regrad::simd {

template <class T, class Arch>
using Vec = xsimd::batch<T, Arch>;

// A vector as the compiler's own type.
template <class T, class Arch>
struct Lanes {
  typedef T Vector __attribute__((vector_size(sizeof(Vec<T, Arch>))));
};

template <class T, class Arch>
inline constexpr int64_t lanes_of = static_cast<int64_t>(xsimd::batch<T, Arch>::size);

template <class T, class Arch>
REGRAD_INLINE xsimd::batch<T, Arch> multiply_add(xsimd::batch<T, Arch> x, xsimd::batch<T, Arch> y,
                                                 xsimd::batch<T, Arch> z) {
  return xsimd::fma(x, y, z);
}

// Loads and stores the first `count` lanes only; the others are loaded as `fill` and not stored.
template <class T, class Arch>
struct FirstLanes {
  using Vector = xsimd::batch<T, Arch>;
  static constexpr bool is_free = false;  // true: loads cost hardly more than full ones
  REGRAD_INLINE explicit FirstLanes(int64_t count) : count_(count) {}

  REGRAD_INLINE Vector load(const T* source, T fill = T(0)) const {
    alignas(64) T lanes[Vector::size];
    for (int64_t i = 0; i < lanes_of<T, Arch>; ++i) lanes[i] = i < count_ ? source[i] : fill;
    return Vector::load_unaligned(lanes);
  }
  REGRAD_INLINE void store(T* destination, Vector value) const {
    alignas(64) T lanes[Vector::size];
    value.store_unaligned(lanes);
    for (int64_t i = 0; i < count_; ++i) destination[i] = lanes[i];
  }

 private:
  int64_t count_;
};

}  // namespace regrad::simd

#include "ops/cpu/lanes_x86.h"  // specialisations, which must come before their first use

namespace regrad::simd {

// Loads or stores a full vector, or a partial one if fewer than `lanes` elements are `left`.
template <class T, class Arch>
REGRAD_INLINE Vec<T, Arch> load(const T* source, int64_t left, T fill = T(0)) {
  if (left >= lanes_of<T, Arch>) [[likely]]
    return Vec<T, Arch>::load_unaligned(source);
  return FirstLanes<T, Arch>(left).load(source, fill);
}

template <class T, class Arch>
REGRAD_INLINE void store(T* destination, int64_t left, Vec<T, Arch> value) {
  if (left >= lanes_of<T, Arch>) [[likely]] {
    value.store_unaligned(destination);
  } else {
    FirstLanes<T, Arch>(left).store(destination, value);
  }
}

template <class T>
REGRAD_INLINE bool is_nan(T x) {
  return !(x == x);
}

template <class T>
REGRAD_INLINE T infinity() {
  return static_cast<T>(__builtin_inf());
}

}  // namespace regrad::simd

// Vectors as the kernels use them: whole or partial in memory, and work cut into pieces that depend
// on its size alone.
// A tail is one partial vector through the same code as the rest; its missing lanes are `fill`.
#pragma once

#include <cstdint>
#include <type_traits>

#include "ops/cpu/fold.h"
#include "ops/cpu/parallel.h"
#include "ops/cpu/scratch.h"

#define REGRAD_LAMBDA __attribute__((always_inline))

namespace regrad::simd {

template <class T, class Arch>
using Vec = xsimd::batch<T, Arch>;

template <class T, class Arch>
inline constexpr int64_t lanes_of = static_cast<int64_t>(xsimd::batch<T, Arch>::size);

REGRAD_INLINE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
REGRAD_INLINE int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }
REGRAD_INLINE int64_t pieces_of(int64_t count, int64_t each) { return (count + each - 1) / each; }

// Lanes [0, count) from memory, `fill` in the others.
template <class T, class Arch>
REGRAD_INLINE Vec<T, Arch> load_first(const T* from, int64_t count, T fill) {
  alignas(64) T lanes[lanes_of<T, Arch>];
  for (int64_t i = 0; i < lanes_of<T, Arch>; ++i) lanes[i] = i < count ? from[i] : fill;
  return Vec<T, Arch>::load_unaligned(lanes);
}

#if XSIMD_WITH_AVX2
// Read from `lanes - count` on, the mask of the first `count` lanes of a vector.
constexpr int32_t first_lanes[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};

template <class T, class Arch>
requires(sizeof(Vec<T, Arch>) == 32 &&
         sizeof(T) == 4) REGRAD_INLINE Vec<T, Arch> load_first(const T* from, int64_t count,
                                                               T fill) {
  const __m256i mask =
      _mm256_loadu_si256(reinterpret_cast<const __m256i*>(first_lanes + 8 - count));
  return _mm256_blendv_ps(Vec<T, Arch>(fill), _mm256_maskload_ps(from, mask),
                          _mm256_castsi256_ps(mask));
}
#endif

#if XSIMD_WITH_AVX512BW
template <class T, class Arch>
requires(sizeof(Vec<T, Arch>) == 64) REGRAD_INLINE Vec<T, Arch> load_first(const T* from,
                                                                           int64_t count, T fill) {
  const auto mask = (1u << static_cast<unsigned>(count)) - 1u;
  if constexpr (sizeof(T) == 4) {
    return _mm512_mask_loadu_ps(Vec<T, Arch>(fill), static_cast<__mmask16>(mask), from);
  } else {
    return _mm512_mask_loadu_pd(Vec<T, Arch>(fill), static_cast<__mmask8>(mask), from);
  }
}
#endif

// A whole vector, or what is left of one: `left` elements from here on.
template <class T, class Arch>
REGRAD_INLINE Vec<T, Arch> load(const T* from, int64_t left, T fill = T(0)) {
  if (left >= lanes_of<T, Arch>) [[likely]]
    return Vec<T, Arch>::load_unaligned(from);
  return load_first<T, Arch>(from, left, fill);
}

template <class T, class Arch>
REGRAD_INLINE void store(T* to, int64_t left, Vec<T, Arch> value) {
  if (left >= lanes_of<T, Arch>) [[likely]] {
    value.store_unaligned(to);
  } else {
    FirstLanes<T, Arch>(left).store(to, value);
  }
}

// body(begin, end) over [0, count), cut into chunks of about `chunk_work` steps when one of the
// count takes `cost` steps. At most 256 chunks.
inline constexpr int64_t chunk_work = 16384;

REGRAD_INLINE int64_t chunk_size(int64_t count, int64_t cost) {
  const int64_t by_work = chunk_work / larger(cost, 1);
  return larger(larger(by_work, 1), pieces_of(count, 256));
}

template <class Body>
REGRAD_INLINE void for_ranges(int64_t count, int64_t cost, Body&& body) {
  const int64_t each = chunk_size(count, cost);
  parallel_for(count <= each ? static_cast<int64_t>(count > 0) : pieces_of(count, each),
               [&](int64_t chunk) { body(chunk * each, smaller((chunk + 1) * each, count)); });
}

// The same for a flat array, whose chunks begin at whole cache lines.
template <class Body>
REGRAD_INLINE void for_elements(int64_t count, Body&& body) {
  for_ranges(pieces_of(count, 64), 64,
             [&](int64_t begin, int64_t end) { body(begin * 64, smaller(end * 64, count)); });
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

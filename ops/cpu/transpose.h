// Rows of a matrix turned into columns within registers, a block of 16 bytes at a time.
#pragma once

#include <utility>

#include "ops/cpu/lanes.h"

namespace regrad::simd {

// Blocks of 16 bytes, the unit within which the x86 shuffles work.
template <class T, class Arch>
struct Blocks {
  static constexpr int lanes = static_cast<int>(xsimd::batch<T, Arch>::size);
  static constexpr int width = 16 / static_cast<int>(sizeof(T));  // elements of a block
  static constexpr int count = lanes / width;
  using Vector = typename Lanes<T, Arch>::Vector;
  typedef T Block __attribute__((vector_size(16)));

  static REGRAD_INLINE Block load(const T* from) {
    Block block;
    __builtin_memcpy(&block, from, sizeof block);
    return block;
  }

  // The blocks at from[0], from[step], from[2 * step] ..., each `offset` elements on.
  static REGRAD_INLINE Vector gather(const T* const* from, int64_t step, int64_t offset) {
    if constexpr (count == 1) {
      return load(from[0] + offset);
    } else if constexpr (count == 2) {
      return join(load(from[0] + offset), load(from[step] + offset),
                  std::make_integer_sequence<int, 2 * width>{});
    } else {
      constexpr std::make_integer_sequence<int, 2 * width> half{};
      const auto low = join(load(from[0] + offset), load(from[step] + offset), half);
      const auto high = join(load(from[2 * step] + offset), load(from[3 * step] + offset), half);
      return join(low, high, std::make_integer_sequence<int, 4 * width>{});
    }
  }

  // Within each block: x and y interleaved in groups of `Group`, from their lower or upper half.
  template <int Group, int Upper>
  static REGRAD_INLINE Vector interleave(Vector x, Vector y) {
    return interleave<Group, Upper>(x, y, std::make_integer_sequence<int, lanes>{});
  }

 private:
  template <class Part, int... I>
  static REGRAD_INLINE auto join(Part x, Part y, std::integer_sequence<int, I...>) {
    return __builtin_shufflevector(x, y, I...);
  }
  template <int Group, int Upper, int... I>
  static REGRAD_INLINE Vector interleave(Vector x, Vector y, std::integer_sequence<int, I...>) {
    return __builtin_shufflevector(x, y, source(I, Group, Upper)...);
  }
  static constexpr int source(int lane, int group, int upper) {
    const int place = lane % width / group;  // which group of the result's block
    const int from = lane / width * width + upper * width / 2 + place / 2 * group + lane % group;
    return place % 2 == 0 ? from : from + lanes;
  }
};

// rows[i] holds, for every block, the block of column i; afterwards rows[i] holds element i of all.
template <class T, class Arch>
REGRAD_INLINE void transpose_blocks(typename Blocks<T, Arch>::Vector* rows) {
  using B = Blocks<T, Arch>;
  if constexpr (B::width == 2) {
    const auto first = rows[0];
    rows[0] = B::template interleave<1, 0>(first, rows[1]);
    rows[1] = B::template interleave<1, 1>(first, rows[1]);
  } else {
    const auto a = B::template interleave<1, 0>(rows[0], rows[1]);
    const auto b = B::template interleave<1, 1>(rows[0], rows[1]);
    const auto c = B::template interleave<1, 0>(rows[2], rows[3]);
    const auto d = B::template interleave<1, 1>(rows[2], rows[3]);
    rows[0] = B::template interleave<2, 0>(a, c);
    rows[1] = B::template interleave<2, 1>(a, c);
    rows[2] = B::template interleave<2, 0>(b, d);
    rows[3] = B::template interleave<2, 1>(b, d);
  }
}

// rows[b][r] = element at + b * width + r of all columns. All that is needed of a column is read at
// once: with strides of a power of two, its cache line would not stay until the next block.
template <class T, class Arch>
REGRAD_INLINE void transpose_columns(
    const T* const* column, int64_t at,
    typename Blocks<T, Arch>::Vector (&rows)[Blocks<T, Arch>::count][Blocks<T, Arch>::width]) {
  using B = Blocks<T, Arch>;
#pragma GCC unroll 4
  for (int r = 0; r < B::width; ++r) {
#pragma GCC unroll 4
    for (int b = 0; b < B::count; ++b) {
      rows[b][r] = B::gather(column + r, B::width, at + b * B::width);
    }
  }
#pragma GCC unroll 4
  for (int b = 0; b < B::count; ++b) transpose_blocks<T, Arch>(rows[b]);
}

}  // namespace regrad::simd

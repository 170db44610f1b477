// Transposes a matrix in registers, in blocks of 16 bytes.
#pragma once

#include <utility>

#include "ops/cpu/lanes.h"

namespace regrad::simd {

// A vector as blocks of 16 bytes: most x86 shuffles work within these.
template <class T, class Arch>
struct Blocks {
  static constexpr int lanes = static_cast<int>(xsimd::batch<T, Arch>::size);
  static constexpr int width = 16 / static_cast<int>(sizeof(T));  // elements of a block
  static constexpr int count = lanes / width;
  using Vector = typename Lanes<T, Arch>::Vector;
  typedef T Block __attribute__((vector_size(16)));

  static REGRAD_INLINE Block load(const T* source) {
    Block block;
    __builtin_memcpy(&block, source, sizeof block);
    return block;
  }

  // A vector of the blocks at source[0] + offset, source[stride] + offset, source[2 * stride] + ...
  static REGRAD_INLINE Vector gather(const T* const* source, int64_t stride, int64_t offset) {
    if constexpr (count == 1) {
      return load(source[0] + offset);
    } else if constexpr (count == 2) {
      return join(load(source[0] + offset), load(source[stride] + offset),
                  std::make_integer_sequence<int, 2 * width>{});
    } else {
      constexpr std::make_integer_sequence<int, 2 * width> half{};
      const auto low = join(load(source[0] + offset), load(source[stride] + offset), half);
      const auto high =
          join(load(source[2 * stride] + offset), load(source[3 * stride] + offset), half);
      return join(low, high, std::make_integer_sequence<int, 4 * width>{});
    }
  }

  // Interleaves, within each block, groups of `Group` elements of x and y, taken from the lower or
  // upper half of their blocks (unpacklo, unpackhi).
  template <int Group, int Upper>
  static REGRAD_INLINE Vector interleave(Vector x, Vector y) {
    return interleave<Group, Upper>(x, y, std::make_integer_sequence<int, lanes>{});
  }

 private:
  template <class Fragment, int... I>
  static REGRAD_INLINE auto join(Fragment x, Fragment y, std::integer_sequence<int, I...>) {
    return __builtin_shufflevector(x, y, I...);
  }
  template <int Group, int Upper, int... I>
  static REGRAD_INLINE Vector interleave(Vector x, Vector y, std::integer_sequence<int, I...>) {
    return __builtin_shufflevector(x, y, source(I, Group, Upper)...);
  }
  static constexpr int source(int lane, int group, int upper) {
    const int group_index = lane % width / group;  // which group of the result's block
    const int index =
        lane / width * width + upper * width / 2 + group_index / 2 * group + lane % group;
    return group_index % 2 == 0 ? index : index + lanes;
  }
};

// On entry, block b of rows[i] is a block of column b * width + i; on return, it holds element i of
// each of the columns b * width, b * width + 1, ...
template <class T, class Arch>
REGRAD_INLINE void transpose_blocks(typename Blocks<T, Arch>::Vector* rows) {
  using B = Blocks<T, Arch>;
  if constexpr (B::width == 2) {
    const auto row0 = rows[0];
    rows[0] = B::template interleave<1, 0>(row0, rows[1]);
    rows[1] = B::template interleave<1, 1>(row0, rows[1]);
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

// rows[b][r] = element position + b * width + r of all columns. `lanes` elements of a column are
// read together: if its stride is a power of two, the cache line would be evicted before the next
// block.
template <class T, class Arch>
REGRAD_INLINE void transpose_columns(
    const T* const* column, int64_t position,
    typename Blocks<T, Arch>::Vector (&rows)[Blocks<T, Arch>::count][Blocks<T, Arch>::width]) {
  using B = Blocks<T, Arch>;
#pragma GCC unroll 4
  for (int r = 0; r < B::width; ++r) {
#pragma GCC unroll 4
    for (int b = 0; b < B::count; ++b) {
      rows[b][r] = B::gather(column + r, B::width, position + b * B::width);
    }
  }
#pragma GCC unroll 4
  for (int b = 0; b < B::count; ++b) transpose_blocks<T, Arch>(rows[b]);
}

}  // namespace regrad::simd

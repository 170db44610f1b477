// Packing: a panel of an operand copied so that the register tile reads it in one forward sweep.
// A panel is [k][step]: for each k, `width` elements side by side, filled up to a whole vector, so
// step is at least width rounded up to a whole vector.
#pragma once

#include "ops/cpu/transpose.h"

namespace regrad::simd {

// Source with adjacent elements side by side: a copy. `width` may span several panels of `step`
// each, `apart` elements apart; their rows are read in one sweep, which the processor foresees.
template <class T, class Arch>
void pack_rows(const T* from, int64_t k_stride, int64_t k, int64_t width, T* to, int64_t step,
               int64_t apart) {
  using Vector = xsimd::batch<T, Arch>;
  constexpr int64_t lanes = Vector::size;
  for (int64_t i = 0; i < k; ++i, from += k_stride, to += step) {
    const T* source = from;
    T* panel = to;
    for (int64_t left = width; left > 0; left -= step, source += step, panel += apart) {
      const int64_t count = left < step ? left : step;
      int64_t j = 0;
      for (; j + lanes <= count; j += lanes) {
        Vector::load_unaligned(source + j).store_unaligned(panel + j);
      }
      if (j < count) {
        FirstLanes<T, Arch>(count - j).load(source + j).store_unaligned(panel + j);
      }
    }
  }
}

// Source with successive k side by side: a transposition, a vector's width of columns at a time.
// Lanes beyond `width` repeat the last column: they are never stored, and never new numbers.
template <class T, class Arch>
void pack_columns(const T* from, int64_t stride, int64_t k, int64_t width, T* to, int64_t step) {
  using B = Blocks<T, Arch>;
  for (int64_t j = 0; j < width; j += B::lanes) {
    const T* column[B::lanes];
    for (int64_t i = 0; i < B::lanes; ++i) {
      column[i] = from + (j + i < width ? j + i : width - 1) * stride;
    }
    T* out = to + j;
    int64_t i = 0;
    for (; i + B::lanes <= k; i += B::lanes, out += B::lanes * step) {
      typename B::Vector rows[B::count][B::width];
      transpose_columns<T, Arch>(column, i, rows);
#pragma GCC unroll 4
      for (int b = 0; b < B::count; ++b) {
#pragma GCC unroll 4
        for (int r = 0; r < B::width; ++r) {
          __builtin_memcpy(out + (b * B::width + r) * step, &rows[b][r], sizeof rows[b][r]);
        }
      }
    }
    for (; i < k; ++i, out += step) {
      for (int64_t c = 0; c < B::lanes; ++c) out[c] = column[c][i];
    }
  }
}

// Either, or neither: any strides. `width` may span several panels, as above.
template <class T, class Arch>
void pack(const T* from, int64_t k_stride, int64_t stride, int64_t k, int64_t width, T* to,
          int64_t step, int64_t apart = 0) {
  constexpr int64_t lanes = xsimd::batch<T, Arch>::size;
  if (stride == 1) return pack_rows<T, Arch>(from, k_stride, k, width, to, step, apart);
  for (; width > 0; width -= step, from += step * stride, to += apart) {
    const int64_t count = width < step ? width : step;
    if (k_stride == 1) {
      pack_columns<T, Arch>(from, stride, k, count, to, step);
      continue;
    }
    const int64_t filled = (count + lanes - 1) / lanes * lanes;
    for (int64_t i = 0; i < k; ++i) {
      for (int64_t j = 0; j < filled; ++j) {
        to[i * step + j] = from[i * k_stride + (j < count ? j : count - 1) * stride];
      }
    }
  }
}

}  // namespace regrad::simd

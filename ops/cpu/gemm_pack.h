// Packing: copies an operand into panels, which the register tile reads sequentially.
// A panel is [k, panel_width], contiguous: for each k, `width` elements, padded to full vectors. So
// panel_width is at least width rounded up to a multiple of the vector size.
#pragma once

#include "ops/cpu/transpose.h"

namespace regrad::simd {

// A source with contiguous rows is copied. `width` may span several panels, which are panel_stride
// elements apart; a row is read at once for all of them, sequentially, for the hardware prefetcher.
template <class T, class Arch>
void pack_rows(const T* source, int64_t k_stride, int64_t k, int64_t width, T* packed,
               int64_t panel_width, int64_t panel_stride) {
  using Vector = xsimd::batch<T, Arch>;
  constexpr int64_t lanes = Vector::size;
  for (int64_t i = 0; i < k; ++i, source += k_stride, packed += panel_width) {
    const T* block = source;
    T* row = packed;
    for (int64_t left = width; left > 0;
         left -= panel_width, block += panel_width, row += panel_stride) {
      const int64_t count = left < panel_width ? left : panel_width;
      int64_t j = 0;
      for (; j + lanes <= count; j += lanes) {
        Vector::load_unaligned(block + j).store_unaligned(row + j);
      }
      if (j < count) {
        FirstLanes<T, Arch>(count - j).load(block + j).store_unaligned(row + j);
      }
    }
  }
}

// A source with contiguous columns is transposed, as many columns at a time as a vector has lanes.
// The padding repeats the last column: no result of it is stored, and it adds no NaN or denormal
// that was not there.
template <class T, class Arch>
void pack_columns(const T* source, int64_t column_stride, int64_t k, int64_t width, T* packed,
                  int64_t panel_width) {
  using B = Blocks<T, Arch>;
  for (int64_t j = 0; j < width; j += B::lanes) {
    const T* column[B::lanes];
    for (int64_t i = 0; i < B::lanes; ++i) {
      column[i] = source + (j + i < width ? j + i : width - 1) * column_stride;
    }
    T* row = packed + j;
    int64_t i = 0;
    for (; i + B::lanes <= k; i += B::lanes, row += B::lanes * panel_width) {
      typename B::Vector rows[B::count][B::width];
      transpose_columns<T, Arch>(column, i, rows);
#pragma GCC unroll 4
      for (int b = 0; b < B::count; ++b) {
#pragma GCC unroll 4
        for (int r = 0; r < B::width; ++r) {
          __builtin_memcpy(row + (b * B::width + r) * panel_width, &rows[b][r], sizeof rows[b][r]);
        }
      }
    }
    for (; i < k; ++i, row += panel_width) {
      for (int64_t c = 0; c < B::lanes; ++c) row[c] = column[c][i];
    }
  }
}

// A source with any strides. `width` may span several panels, as in pack_rows.
template <class T, class Arch>
void pack(const T* source, int64_t k_stride, int64_t column_stride, int64_t k, int64_t width,
          T* packed, int64_t panel_width, int64_t panel_stride = 0) {
  constexpr int64_t lanes = xsimd::batch<T, Arch>::size;
  if (column_stride == 1)
    return pack_rows<T, Arch>(source, k_stride, k, width, packed, panel_width, panel_stride);
  for (; width > 0;
       width -= panel_width, source += panel_width * column_stride, packed += panel_stride) {
    const int64_t count = width < panel_width ? width : panel_width;
    if (k_stride == 1) {
      pack_columns<T, Arch>(source, column_stride, k, count, packed, panel_width);
      continue;
    }
    const int64_t padded = (count + lanes - 1) / lanes * lanes;
    for (int64_t i = 0; i < k; ++i) {
      for (int64_t j = 0; j < padded; ++j) {
        packed[i * panel_width + j] =
            source[i * k_stride + (j < count ? j : count - 1) * column_stride];
      }
    }
  }
}

}  // namespace regrad::simd

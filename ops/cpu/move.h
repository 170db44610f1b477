// Kernels that move elements: copies between arbitrary strides and dtypes; fill, scale and axpy.
#pragma once

#include "ops/cpu/gemm_pack.h"
#include "ops/cpu/loop.h"
#include "ops/kernels/elements.h"

namespace regrad::simd {

// A strided matrix; strides are in elements.
template <class T>
struct Matrix {
  T* data;
  int64_t column_stride, row_stride;
};

template <class T, class Arch>
REGRAD_INLINE void copy_plane(int64_t rows, int64_t n, Matrix<T> destination,
                              Matrix<const T> source) {
  for (int64_t r = 0; r < rows;
       ++r, destination.data += destination.row_stride, source.data += source.row_stride) {
    if (destination.column_stride == 1 && source.column_stride == 1) {
      copy_contiguous(n * int64_t{sizeof(T)}, reinterpret_cast<char*>(destination.data),
                      reinterpret_cast<const char*>(source.data));
    } else if (n <= 4) {
      for (int64_t i = 0; i < n; ++i)
        destination.data[i * destination.column_stride] = source.data[i * source.column_stride];
    } else {
      copy_strided<Arch>(int64_t{sizeof(T)}, n, reinterpret_cast<char*>(destination.data),
                         destination.column_stride, reinterpret_cast<const char*>(source.data),
                         source.column_stride);
    }
  }
}

// Copies as many whole rows of the last two dimensions at a time as lie in [begin, end), or a part
// of one row.
template <class T, class Arch>
void copy_rows(const Loop& loop, T* out, const T* x) {
  const int last = loop.rank - 1, second_last = last > 0 ? last - 1 : 0;
  const int64_t row_size = loop.sizes[last];
  const int64_t out_stride = loop.strides[0][last], x_stride = loop.strides[1][last];
  for_elements(loop.numel(), [&](int64_t begin, int64_t end) {
    Cursor cursor(loop, 2, begin);
    while (begin < end) {
      const int64_t n = min(row_size - cursor.column, end - begin);
      const int64_t rows =
          n == row_size ? min(cursor.rows_left(loop), (end - begin) / row_size) : 1;
      copy_plane<T, Arch>(rows, n,
                          {out + cursor.offset[0] + cursor.column * out_stride, out_stride,
                           loop.strides[0][second_last]},
                          {x + cursor.offset[1] + cursor.column * x_stride, x_stride,
                           loop.strides[1][second_last]});
      begin += rows * n;
      cursor.next_row(loop, 2, rows);
    }
  });
}

// out[i, j] = x[i, j] for a tile of which `out` has contiguous rows, and x contiguous columns.
template <class T, class Arch>
void transpose_tile(int64_t rows, int64_t columns, T* out, int64_t out_stride, const T* x,
                    int64_t x_stride) {
  int64_t done = 0;
  if constexpr (std::is_floating_point_v<T>) {
    done = columns - columns % lanes_of<T, Arch>;
    if (done > 0) pack_columns<T, Arch>(x, x_stride, rows, done, out, out_stride);
  }
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = done; j < columns; ++j) out[i * out_stride + j] = x[j * x_stride + i];
  }
}

// The last dimension is contiguous in `out`, and dimension `row` is contiguous in x. The copy is
// tiled, so that the cache lines of both are fully used before they are evicted.
template <class T, class Arch>
void copy_transposed(const Loop& loop, int row, T* out, const T* x) {
  constexpr int64_t tile = 64;
  const int last = loop.rank - 1;
  Loop outer;
  outer.rank = 0;
  for (int d = 0; d < last; ++d) {
    if (d == row) continue;
    outer.sizes[outer.rank] = loop.sizes[d];
    for (int k = 0; k < 2; ++k) outer.strides[k][outer.rank] = loop.strides[k][d];
    ++outer.rank;
  }
  outer.sizes[outer.rank] = 1;  // a Cursor moves by rows: its last dimension is a single column
  ++outer.rank;
  const int64_t rows = loop.sizes[row], columns = loop.sizes[last];
  const int64_t row_tiles = ceil_div(rows, tile), column_tiles = ceil_div(columns, tile);
  const int64_t tiles = row_tiles * column_tiles * outer.numel();
  for_ranges(tiles, min(rows, tile) * min(columns, tile), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const Cursor cursor(outer, 2, t / (row_tiles * column_tiles));
      const int64_t i = t / column_tiles % row_tiles * tile, j = t % column_tiles * tile;
      transpose_tile<T, Arch>(
          min(rows - i, tile), min(columns - j, tile),
          out + cursor.offset[0] + i * loop.strides[0][row] + j, loop.strides[0][row],
          x + cursor.offset[1] + i + j * loop.strides[1][last], loop.strides[1][last]);
    }
  });
}

template <class T, class Arch>
void copy(const Loop& loop, T* out, const T* x) {
  if (loop.rank == 0) {
    out[0] = x[0];
    return;
  }
  const int last = loop.rank - 1;
  if (loop.strides[0][last] == 1 && loop.strides[1][last] != 1 && loop.strides[1][last] != 0 &&
      loop.sizes[last] >= 4) {
    for (int d = last - 1; d >= 0; --d) {
      if (loop.strides[1][d] == 1 && loop.sizes[d] >= 4) {
        return copy_transposed<T, Arch>(loop, d, out, x);
      }
    }
  }
  copy_rows<T, Arch>(loop, out, x);
}

template <class T, class Arch>
void fill(int64_t n, T* out, T value) {
  for_elements(n, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) out[i] = value;
  });
}

template <class T, class Arch>
void axpy(int64_t n, T* y, T a, const T* x) {
  for_elements(n, [&](int64_t begin, int64_t end) {
    const Vec<T, Arch> factor(a);
    for (int64_t i = begin; i < end; i += lanes_of<T, Arch>) {
      const auto sum = load<T, Arch>(y + i, end - i) + factor * load<T, Arch>(x + i, end - i);
      store<T, Arch>(y + i, end - i, sum);
    }
  });
}

template <class T, class Arch>
void scale_by(int64_t n, T* y, T a) {
  for_elements(n, [&](int64_t begin, int64_t end) {
    const Vec<T, Arch> factor(a);
    for (int64_t i = begin; i < end; i += lanes_of<T, Arch>) {
      store<T, Arch>(y + i, end - i, load<T, Arch>(y + i, end - i) * factor);
    }
  });
}

template <class From, class To, class Arch>
void convert(int64_t n, void* out, const void* x) {
  for_elements(n, [&](int64_t begin, int64_t end) {
    To* typed_out = static_cast<To*>(out);
    const From* typed_x = static_cast<const From*>(x);
    for (int64_t i = begin; i < end; ++i) typed_out[i] = pointwise::convert_element<To>(typed_x[i]);
  });
}

}  // namespace regrad::simd

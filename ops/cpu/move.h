// Kernels that move elements: copies between any strides, and arrays filled, scaled and added.
#pragma once

#include "ops/cpu/gemm_pack.h"
#include "ops/cpu/loop.h"
#include "ops/kernels/elements.h"

namespace regrad::simd {

// Rows of n elements: `step` elements from one to the next in a row, `row` from one row to the next.
template <class T>
struct Side {
  T* data;
  int64_t step, row;
};

template <class T, class Arch>
REGRAD_INLINE void copy_plane(int64_t rows, int64_t n, Side<T> to, Side<const T> from) {
  for (int64_t r = 0; r < rows; ++r, to.data += to.row, from.data += from.row) {
    if (to.step == 1 && from.step == 1) {
      copy_run(n * int64_t{sizeof(T)}, reinterpret_cast<char*>(to.data),
               reinterpret_cast<const char*>(from.data));
    } else if (n <= 4) {
      for (int64_t i = 0; i < n; ++i) to.data[i * to.step] = from.data[i * from.step];
    } else {
      copy_strided<Arch>(int64_t{sizeof(T)}, n, reinterpret_cast<char*>(to.data), to.step,
                         reinterpret_cast<const char*>(from.data), from.step);
    }
  }
}

// Both sides one plane of rows at a time, or what of it is between begin and end.
template <class T, class Arch>
void copy_rows(const Loop& loop, T* out, const T* x) {
  const int last = loop.rank - 1, before = last > 0 ? last - 1 : 0;
  const int64_t width = loop.sizes[last];
  const int64_t to_step = loop.strides[0][last], from_step = loop.strides[1][last];
  for_elements(loop.numel(), [&](int64_t begin, int64_t end) {
    Cursor at(loop, 2, begin);
    while (begin < end) {
      const int64_t n = min(width - at.column, end - begin);
      const int64_t rows = n == width ? min(at.rows_left(loop), (end - begin) / width) : 1;
      copy_plane<T, Arch>(
          rows, n, {out + at.offset[0] + at.column * to_step, to_step, loop.strides[0][before]},
          {x + at.offset[1] + at.column * from_step, from_step, loop.strides[1][before]});
      begin += rows * n;
      at.next_row(loop, 2, rows);
    }
  });
}

// A tile of rows x columns: out has its columns side by side, x its rows.
template <class T, class Arch>
void transpose_tile(int64_t rows, int64_t columns, T* out, int64_t out_row, const T* x,
                    int64_t x_column) {
  int64_t done = 0;
  if constexpr (std::is_floating_point_v<T>) {
    done = columns - columns % lanes_of<T, Arch>;
    if (done > 0) pack_columns<T, Arch>(x, x_column, rows, done, out, out_row);
  }
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = done; j < columns; ++j) out[i * out_row + j] = x[j * x_column + i];
  }
}

// The last dimension is side by side in out, and `row` is in x: tiles, so that whole cache lines
// of both are used while they are there.
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
  outer.sizes[outer.rank] = 1;  // the column of a Cursor, which moves by rows
  ++outer.rank;
  const int64_t rows = loop.sizes[row], columns = loop.sizes[last];
  const int64_t row_tiles = ceil_div(rows, tile), column_tiles = ceil_div(columns, tile);
  const int64_t tiles = row_tiles * column_tiles * outer.numel();
  for_ranges(tiles, min(rows, tile) * min(columns, tile), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const Cursor at(outer, 2, t / (row_tiles * column_tiles));
      const int64_t i = t / column_tiles % row_tiles * tile, j = t % column_tiles * tile;
      transpose_tile<T, Arch>(
          min(rows - i, tile), min(columns - j, tile),
          out + at.offset[0] + i * loop.strides[0][row] + j, loop.strides[0][row],
          x + at.offset[1] + i + j * loop.strides[1][last], loop.strides[1][last]);
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
void convert(int64_t n, void* to, const void* from) {
  for_elements(n, [&](int64_t begin, int64_t end) {
    To* out = static_cast<To*>(to);
    const From* x = static_cast<const From*>(from);
    for (int64_t i = begin; i < end; ++i) out[i] = pointwise::convert_element<To>(x[i]);
  });
}

}  // namespace regrad::simd

// Matrix-vector products. They are bound by memory bandwidth, so each element of the matrix is read
// once, sequentially. A product with one row of C, or one column, is y[j] = sum_k x[k] M[k, j].
// An element is summed in the order of k and in the same blocks of k as in a tile (gemm.h), so that
// a row of a product has the same bits as if it were computed alone.
#pragma once

#include "ops/cpu/gemm_plan.h"
#include "ops/cpu/transpose.h"

namespace regrad::simd {

template <class T>
struct Gemv {
  int64_t k;
  const T* x;
  int64_t x_stride;
  const T* matrix;  // element (p, j) is matrix[p * row_stride + j * column_stride]
  int64_t row_stride, column_stride;
  T* y;
  int64_t y_stride;
  const T* bias;
  int64_t bias_stride;
  bool accumulate;
};

// Adds the sum over a block of k to y[j], and the bias after the last block.
template <class T>
REGRAD_INLINE void finish_gemv(const Gemv<T>& g, Range k, int64_t j, T sum) {
  T& y = g.y[j * g.y_stride];
  if (g.accumulate || k.begin > 0) sum += y;
  if (k.end == g.k && g.bias) sum += g.bias[j * g.bias_stride];
  y = sum;
}

// The minimum number of columns per chunk: the hardware prefetcher is too late for shorter streams.
template <class T>
constexpr int64_t min_stream = 8192 / static_cast<int64_t>(sizeof(T));

// For contiguous rows of M: adds `Rows` scaled rows at a time to y; each is read as a stream.
template <class T, class Arch, int Rows>
REGRAD_INLINE void add_scaled_rows(const T* x, int64_t x_stride, const T* matrix,
                                   int64_t row_stride, int64_t count, T* y) {
  using Vector = xsimd::batch<T, Arch>;
  constexpr int64_t lanes = Vector::size;
  Vector factor[Rows];
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r) factor[r] = Vector(x[r * x_stride]);
  int64_t j = 0;
  for (; j + lanes <= count; j += lanes) {
    Vector sum = Vector::load_unaligned(y + j);
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
      sum = multiply_add(factor[r], Vector::load_unaligned(matrix + r * row_stride + j), sum);
    }
    sum.store_unaligned(y + j);
  }
  if (j < count) {
    const FirstLanes<T, Arch> last(count - j);
    Vector sum = Vector::load_unaligned(y + j);
    for (int r = 0; r < Rows; ++r) {
      sum = multiply_add(factor[r], last.load(matrix + r * row_stride + j), sum);
    }
    sum.store_unaligned(y + j);
  }
}

template <class T, class Arch>
void gemv_rows(const Gemv<T>& g, Range columns, Range k) {
  constexpr int64_t block = 16384 / static_cast<int64_t>(sizeof(T));  // y stays in the L1 cache
  constexpr int64_t lanes = xsimd::batch<T, Arch>::size;
  alignas(64) T y[block];
  for (int64_t j = columns.begin; j < columns.end; j += block) {
    const int64_t count = min(columns.end - j, block);
    for (int64_t i = 0; i < ceil_div(count, lanes) * lanes; ++i) y[i] = T(0);
    const T* matrix = g.matrix + j;
    int64_t p = k.begin;
    for (; p + 8 <= k.end; p += 8) {
      add_scaled_rows<T, Arch, 8>(g.x + p * g.x_stride, g.x_stride, matrix + p * g.row_stride,
                                  g.row_stride, count, y);
    }
    for (; p < k.end; ++p) {
      add_scaled_rows<T, Arch, 1>(g.x + p * g.x_stride, 0, matrix + p * g.row_stride, 0, count, y);
    }
    for (int64_t i = 0; i < count; ++i) finish_gemv(g, k, j + i, y[i]);
  }
}

// sum += x[p] M[p, j] for a vector of contiguous columns j, in the order of p: `lanes` elements of
// each column are loaded and transposed in registers.
template <class T, class Arch>
REGRAD_INLINE xsimd::batch<T, Arch> add_columns(const T* const* column, const T* x,
                                                int64_t x_stride, int64_t p,
                                                xsimd::batch<T, Arch> sum) {
  using B = Blocks<T, Arch>;
  typename B::Vector rows[B::count][B::width];
  transpose_columns<T, Arch>(column, p, rows);
#pragma GCC unroll 4
  for (int b = 0; b < B::count; ++b) {
#pragma GCC unroll 4
    for (int r = 0; r < B::width; ++r) {
      xsimd::batch<T, Arch> row_vector;
      static_assert(sizeof row_vector == sizeof rows[b][r]);
      __builtin_memcpy(&row_vector, &rows[b][r], sizeof row_vector);
      sum = multiply_add(xsimd::batch<T, Arch>(x[(p + b * B::width + r) * x_stride]), row_vector,
                         sum);
    }
  }
  return sum;
}

// For contiguous columns of M: `Vectors` vectors of them at a time, as independent accumulators.
// Lanes beyond `count` repeat the last column.
template <class T, class Arch, int Vectors>
void gemv_column_group(const Gemv<T>& g, int64_t j, int64_t count, Range k) {
  using Vector = xsimd::batch<T, Arch>;
  constexpr int64_t lanes = Vector::size, total = Vectors * lanes;
  const T* column[total];
  for (int64_t i = 0; i < total; ++i)
    column[i] = g.matrix + (j + min(i, count - 1)) * g.column_stride;
  Vector sum[Vectors];
  for (Vector& accumulator : sum) accumulator = Vector(T(0));
  int64_t p = k.begin;
  for (; p + lanes <= k.end; p += lanes) {
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v) {
      sum[v] = add_columns<T, Arch>(column + v * lanes, g.x, g.x_stride, p, sum[v]);
    }
  }
  alignas(64) T row[total];
  for (; p < k.end; ++p) {
    for (int64_t i = 0; i < total; ++i) row[i] = column[i][p];
    for (int v = 0; v < Vectors; ++v) {
      sum[v] = multiply_add(Vector(g.x[p * g.x_stride]), Vector::load_unaligned(row + v * lanes),
                            sum[v]);
    }
  }
  for (int v = 0; v < Vectors; ++v) sum[v].store_unaligned(row + v * lanes);
  for (int64_t i = 0; i < count; ++i) finish_gemv(g, k, j + i, row[i]);
}

template <class T, class Arch>
void gemv_columns(const Gemv<T>& g, Range columns, Range k) {
  constexpr int64_t lanes = xsimd::batch<T, Arch>::size;
  for (int64_t j = columns.begin; j < columns.end; j += 2 * lanes) {
    const int64_t count = min(columns.end - j, 2 * lanes);
    count > lanes ? gemv_column_group<T, Arch, 2>(g, j, count, k)
                  : gemv_column_group<T, Arch, 1>(g, j, count, k);
  }
}

}  // namespace regrad::simd

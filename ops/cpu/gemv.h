// A matrix times one vector: the memory's speed decides, so each element is read once, in order.
// Both shapes of the product, one row of C or one column, are the same y[j] = sum_k x[k] M[k, j].
// An element is summed in the order of k and in the same blocks of k as by a tile (gemm.h), so that
// a row has the same bits alone as among others.
#pragma once

#include "ops/cpu/gemm_plan.h"
#include "ops/cpu/transpose.h"

namespace regrad::simd {

template <class T>
struct Gemv {
  int64_t k;
  const T* x;
  int64_t x_step;
  const T* matrix;  // element (p, j) is matrix[p * row + j * column]
  int64_t row, column;
  T* y;
  int64_t y_step;
  const T* bias;
  int64_t bias_step;
  bool accumulate;
};

// The sum over a block of k joins those before it.
template <class T>
REGRAD_INLINE void finish_gemv(const Gemv<T>& g, Range k, int64_t j, T sum) {
  T& y = g.y[j * g.y_step];
  if (g.accumulate || k.begin > 0) sum += y;
  if (k.end == g.k && g.bias) sum += g.bias[j * g.bias_step];
  y = sum;
}

// What a part of the rows of M is at least: a stream that ends soon is fetched too late.
template <class T>
constexpr int64_t shortest_stream = 8192 / static_cast<int64_t>(sizeof(T));

// Rows of M contiguous: y gathers `Rows` scaled rows at a time, so they are read as streams.
template <class T, class Arch, int Rows>
REGRAD_INLINE void add_scaled_rows(const T* x, int64_t x_step, const T* matrix, int64_t row,
                                   int64_t count, T* y) {
  using Vector = xsimd::batch<T, Arch>;
  constexpr int64_t lanes = Vector::size;
  Vector factor[Rows];
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r) factor[r] = Vector(x[r * x_step]);
  int64_t j = 0;
  for (; j + lanes <= count; j += lanes) {
    Vector sum = Vector::load_unaligned(y + j);
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
      sum = multiply_add(factor[r], Vector::load_unaligned(matrix + r * row + j), sum);
    }
    sum.store_unaligned(y + j);
  }
  if (j < count) {
    const FirstLanes<T, Arch> rest(count - j);
    Vector sum = Vector::load_unaligned(y + j);
    for (int r = 0; r < Rows; ++r) {
      sum = multiply_add(factor[r], rest.load(matrix + r * row + j), sum);
    }
    sum.store_unaligned(y + j);
  }
}

template <class T, class Arch>
void gemv_rows(const Gemv<T>& g, Range columns, Range k) {
  constexpr int64_t block = 16384 / static_cast<int64_t>(sizeof(T));  // sums stay in the cache
  constexpr int64_t lanes = xsimd::batch<T, Arch>::size;
  alignas(64) T y[block];
  for (int64_t j = columns.begin; j < columns.end; j += block) {
    const int64_t count = min(columns.end - j, block);
    for (int64_t i = 0; i < ceil_div(count, lanes) * lanes; ++i) y[i] = T(0);
    const T* matrix = g.matrix + j;
    int64_t p = k.begin;
    for (; p + 8 <= k.end; p += 8) {
      add_scaled_rows<T, Arch, 8>(g.x + p * g.x_step, g.x_step, matrix + p * g.row, g.row, count,
                                  y);
    }
    for (; p < k.end; ++p) {
      add_scaled_rows<T, Arch, 1>(g.x + p * g.x_step, 0, matrix + p * g.row, 0, count, y);
    }
    for (int64_t i = 0; i < count; ++i) finish_gemv(g, k, j + i, y[i]);
  }
}

// sum += x[p] M[p, j] for a vector of columns, p in the order of k: the columns are contiguous, and
// what is read of them is transposed in registers.
template <class T, class Arch>
REGRAD_INLINE xsimd::batch<T, Arch> add_columns(const T* const* column, const T* x, int64_t x_step,
                                                int64_t p, xsimd::batch<T, Arch> sum) {
  using B = Blocks<T, Arch>;
  typename B::Vector rows[B::count][B::width];
  transpose_columns<T, Arch>(column, p, rows);
#pragma GCC unroll 4
  for (int b = 0; b < B::count; ++b) {
#pragma GCC unroll 4
    for (int r = 0; r < B::width; ++r) {
      xsimd::batch<T, Arch> row;
      static_assert(sizeof row == sizeof rows[b][r]);
      __builtin_memcpy(&row, &rows[b][r], sizeof row);
      sum = multiply_add(xsimd::batch<T, Arch>(x[(p + b * B::width + r) * x_step]), row, sum);
    }
  }
  return sum;
}

// Columns of M contiguous: `Vectors` vectors of them at a time, so that one's sum need not wait for
// the other's. Lanes beyond `count` repeat the last column.
template <class T, class Arch, int Vectors>
void sum_columns_of(const Gemv<T>& g, int64_t j, int64_t count, Range k) {
  using Vector = xsimd::batch<T, Arch>;
  constexpr int64_t lanes = Vector::size, all = Vectors * lanes;
  const T* column[all];
  for (int64_t i = 0; i < all; ++i) column[i] = g.matrix + (j + min(i, count - 1)) * g.column;
  Vector sum[Vectors];
  for (Vector& one : sum) one = Vector(T(0));
  int64_t p = k.begin;
  for (; p + lanes <= k.end; p += lanes) {
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v) {
      sum[v] = add_columns<T, Arch>(column + v * lanes, g.x, g.x_step, p, sum[v]);
    }
  }
  alignas(64) T row[all];
  for (; p < k.end; ++p) {
    for (int64_t i = 0; i < all; ++i) row[i] = column[i][p];
    for (int v = 0; v < Vectors; ++v) {
      sum[v] =
          multiply_add(Vector(g.x[p * g.x_step]), Vector::load_unaligned(row + v * lanes), sum[v]);
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
    count > lanes ? sum_columns_of<T, Arch, 2>(g, j, count, k)
                  : sum_columns_of<T, Arch, 1>(g, j, count, k);
  }
}

}  // namespace regrad::simd

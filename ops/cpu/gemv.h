// A matrix times one vector: the memory's speed decides, so each element is read once, in order.
// Both shapes of the product, one row of C or one column, are the same y[j] = sum_k x[k] M[k, j].
#pragma once

#include "ops/cpu/fold.h"
#include "ops/cpu/parallel.h"
#include "ops/cpu/scratch.h"
#include "ops/gemm.h"

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
  bool accumulate, relu;
};

template <class T>
REGRAD_INLINE void finish_gemv(const Gemv<T>& g, int64_t j, T sum) {
  T& y = g.y[j * g.y_step];
  if (g.accumulate) sum += y;
  if (g.bias) sum += g.bias[j * g.bias_step];
  y = g.relu && sum < T(0) ? T(0) : sum;  // NaN is not below zero, so it stays
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
void gemv_rows(const Gemv<T>& g, int64_t begin, int64_t end) {
  constexpr int64_t block = 16384 / static_cast<int64_t>(sizeof(T));  // sums stay in the cache
  constexpr int64_t lanes = xsimd::batch<T, Arch>::size;
  alignas(64) T y[block];
  for (int64_t j = begin; j < end; j += block) {
    const int64_t count = end - j < block ? end - j : block;
    for (int64_t i = 0; i < (count + lanes - 1) / lanes * lanes; ++i) y[i] = T(0);
    const T* matrix = g.matrix + j;
    int64_t p = 0;
    for (; p + 8 <= g.k; p += 8) {
      add_scaled_rows<T, Arch, 8>(g.x + p * g.x_step, g.x_step, matrix + p * g.row, g.row, count,
                                  y);
    }
    for (; p < g.k; ++p) {
      add_scaled_rows<T, Arch, 1>(g.x + p * g.x_step, 0, matrix + p * g.row, 0, count, y);
    }
    for (int64_t i = 0; i < count; ++i) finish_gemv(g, j + i, y[i]);
  }
}

// Columns of M contiguous: `Columns` inner products at a time, x contiguous too. An element's order
// of summation does not depend on Columns.
template <class T, class Arch, int Columns>
REGRAD_INLINE void inner_products(const Gemv<T>& g, int64_t j) {
  using Vector = xsimd::batch<T, Arch>;
  constexpr int64_t lanes = Vector::size;
  const T* column[Columns];
  Vector even[Columns], odd[Columns];
  for (int c = 0; c < Columns; ++c) {
    column[c] = g.matrix + (j + c) * g.column;
    even[c] = odd[c] = Vector(T(0));
  }
  int64_t p = 0;
  for (; p + 2 * lanes <= g.k; p += 2 * lanes) {
    const Vector x0 = Vector::load_unaligned(g.x + p);
    const Vector x1 = Vector::load_unaligned(g.x + p + lanes);
    // Columns are short streams: the processor alone would start on the next ones too late.
#pragma GCC unroll 4
    for (int c = 0; c < Columns; ++c) {
      __builtin_prefetch(column[c] + Columns * g.column + p);
      even[c] = multiply_add(x0, Vector::load_unaligned(column[c] + p), even[c]);
      odd[c] = multiply_add(x1, Vector::load_unaligned(column[c] + p + lanes), odd[c]);
    }
  }
  for (; p < g.k; p += lanes) {
    const FirstLanes<T, Arch> rest(g.k - p < lanes ? g.k - p : lanes);
    const Vector x = rest.load(g.x + p);
    for (int c = 0; c < Columns; ++c) {
      even[c] = multiply_add(x, rest.load(column[c] + p), even[c]);
    }
  }
  for (int c = 0; c < Columns; ++c) finish_gemv(g, j + c, sum_lanes(even[c] + odd[c]));
}

template <class T, class Arch>
void gemv_columns(Gemv<T> g, int64_t begin, int64_t end) {
  if (g.x_step != 1) {
    T* x = static_cast<T*>(scratch(Scratch::gemm_a, static_cast<std::size_t>(g.k) * sizeof(T)));
    for (int64_t p = 0; p < g.k; ++p) x[p] = g.x[p * g.x_step];
    g.x = x;
  }
  int64_t j = begin;
  for (; j + 4 <= end; j += 4) inner_products<T, Arch, 4>(g, j);
  for (; j < end; ++j) inner_products<T, Arch, 1>(g, j);
}

}  // namespace regrad::simd

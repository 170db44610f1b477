// Matrix products of fused attention: of blocks that are in a cache, a register tile at a time,
// with an epilogue that processes the results in registers.
#pragma once

#include "ops/cpu/chunks.h"
#include "ops/cpu/gemm_plan.h"
#include "ops/cpu/gemm_tile.h"
#include "ops/cpu/math_exp.h"

namespace regrad::simd {

// The two factors of a product of blocks. b is packed in panels of two vectors.
template <class T>
struct ProductOperands {
  const T* a;  // element (i, p) is a[i * a_row + p * a_column]
  int64_t a_row, a_column;
  const T* b;  // element (p, j) of panel n is b[n * b_panel + p * b_row + j]
  int64_t b_row, b_panel;
};

// Computes one tile, and calls finish(r, v, sum) with the sums over k of each row r and vector v.
template <class T, class Arch, int Rows, class Finish>
REGRAD_INLINE void sum_tile(const ProductOperands<T>& f, Range k, int64_t row, int64_t panel,
                            const Finish& finish) {
  using V = Vec<T, Arch>;
  RegisterTile<T, Arch, Rows, 2> sums(f.a + row * f.a_row + k.begin * f.a_column, f.a_row,
                                      f.a_column);
  const T* b = f.b + panel * f.b_panel + k.begin * f.b_row;
  const int64_t b_row = f.b_row;
#pragma GCC unroll 1
  for (int64_t left = k.size(); left > 0; --left, b += b_row) {
    const V vectors[2] = {V::load_unaligned(b), V::load_unaligned(b + lanes_of<T, Arch>)};
    sums.accumulate(vectors);
  }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
    finish(r, 0, sums.sum[r][0]);
    finish(r, 1, sums.sum[r][1]);
  }
}

// Both functions below compute rows x panels of a product. span(first, end, panel) returns the
// range of k that the rows [first, end) of a tile need, or `skipped` if nothing is to be computed.
// finish(i, j, sum) is called with the sums of row i and the vector of columns from j on.
inline constexpr Range skipped{0, -1};

// Skips rows of b whose weight is 0, as they may contain NaNs and infinities.
template <class T, class Arch, class Span, class Finish>
void multiply_nonzero(const ProductOperands<T>& f, int64_t rows, int64_t panels, const Span& span,
                      const Finish& finish) {
  using V = Vec<T, Arch>;
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t v = 0; v < 2 * panels; ++v) {
      const Range k = span(i, i + 1, v / 2);
      V sum(T(0));
      for (int64_t p = k.begin; p < k.end; ++p) {
        const T weight = f.a[i * f.a_row + p * f.a_column];
        if (weight == 0) continue;
        const T* const b = f.b + v / 2 * f.b_panel + p * f.b_row + v % 2 * lanes_of<T, Arch>;
        sum = multiply_add(V(weight), V::load_unaligned(b), sum);
      }
      if (k.end >= k.begin) finish(i, v * lanes_of<T, Arch>, sum);
    }
  }
}

// Rows are processed in full or half tiles: up to half a tile more rows are read, and passed to
// finish, than there are.
template <class T, class Arch, class Span, class Finish>
REGRAD_INLINE void multiply(const ProductOperands<T>& f, int64_t rows, int64_t panels,
                            const Span& span, const Finish& finish) {
  constexpr int full = TileSize<Arch>::rows, half = full / 2;
  constexpr int64_t lanes = lanes_of<T, Arch>;
  for (int64_t panel = 0; panel < panels; ++panel) {
    for (int64_t i = 0; i < rows; i += full) {
      const bool is_full = rows - i > half;
      const Range k = span(i, i + (is_full ? full : half), panel);
      if (k.end < k.begin) continue;
      const auto finish_vector = [&](int r, int v, Vec<T, Arch> sum)
                                     REGRAD_LAMBDA { finish(i + r, (2 * panel + v) * lanes, sum); };
      if (is_full) {
        sum_tile<T, Arch, full>(f, k, i, panel, finish_vector);
      } else {
        sum_tile<T, Arch, half>(f, k, i, panel, finish_vector);
      }
    }
  }
}

}  // namespace regrad::simd

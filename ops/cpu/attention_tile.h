// The arithmetic of fused attention: products of blocks that lie in a cache, a register tile at a
// time, each finished in registers by what follows it; and powers of two for the softmax.
#pragma once

#include "ops/cpu/gemm_plan.h"
#include "ops/cpu/gemm_tile.h"
#include "ops/cpu/chunks.h"
#include "ops/cpu/math_exp.h"

namespace regrad::simd {

// The two factors of a product of blocks. The columns of b stand in panels of two vectors.
template <class T>
struct Factors {
  const T* a;  // element (i, p) is a[i * a_row + p * a_column]
  int64_t a_row, a_column;
  const T* b;  // element (p, j) of panel n is b[n * b_panel + p * b_row + j]
  int64_t b_row, b_panel;
};

// finish(r, v, sum): the sums over k of row r and vector v of a tile.
template <class T, class Arch, int Rows, class Finish>
REGRAD_INLINE void sum_tile(const Factors<T>& f, Range k, int64_t row, int64_t panel,
                            const Finish& finish) {
  using V = Vec<T, Arch>;
  V sum[Rows][2];
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) sum[r][0] = sum[r][1] = V(T(0));
  // One pointer for three rows: every address is then a base and an index, with few registers.
  constexpr int groups = (Rows + 2) / 3;
  const T* a[groups];
#pragma GCC unroll 8
  for (int g = 0; g < groups; ++g) a[g] = f.a + (row + 3 * g) * f.a_row + k.begin * f.a_column;
  const T* b = f.b + panel * f.b_panel + k.begin * f.b_row;
  const int64_t a_row = f.a_row, a_column = f.a_column, b_row = f.b_row;
#pragma GCC unroll 1
  for (int64_t left = k.size(); left > 0; --left) {
    const V first = V::load_unaligned(b), second = V::load_unaligned(b + lanes_of<T, Arch>);
    b += b_row;
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      const V element(a[r / 3][r % 3 * a_row]);
      sum[r][0] = multiply_add(element, first, sum[r][0]);
      sum[r][1] = multiply_add(element, second, sum[r][1]);
    }
#pragma GCC unroll 8
    for (int g = 0; g < groups; ++g) a[g] += a_column;
  }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
    finish(r, 0, sum[r][0]);
    finish(r, 1, sum[r][1]);
  }
}

// rows x panels of a product. span(first, end, panel) is the range of k that the rows [first, end)
// of a tile need: nothing is done where it ends before it begins. finish(i, j, sum) takes the sums
// of row i and a vector of columns from j on. Rows are taken in whole or half tiles, so that up to
// half a tile more of them is read, and finished, than there are.
inline constexpr Range skipped{0, -1};

// The same, but that a row of b with a weight of 0 is left out, as it may hold NaNs and infinities.
template <class T, class Arch, class Span, class Finish>
void multiply_nonzero(const Factors<T>& f, int64_t rows, int64_t panels, const Span& span,
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

template <class T, class Arch, class Span, class Finish>
REGRAD_INLINE void multiply(const Factors<T>& f, int64_t rows, int64_t panels, const Span& span,
                            const Finish& finish) {
  constexpr int full = TileSize<Arch>::rows, half = full / 2;
  constexpr int64_t lanes = lanes_of<T, Arch>;
  for (int64_t panel = 0; panel < panels; ++panel) {
    for (int64_t i = 0; i < rows; i += full) {
      const bool is_full = rows - i > half;
      const Range k = span(i, i + (is_full ? full : half), panel);
      if (k.end < k.begin) continue;
      const auto at = [&](int r, int v, Vec<T, Arch> sum)
                          REGRAD_LAMBDA { finish(i + r, (2 * panel + v) * lanes, sum); };
      if (is_full) {
        sum_tile<T, Arch, full>(f, k, i, panel, at);
      } else {
        sum_tile<T, Arch, half>(f, k, i, panel, at);
      }
    }
  }
}

}  // namespace regrad::simd

// The register tile: a few rows by one or two vectors of C, kept in registers over a range of k.
// Everything else in the matrix product only decides where a tile's operands come from.
#pragma once

#include "ops/cpu/lanes.h"

namespace regrad::simd {

// The largest tile, such that rows * vectors sums, one row of B and one element of A fit in the
// registers: 32 with AVX-512, 16 below. Below FMA a product needs a register of its own.
template <class Arch>
struct TileSize {
  using Narrower = Arch;  // what computes products of few columns
  static constexpr int rows = 4, vectors = 2;
  static constexpr int tall = 8;                 // rows of a tile one vector wide
  static constexpr int64_t most_k_bytes = 1024;  // of a row of A: how far a tile sums in one go
  static constexpr int64_t most_a_bytes = 1 << 16, most_b_bytes = 1 << 14;  // in place, see fits()
};
template <>
struct TileSize<xsimd::fma3<xsimd::avx2>> {
  using Narrower = xsimd::fma3<xsimd::avx2>;
  static constexpr int rows = 6, vectors = 2;
  static constexpr int tall = 12;
  static constexpr int64_t most_k_bytes = 2048;
  static constexpr int64_t most_a_bytes = 1 << 16, most_b_bytes = 1 << 14;
};
// 28 products for each row of B: enough to hide a second-level cache.
template <>
struct TileSize<xsimd::avx512bw> {
  using Narrower = xsimd::fma3<xsimd::avx2>;
  static constexpr int rows = 14, vectors = 2;
  static constexpr int tall = 14;
  static constexpr int64_t most_k_bytes = 2048;
  static constexpr int64_t most_a_bytes = 1 << 22, most_b_bytes = 1 << 18;
};

template <class T>
struct Tile {
  int64_t k;
  const T* a;  // element (i, p) is a[i * a_row + p * a_col]
  int64_t a_row, a_col;
  const T* b;  // element (p, j) is b[p * b_row + j]
  int64_t b_row;
  T* c;
  int64_t c_row;
  const T* ahead;     // what to bring to the second-level cache: for every fourth k, four vectors
  int64_t ahead_row;  // side by side; with a step of 0 always the same
  const T* bias;      // of the tile's first column, or null
  bool fetch_c;       // C is in no cache near by: it is fetched while the sums are made
  bool add_to_c;
  int64_t last;  // lanes in use of the last vector
};

// The rest of the formula, in registers, and the store.
template <class T, class Arch, int Rows, int Vectors, bool Partial, class Load>
REGRAD_INLINE void finish_tile(const Tile<T>& tile, xsimd::batch<T, Arch> (&sum)[Rows][Vectors],
                               const Load& load, const FirstLanes<T, Arch>& last) {
  using Vector = xsimd::batch<T, Arch>;
  constexpr int lanes = static_cast<int>(Vector::size);
  const auto each = [&](const auto& body) __attribute__((always_inline)) {
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) body(r, v);
    }
  };
  if (tile.add_to_c) {
    each([&](int r, int v)
             __attribute__((always_inline)) { sum[r][v] += load(tile.c + r * tile.c_row, v); });
  }
  if (tile.bias) {
    Vector bias[Vectors];
    for (int v = 0; v < Vectors; ++v) bias[v] = load(tile.bias, v);
    each([&](int r, int v) __attribute__((always_inline)) { sum[r][v] += bias[v]; });
  }
  each([&](int r, int v) __attribute__((always_inline)) {
    T* to = tile.c + r * tile.c_row + v * lanes;
    if (Partial && v == Vectors - 1) {
      last.store(to, sum[r][v]);
    } else {
      sum[r][v].store_unaligned(to);
    }
  });
}

// C = C + A B + bias for one tile. Partial: the last vector is read and written only in part.
template <class T, class Arch, int Rows, int Vectors, bool Partial>
void compute_tile(const Tile<T>& tile) {
  using Vector = xsimd::batch<T, Arch>;
  constexpr int lanes = static_cast<int>(Vector::size);
  const FirstLanes<T, Arch> last(tile.last);
  const auto load = [&](const T* from, int v) __attribute__((always_inline)) {
    return Partial && v == Vectors - 1 ? last.load(from + v * lanes)
                                       : Vector::load_unaligned(from + v * lanes);
  };

  Vector sum[Rows][Vectors];
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) sum[r][v] = Vector(T(0));
  }
  if (tile.fetch_c) {
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      __builtin_prefetch(tile.c + r * tile.c_row, 1);
      if (Vectors > 1) __builtin_prefetch(tile.c + r * tile.c_row + lanes, 1);
    }
  }

  // One pointer for three rows: every address is then a base and an index, with few registers.
  constexpr int groups = (Rows + 2) / 3;
  const T* a[groups];
#pragma GCC unroll 8
  for (int g = 0; g < groups; ++g) a[g] = tile.a + 3 * g * tile.a_row;
  const T* b = tile.b;
  const int64_t a_row = tile.a_row, a_col = tile.a_col, b_row = tile.b_row;
  const auto step = [&]() __attribute__((always_inline)) {
    Vector row[Vectors];
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) row[v] = load(b, v);
    b += b_row;
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      const Vector element(a[r / 3][r % 3 * a_row]);
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) sum[r][v] = multiply_add(element, row[v], sum[r][v]);
    }
#pragma GCC unroll 8
    for (int g = 0; g < groups; ++g) a[g] += a_col;
    // Two steps of the loop stay apart: else the compiler gives each pointers of its own, more than
    // there are registers.
#pragma GCC unroll 8
    for (int g = 0; g < groups; ++g) asm volatile("" : "+r"(a[g]));
    asm volatile("" : "+r"(b));
  };
  int64_t k = tile.k;
  const T* ahead = tile.ahead;
#pragma GCC unroll 1
  for (; k >= 4; k -= 4, ahead += tile.ahead_row) {
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      __builtin_prefetch(ahead + i * lanes, 0, 2);
      step();
    }
  }
#pragma GCC unroll 1
  for (; k > 0; --k) step();
  finish_tile<T, Arch, Rows, Vectors, Partial>(tile, sum, load, last);
}

// The tile of the given height and number of vectors.
template <class T, class Arch, bool Partial, int Vectors,
          int Rows = Vectors == 1 ? TileSize<Arch>::tall : TileSize<Arch>::rows>
REGRAD_INLINE void run_tile(const Tile<T>& tile, int64_t rows) {
  if constexpr (Rows > 0) {
    if (rows == Rows) return compute_tile<T, Arch, Rows, Vectors, Partial>(tile);
    run_tile<T, Arch, Partial, Vectors, Rows - 1>(tile, rows);
  }
}

// `columns`: how many of the tile's columns there are, 1 to vectors * lanes.
template <class T, class Arch>
void run_tile(Tile<T>& tile, int64_t rows, int64_t columns) {
  constexpr int64_t lanes = xsimd::batch<T, Arch>::size;
  static_assert(TileSize<Arch>::vectors == 2);
  tile.last = columns > lanes ? columns - lanes : columns;
  if (tile.last < lanes) {
    columns > lanes ? run_tile<T, Arch, true, 2>(tile, rows)
                    : run_tile<T, Arch, true, 1>(tile, rows);
  } else {
    columns > lanes ? run_tile<T, Arch, false, 2>(tile, rows)
                    : run_tile<T, Arch, false, 1>(tile, rows);
  }
}

}  // namespace regrad::simd

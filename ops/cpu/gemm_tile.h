// The register tile (micro-kernel): a few rows by one or two vectors of C, which are accumulated in
// registers over a range of k. The rest of the matrix product decides where its operands come from.
#pragma once

#include "ops/cpu/lanes.h"

namespace regrad::simd {

// The largest tile whose rows * vectors accumulators, one row of B and one element of A fit in the
// registers: 32 with AVX-512, otherwise 16. Without FMA, each product needs a register too.
template <class Arch>
struct TileSize {
  using NarrowArch = Arch;  // for products of few columns
  static constexpr int rows = 4, vectors = 2;
  static constexpr int tall = 8;                // rows of a tile one vector wide
  static constexpr int64_t max_k_bytes = 1024;  // of a row of A, for one block of k
  static constexpr int64_t max_a_bytes = 1 << 16, max_b_bytes = 1 << 14;  // GemmPlan::fits()
};
template <>
struct TileSize<xsimd::fma3<xsimd::avx2>> {
  using NarrowArch = xsimd::fma3<xsimd::avx2>;
  static constexpr int rows = 6, vectors = 2;
  static constexpr int tall = 12;
  static constexpr int64_t max_k_bytes = 2048;
  static constexpr int64_t max_a_bytes = 1 << 16, max_b_bytes = 1 << 14;
};
// 28 multiply-adds for each row of B, which hide the latency of the L2 cache.
template <>
struct TileSize<xsimd::avx512bw> {
  using NarrowArch = xsimd::fma3<xsimd::avx2>;
  static constexpr int rows = 14, vectors = 2;
  static constexpr int tall = 14;
  static constexpr int64_t max_k_bytes = 2048;
  static constexpr int64_t max_a_bytes = 1 << 22, max_b_bytes = 1 << 18;
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
  const T* prefetch;        // to the L2 cache: four contiguous vectors for every 4 of k, ...
  int64_t prefetch_stride;  // ... then this many elements further; 0: always the same
  const T* bias;            // of the tile's first column, or null
  bool prefetch_c;          // C is in no near cache: prefetch it before the multiplications
  bool add_to_c;
  int64_t last_lanes;  // columns of the last vector, 1 to `lanes`
};

// The epilogue: adds C and the bias in registers, and stores.
template <class T, class Arch, int Rows, int Vectors, bool Partial, class Load>
REGRAD_INLINE void finish_tile(const Tile<T>& tile, xsimd::batch<T, Arch> (&sum)[Rows][Vectors],
                               const Load& load, const FirstLanes<T, Arch>& last) {
  using Vector = xsimd::batch<T, Arch>;
  constexpr int lanes = static_cast<int>(Vector::size);
  const auto for_each_vector = [&](const auto& body) __attribute__((always_inline)) {
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) body(r, v);
    }
  };
  if (tile.add_to_c) {
    for_each_vector([&](int r, int v) __attribute__((always_inline)) {
      sum[r][v] += load(tile.c + r * tile.c_row, v);
    });
  }
  if (tile.bias) {
    Vector bias[Vectors];
    for (int v = 0; v < Vectors; ++v) bias[v] = load(tile.bias, v);
    for_each_vector([&](int r, int v) __attribute__((always_inline)) { sum[r][v] += bias[v]; });
  }
  for_each_vector([&](int r, int v) __attribute__((always_inline)) {
    T* destination = tile.c + r * tile.c_row + v * lanes;
    if (Partial && v == Vectors - 1) {
      last.store(destination, sum[r][v]);
    } else {
      sum[r][v].store_unaligned(destination);
    }
  });
}

// The sums of one tile, Rows x Vectors, in registers, and the pointers to its rows of A. One
// pointer serves three rows: every address is then base + index * {0, 1, 2}, with few registers.
template <class T, class Arch, int Rows, int Vectors>
struct RegisterTile {
  using Vector = xsimd::batch<T, Arch>;
  static constexpr int groups = (Rows + 2) / 3;
  Vector sum[Rows][Vectors];
  const T* a[groups];
  int64_t a_row, a_col;

  REGRAD_INLINE RegisterTile(const T* first, int64_t row_stride, int64_t col_stride)
      : a_row(row_stride), a_col(col_stride) {
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) sum[r][v] = Vector(T(0));
    }
#pragma GCC unroll 8
    for (int g = 0; g < groups; ++g) a[g] = first + 3 * g * a_row;
  }

  // Adds one column of A times a row of B, and goes on to the next column.
  REGRAD_INLINE void accumulate(const Vector (&b)[Vectors]) {
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      const Vector a_element(a[r / 3][r % 3 * a_row]);
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) sum[r][v] = multiply_add(a_element, b[v], sum[r][v]);
    }
#pragma GCC unroll 8
    for (int g = 0; g < groups; ++g) a[g] += a_col;
  }
};

template <class T, int Rows>
REGRAD_INLINE void prefetch_rows(T* c, int64_t c_row, int lanes, bool two_vectors) {
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
    __builtin_prefetch(c + r * c_row, 1);
    if (two_vectors) __builtin_prefetch(c + r * c_row + lanes, 1);
  }
}

// C = C + A B + bias for one tile. If Partial, only last_lanes of the last vector are loaded and
// stored.
template <class T, class Arch, int Rows, int Vectors, bool Partial>
void compute_tile(const Tile<T>& tile) {
  using Vector = xsimd::batch<T, Arch>;
  constexpr int lanes = static_cast<int>(Vector::size);
  const FirstLanes<T, Arch> last(tile.last_lanes);
  const auto load = [&](const T* source, int v) __attribute__((always_inline)) {
    return Partial && v == Vectors - 1 ? last.load(source + v * lanes)
                                       : Vector::load_unaligned(source + v * lanes);
  };
  RegisterTile<T, Arch, Rows, Vectors> sums(tile.a, tile.a_row, tile.a_col);
  if (tile.prefetch_c) prefetch_rows<T, Rows>(tile.c, tile.c_row, lanes, Vectors > 1);
  const T* b = tile.b;
  const int64_t b_row = tile.b_row;
  const auto step = [&]() __attribute__((always_inline)) {
    Vector b_vectors[Vectors];
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) b_vectors[v] = load(b, v);
    b += b_row;
    sums.accumulate(b_vectors);
    // Keep the unrolled steps separate: otherwise the compiler makes pointers for each of them,
    // more than there are registers.
#pragma GCC unroll 8
    for (int g = 0; g < sums.groups; ++g) asm volatile("" : "+r"(sums.a[g]));
    asm volatile("" : "+r"(b));
  };
  int64_t k = tile.k;
  const T* prefetch = tile.prefetch;
#pragma GCC unroll 1
  for (; k >= 4; k -= 4, prefetch += tile.prefetch_stride) {
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      __builtin_prefetch(prefetch + i * lanes, 0, 2);
      step();
    }
  }
#pragma GCC unroll 1
  for (; k > 0; --k) step();
  finish_tile<T, Arch, Rows, Vectors, Partial>(tile, sums.sum, load, last);
}

// Dispatches to the tile with the given number of rows and vectors.
template <class T, class Arch, bool Partial, int Vectors,
          int Rows = Vectors == 1 ? TileSize<Arch>::tall : TileSize<Arch>::rows>
REGRAD_INLINE void run_tile(const Tile<T>& tile, int64_t rows) {
  if constexpr (Rows > 0) {
    if (rows == Rows) return compute_tile<T, Arch, Rows, Vectors, Partial>(tile);
    run_tile<T, Arch, Partial, Vectors, Rows - 1>(tile, rows);
  }
}

// Computes a tile of `columns` columns, 1 to vectors * lanes.
template <class T, class Arch>
void run_tile(Tile<T>& tile, int64_t rows, int64_t columns) {
  constexpr int64_t lanes = xsimd::batch<T, Arch>::size;
  static_assert(TileSize<Arch>::vectors == 2);
  tile.last_lanes = columns > lanes ? columns - lanes : columns;
  if (tile.last_lanes < lanes) {
    columns > lanes ? run_tile<T, Arch, true, 2>(tile, rows)
                    : run_tile<T, Arch, true, 1>(tile, rows);
  } else {
    columns > lanes ? run_tile<T, Arch, false, 2>(tile, rows)
                    : run_tile<T, Arch, false, 1>(tile, rows);
  }
}

}  // namespace regrad::simd

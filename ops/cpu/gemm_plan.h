// How a matrix product is cut and which operands are copied first: all of it from sizes and strides
// alone, so that the number of threads changes nothing.
#pragma once

#include "ops/cpu/chunks.h"
#include "ops/cpu/gemm_tile.h"
#include "ops/kernels/gemm.h"

namespace regrad::simd {

template <class T, class Arch>
struct GemmPlan {
  static constexpr int64_t element = sizeof(T);
  static constexpr int64_t lanes = xsimd::batch<T, Arch>::size;
  static constexpr int64_t panel_width = TileSize<Arch>::vectors * lanes;
  static constexpr int64_t tile_rows = TileSize<Arch>::rows;
  static constexpr int64_t a_step = (tile_rows + lanes - 1) / lanes * lanes;  // packed A, per k
  // A tile's part of A and a panel of B then lie in a first-level cache of 32 KiB together (with
  // AVX-512 in the second-level one), and a group of tiles takes half of a second-level one of
  // 512 KiB.
  static constexpr int64_t most_k = TileSize<Arch>::most_k_bytes / element;
  static constexpr int64_t most_group_bytes = 1 << 18;
  static constexpr int64_t most_near_c = 1 << 17;    // bytes of C that stay in that cache
  static constexpr int64_t most_packed = 4096;       // rows of A and columns of B packed at once
  static constexpr double chunk_operations = 0.5e6;  // what is worth another thread
  static constexpr int64_t most_chunks = 256;
  static constexpr int64_t enough_batches = 16;      // to share out: then no matrix is cut
  static constexpr int64_t enough_chunks = 16;       // to share a matrix out

  int64_t batches = 1;
  int64_t tiles, panels, k_blocks;
  // A and B each are read in place if that is fast, else from panels: shared by all threads for
  // large products, else made by each chunk for itself.
  bool pack_a, pack_b, share_a, shared;
  bool fetch_c;         // C is too large to stay in a second-level cache
  int64_t group_tiles;  // tiles whose part of A stays in the second-level cache
  // The cut of the work; if shared, of each matrix.
  int64_t batch_groups = 1, row_groups = 1, column_groups = 1;
  int64_t gemv_pieces = 1;

  REGRAD_INLINE explicit GemmPlan(const Gemm<T>& g) {
    for (int i = 0; i < g.batch_rank; ++i) batches *= g.batch_sizes[i];
    tiles = ceil_div(g.m, tile_rows);
    panels = ceil_div(g.n, panel_width);
    k_blocks = max(ceil_div(g.k, most_k), 1);
    const int64_t depth = min(g.k, most_k);
    pack_a = panels > 3 && tiles > 1 && !is_near(g.a_row, g.a_col, depth);
    pack_b = g.b_col != 1 || (tiles > 8 && !fits(g.b_row, depth, TileSize<Arch>::most_b_bytes));
    group_tiles = most_group_bytes / (min(max(g.k, 1), most_k) * tile_rows * element);
    fetch_c = batches * g.m * g.n * element > most_near_c;
    const double wanted = operations(g) / chunk_operations;
    const int64_t chunks =
        wanted < most_chunks ? max(static_cast<int64_t>(wanted), 1) : most_chunks;
    batch_groups = min(chunks, batches);
    gemv_pieces = ceil_div(chunks, batch_groups);
    if (batches < enough_batches) cut_matrix(gemv_pieces);
    share_a = pack_a && column_groups > 1;
    shared = share_a || (pack_b && row_groups > 1);
    if (shared) batch_groups = 1;
  }

 private:
  // What it costs, in multiplications and additions: to read or write a number is as much as 8.
  REGRAD_INLINE double operations(const Gemm<T>& g) const {
    const auto m = static_cast<double>(g.m), n = static_cast<double>(g.n),
               k = static_cast<double>(g.k);
    return (2 * m * n * k + 8 * (m * k + k * n + 2 * m * n)) * static_cast<double>(batches);
  }
  // The columns first: then what is packed or fetched of B serves all the rows.
  REGRAD_INLINE void cut_matrix(int64_t pieces) {
    if (pieces == 1) return;
    row_groups = min(pieces, ceil_div(tiles, group_tiles));
    // A copy of A that only one chunk reads stays in the second-level cache.
    const int64_t of_six_tiles = min(2 * enough_chunks, tiles / 6);
    const int64_t rows_alone = min(pieces, max(row_groups, of_six_tiles));
    if (pack_a && rows_alone >= enough_chunks) {
      row_groups = rows_alone;
      return;
    }
    column_groups = min(ceil_div(pieces, row_groups), max(panels / 2, 1));
    const int64_t wanted = min(pieces, enough_chunks) / column_groups;
    const int64_t few = column_groups == 1 ? min(tiles, 6) : 1;  // there is no other cut
    row_groups = max(row_groups, min(wanted, max(tiles / 3, few)));
  }
  // Lines `step` numbers apart stay in a cache together: they share its places as if they filled
  // all that lies between them.
  REGRAD_INLINE static bool fits(int64_t step, int64_t count, int64_t bytes) {
    return step * element * count <= bytes;
  }
  // A tile can read A where it is unless its rows lie about whole pages apart: then their lines
  // fall into the same few places of a cache, and drive each other out before they are used up. Of
  // columns, the next tiles use what is left of a line: so more may be read in place than of B.
  REGRAD_INLINE static bool is_near(int64_t row, int64_t column, int64_t depth) {
    if (column != 1) return row == 1 && fits(column, depth, TileSize<Arch>::most_a_bytes);
    constexpr int64_t page = 4096 / element, apart = page / 8;
    return row < page - apart || (row + apart) % page >= 2 * apart;
  }
};

// One matrix of the batch, and the operands of the next, to be fetched meanwhile.
template <class T>
struct Operands {
  const T* a;
  const T* b;
  T* c;
  const T* next_a = nullptr;  // null too where its rows or columns do not follow each other
  const T* next_b = nullptr;
};

template <class T>
REGRAD_INLINE Operands<T> operands_of(const Gemm<T>& g, int64_t batch) {
  Operands<T> at{g.a, g.b, g.c};
  for (int i = g.batch_rank - 1; i >= 0; --i) {
    const int64_t index = batch % g.batch_sizes[i];
    batch /= g.batch_sizes[i];
    at.a += index * g.a_batch[i];
    at.b += index * g.b_batch[i];
    at.c += index * g.c_batch[i];
  }
  return at;
}

template <class T>
REGRAD_INLINE void set_next(const Gemm<T>& g, int64_t batch, Operands<T>& at) {
  const Operands<T> next = operands_of(g, batch);
  const bool without_gaps = (g.a_col == 1 && g.a_row == g.k) || (g.a_row == 1 && g.a_col == g.m);
  at.next_a = without_gaps ? next.a : nullptr;
  at.next_b = next.b;
}

}  // namespace regrad::simd

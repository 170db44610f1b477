// How a matrix product is divided into chunks, and which operands are packed. Everything is derived
// from sizes and strides alone, so that the result does not depend on the number of threads.
#pragma once

#include "ops/cpu/chunks.h"
#include "ops/cpu/gemm_tile.h"
#include "ops/kernels/gemm.h"

namespace regrad::simd {

template <class T, class Arch>
struct GemmPlan {
  static constexpr int64_t element_size = sizeof(T);
  static constexpr int64_t lanes = xsimd::batch<T, Arch>::size;
  static constexpr int64_t panel_width = TileSize<Arch>::vectors * lanes;
  static constexpr int64_t tile_rows = TileSize<Arch>::rows;
  static constexpr int64_t a_panel_width = (tile_rows + lanes - 1) / lanes * lanes;
  // With max_k, a tile's part of A and a panel of B together fit an L1 cache of 32 KiB (with
  // AVX-512 the L2 cache). A group's part of A takes half of an L2 cache of 512 KiB.
  static constexpr int64_t max_k = TileSize<Arch>::max_k_bytes / element_size;
  static constexpr int64_t max_group_bytes = 1 << 18;
  static constexpr int64_t max_cached_c = 1 << 17;   // bytes of C that stay in the L2 cache
  static constexpr int64_t max_packed = 4096;        // rows of A and columns of B packed at once
  static constexpr double chunk_operations = 0.5e6;  // fewer are not worth another thread
  static constexpr int64_t max_chunks = 256;
  static constexpr int64_t enough_batches = 16;  // from here on the matrices are not divided
  static constexpr int64_t enough_chunks = 16;   // into which one matrix is divided

  int64_t batches = 1;
  int64_t tiles, panels, k_blocks;
  // A and B are each read in place if that is fast, and otherwise packed into panels: for large
  // products once for all threads (shared), otherwise by each chunk for itself.
  bool pack_a, pack_b, share_a, shared;
  bool prefetch_c;      // C is too large to stay in the L2 cache
  int64_t group_tiles;  // tiles whose part of A stays in the L2 cache
  // The division of the work into chunks; if shared, that of each matrix.
  int64_t batch_groups = 1, row_groups = 1, column_groups = 1;
  int64_t gemv_pieces = 1;

  REGRAD_INLINE explicit GemmPlan(const Gemm<T>& g) {
    for (int i = 0; i < g.batch_rank; ++i) batches *= g.batch_sizes[i];
    tiles = ceil_div(g.m, tile_rows);
    panels = ceil_div(g.n, panel_width);
    k_blocks = max(ceil_div(g.k, max_k), 1);
    const int64_t depth = min(g.k, max_k);
    pack_a = panels > 3 && tiles > 1 && !can_read_in_place(g.a_row, g.a_col, depth);
    pack_b = g.b_col != 1 || (tiles > 8 && !fits(g.b_row, depth, TileSize<Arch>::max_b_bytes));
    group_tiles = max_group_bytes / (min(max(g.k, 1), max_k) * tile_rows * element_size);
    prefetch_c = batches * g.m * g.n * element_size > max_cached_c;
    const double target = operations(g) / chunk_operations;
    const int64_t chunks = target < max_chunks ? max(static_cast<int64_t>(target), 1) : max_chunks;
    batch_groups = min(chunks, batches);
    gemv_pieces = ceil_div(chunks, batch_groups);
    if (batches < enough_batches) cut_matrix(gemv_pieces);
    share_a = pack_a && column_groups > 1;
    shared = share_a || (pack_b && row_groups > 1);
    if (shared) batch_groups = 1;
  }

 private:
  // The cost in floating-point operations; reading or writing a number counts as 8.
  REGRAD_INLINE double operations(const Gemm<T>& g) const {
    const auto m = static_cast<double>(g.m), n = static_cast<double>(g.n),
               k = static_cast<double>(g.k);
    return (2 * m * n * k + 8 * (m * k + k * n + 2 * m * n)) * static_cast<double>(batches);
  }
  // Divides columns before rows, so that what a chunk packs or loads of B is used for all rows.
  REGRAD_INLINE void cut_matrix(int64_t parts) {
    if (parts == 1) return;
    row_groups = min(parts, ceil_div(tiles, group_tiles));
    // If only the rows are divided, each part of the packed A is read by one chunk, and stays in
    // its L2 cache.
    const int64_t groups_of_six = min(2 * enough_chunks, tiles / 6);
    const int64_t row_groups_alone = min(parts, max(row_groups, groups_of_six));
    if (pack_a && row_groups_alone >= enough_chunks) {
      row_groups = row_groups_alone;
      return;
    }
    column_groups = min(ceil_div(parts, row_groups), max(panels / 2, 1));
    const int64_t target = min(parts, enough_chunks) / column_groups;
    // With a single group of columns, only the rows can be divided.
    const int64_t row_fallback = column_groups == 1 ? min(tiles, 6) : 1;
    row_groups = max(row_groups, min(target, max(tiles / 3, row_fallback)));
  }
  // Whether `count` cache lines, `stride` elements apart, stay in a cache of `bytes`: they compete
  // for its sets as if all the memory between them were read.
  REGRAD_INLINE static bool fits(int64_t stride, int64_t count, int64_t bytes) {
    return stride * element_size * count <= bytes;
  }
  // A tile can read the rows of A in place, unless they are about a multiple of the page size
  // apart: then their cache lines fall into the same few sets, and evict each other before they are
  // fully used. Of contiguous columns the next tiles use the rest of each cache line, so that
  // max_a_bytes is larger than max_b_bytes.
  REGRAD_INLINE static bool can_read_in_place(int64_t row_stride, int64_t column_stride,
                                              int64_t depth) {
    if (column_stride != 1)
      return row_stride == 1 && fits(column_stride, depth, TileSize<Arch>::max_a_bytes);
    constexpr int64_t page_size = 4096 / element_size, margin = page_size / 8;
    return row_stride < page_size - margin || (row_stride + margin) % page_size >= 2 * margin;
  }
};

// The operands of one matrix of the batch, and those of the next, to be prefetched.
template <class T>
struct Operands {
  const T* a;
  const T* b;
  T* c;
  const T* next_a = nullptr;  // null if there is none, or if A is not contiguous
  const T* next_b = nullptr;
};

template <class T>
REGRAD_INLINE Operands<T> operands_of(const Gemm<T>& g, int64_t batch) {
  Operands<T> operands{g.a, g.b, g.c};
  for (int i = g.batch_rank - 1; i >= 0; --i) {
    const int64_t index = batch % g.batch_sizes[i];
    batch /= g.batch_sizes[i];
    operands.a += index * g.a_batch[i];
    operands.b += index * g.b_batch[i];
    operands.c += index * g.c_batch[i];
  }
  return operands;
}

template <class T>
REGRAD_INLINE void set_next(const Gemm<T>& g, int64_t batch, Operands<T>& operands) {
  const Operands<T> next = operands_of(g, batch);
  const bool is_contiguous = (g.a_col == 1 && g.a_row == g.k) || (g.a_row == 1 && g.a_col == g.m);
  operands.next_a = is_contiguous ? next.a : nullptr;
  operands.next_b = next.b;
}

}  // namespace regrad::simd

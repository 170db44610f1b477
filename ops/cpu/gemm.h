// The matrix product on the CPU. Tiles of C are computed in registers (gemm_tile.h). They read A
// and B in place, or packed into panels where their strides would be slow; gemm_plan.h decides
// which. (Goto, van de Geijn: Anatomy of high-performance matrix multiplication, 2008.) An element
// of C is summed in the order of k, in blocks of k that depend on k alone. So the result has the
// same bits whether or not operands are packed, and for any number of threads.
#pragma once

#include "ops/cpu/gemm_pack.h"
#include "ops/cpu/gemm_plan.h"
#include "ops/cpu/gemm_tile.h"
#include "ops/cpu/gemv.h"
#include "ops/cpu/parallel.h"
#include "ops/kernels/gemm.h"

namespace regrad::simd {

// Operands that are packed for all threads: those of a range of tiles (A) and panels (B) of one
// block of k.
template <class T>
struct Packed {
  T* a = nullptr;  // null: not packed
  T* b = nullptr;
  Range tiles{0, 0}, panels{0, 0}, k{0, 0};
};

template <class T, class Arch>
void pack_tiles(const Gemm<T>& g, const Cut& row_tiles, const T* a, Range tiles, Range k,
                T* packed) {
  using Plan = GemmPlan<T, Arch>;
  for (int64_t t = tiles.begin; t < tiles.end; ++t, packed += k.size() * Plan::a_panel_width) {
    const Range rows = row_tiles[t];
    pack<T, Arch>(a + rows.begin * g.a_row + k.begin * g.a_col, g.a_col, g.a_row, k.size(),
                  rows.size(), packed, Plan::a_panel_width);
  }
}

template <class T, class Arch>
void pack_panel(const Gemm<T>& g, const T* b, int64_t panel, Range k, T* packed) {
  using Plan = GemmPlan<T, Arch>;
  const int64_t column = panel * Plan::panel_width;
  pack<T, Arch>(b + k.begin * g.b_row + column * g.b_col, g.b_row, g.b_col, k.size(),
                min(g.n - column, Plan::panel_width), packed, Plan::panel_width);
}

// Where the tiles of a range of rows read A: in place or from panels, one for each tile.
template <class T>
struct TileSourceA {
  const T* data;
  int64_t row_stride, column_stride;
  int64_t panel_stride;  // from one tile's panel to the next; 0: A is read in place
};

template <class T, class Arch>
REGRAD_INLINE TileSourceA<T> tile_source_a(const Gemm<T>& g, const GemmPlan<T, Arch>& plan,
                                           const Cut& row_tiles, const T* a,
                                           const Packed<T>& packed, Range tiles) {
  constexpr int64_t width = GemmPlan<T, Arch>::a_panel_width;
  const Range k = packed.k;
  const int64_t panel_stride = k.size() * width;
  if (packed.a)
    return {packed.a + (tiles.begin - packed.tiles.begin) * panel_stride, 1, width, panel_stride};
  if (!plan.pack_a) {
    return {a + row_tiles.begin(tiles.begin) * g.a_row + k.begin * g.a_col, g.a_row, g.a_col, 0};
  }
  T* data = scratch_for<T>(Scratch::gemm_a, tiles.size() * panel_stride);
  pack_tiles<T, Arch>(g, row_tiles, a, tiles, k, data);
  return {data, 1, width, panel_stride};
}

// Sets where the tiles of a panel read B, and what the first two tiles of the panel prefetch: the
// next panel, or half of the next two, so that prefetches are spread evenly over the computation.
template <class T, class Arch>
REGRAD_INLINE void set_b_panel(const Gemm<T>& g, const GemmPlan<T, Arch>& plan,
                               const Operands<T>& operands, const Packed<T>& packed, int64_t p,
                               Tile<T>& tile) {
  using Plan = GemmPlan<T, Arch>;
  constexpr int64_t width = Plan::panel_width;
  const Range k = packed.k;
  const int64_t column = p * width, columns = min(g.n - column, width);
  tile.b_row = width;
  if (packed.b) {
    tile.b = packed.b + (p - packed.panels.begin) * k.size() * width;
    tile.prefetch = tile.b;
    if (p + 1 < packed.panels.end) {
      tile.prefetch += k.size() * width;
      tile.prefetch_stride = 2 * width;
    }
    return;
  }
  const T* const b = operands.b;
  tile.prefetch = b;
  if (g.b_col == 1) {
    // Two panels prefetch the next two, each of them half of the rows. The last two panels prefetch
    // the first two of the batch's next matrix.
    const int64_t next_column = (p / 2 + 1) * 2 * width;
    if (const T* next_panels = next_column + 2 * width <= g.n ? b + next_column : operands.next_b) {
      tile.prefetch = next_panels + (k.begin + k.size() / 2 * (p % 2)) * g.b_row;
      tile.prefetch_stride = g.b_row;
    }
  } else if (g.b_row == 1 && g.b_col == k.size() && column + 2 * width <= g.n) {
    // B is a transposed contiguous matrix: the columns of the next panel follow in memory.
    tile.prefetch = b + (column + width) * g.b_col;
    tile.prefetch_stride = 4 * Plan::lanes;
  }
  const bool partial = columns != width && columns != Plan::lanes;
  if (plan.pack_b || (partial && !FirstLanes<T, Arch>::is_free)) {
    T* packed_panel = scratch_for<T>(Scratch::gemm_b, k.size() * width);
    pack_panel<T, Arch>(g, b, p, k, packed_panel);
    tile.b = packed_panel;
    return;
  }
  tile.b = b + k.begin * g.b_row + column;
  tile.b_row = g.b_row;
}

// Sets what is prefetched after `tiles_done` tiles of a panel. The first two tiles prefetch what
// set_b_panel() set, the next two this panel's share of the batch's next A.
template <class T, class Arch>
REGRAD_INLINE void prefetch_next(const T* next_a, int64_t panel_index, int64_t tiles_done,
                                 Tile<T>& tile) {
  const int64_t steps = tile.k / 4;
  tile.prefetch += steps * tile.prefetch_stride;
  if (tiles_done == 2 && next_a) {
    tile.prefetch_stride = 4 * GemmPlan<T, Arch>::lanes;
    tile.prefetch = next_a + panel_index * 2 * steps * tile.prefetch_stride;
  } else if (tiles_done == 2 || tiles_done == 4) {
    tile.prefetch_stride = 0;
    tile.prefetch = tile.b;  // already in the cache, so that these prefetches cost nothing
  }
}

// tiles x panels of one matrix, over one block of k (packed.k).
template <class T, class Arch>
REGRAD_INLINE void compute_block(const Gemm<T>& g, const GemmPlan<T, Arch>& plan,
                                 const Operands<T>& operands, const Packed<T>& packed, Range tiles,
                                 Range panels) {
  using Plan = GemmPlan<T, Arch>;
  const Cut row_tiles(g.m, plan.tiles);
  const TileSourceA<T> source =
      tile_source_a<T, Arch>(g, plan, row_tiles, operands.a, packed, tiles);
  const bool last_k = packed.k.end == g.k;
  Tile<T> tile;
  tile.k = packed.k.size();
  tile.a_row = source.row_stride;
  tile.a_col = source.column_stride;
  tile.c_row = g.c_row;
  tile.prefetch_c = plan.prefetch_c;
  tile.add_to_c = g.accumulate || packed.k.begin > 0;
  const int64_t first_row = row_tiles.begin(tiles.begin),
                height = row_tiles.begin(tiles.end) - first_row;
  for (int64_t p = panels.begin; p < panels.end; ++p) {
    const int64_t column = p * Plan::panel_width;
    const int64_t columns = min(g.n - column, Plan::panel_width);
    tile.bias = g.bias && last_k ? g.bias + column : nullptr;
    tile.prefetch_stride = 0;
    set_b_panel<T, Arch>(g, plan, operands, packed, p, tile);
    // If A is not packed by tiles, tiles that are one vector wide can be taller.
    const bool tall = columns <= Plan::lanes && source.panel_stride == 0;
    const int64_t count = tall ? ceil_div(height, TileSize<Arch>::tall) : tiles.size();
    const Cut tall_tiles(height, tall ? count : 1);
    for (int64_t t = 0; t < count; ++t) {
      const Range rows = tall ? tall_tiles[t] : row_tiles[tiles.begin + t];
      const int64_t row_offset = tall ? rows.begin : rows.begin - first_row;
      tile.a = source.data +
               (source.panel_stride > 0 ? t * source.panel_stride : row_offset * source.row_stride);
      tile.c = operands.c + (first_row + row_offset) * g.c_row + column;
      run_tile<T, Arch>(tile, rows.size(), columns);
      prefetch_next<T, Arch>(operands.next_a, p - panels.begin, t + 1, tile);
    }
  }
}

// The same, in groups of tiles whose part of A stays in the cache.
template <class T, class Arch>
REGRAD_INLINE void compute_groups(const Gemm<T>& g, const GemmPlan<T, Arch>& plan,
                                  const Operands<T>& operands, const Packed<T>& packed, Range tiles,
                                  Range panels) {
  for (int64_t t = tiles.begin; t < tiles.end; t += plan.group_tiles) {
    compute_block<T, Arch>(g, plan, operands, packed, {t, min(t + plan.group_tiles, tiles.end)},
                           panels);
  }
}

// Each chunk packs what it needs by itself. A chunk is a part of the batch, or of the rows and
// columns of C.
template <class T, class Arch>
void separate_gemm(const Gemm<T>& g, const GemmPlan<T, Arch>& plan) {
  const Cut batches(plan.batches, plan.batch_groups), blocks(g.k, plan.k_blocks);
  const Cut rows(plan.tiles, plan.row_groups), columns(plan.panels, plan.column_groups);
  const int64_t per_batch = rows.parts * columns.parts;
  const auto work = [&](int64_t batch_group, int64_t part) {
    const Range tiles = rows[part / columns.parts], panels = columns[part % columns.parts];
    Packed<T> packed;
    for (int64_t i = batches.begin(batch_group); i < batches.begin(batch_group + 1); ++i) {
      Operands<T> operands = operands_of(g, i);
      if (i + 1 < plan.batches) set_next(g, i + 1, operands);
      for (int64_t b = 0; b < blocks.parts; ++b) {
        packed.k = blocks[b];
        compute_groups<T, Arch>(g, plan, operands, packed, tiles, panels);
      }
    }
  };
  if (batches.parts * per_batch == 1) return work(0, 0);
  parallel_for(batches.parts * per_batch,
               [&](int64_t chunk) { work(chunk / per_batch, chunk % per_batch); });
}

template <class T, class Arch>
void pack_operands(const Gemm<T>& g, const Operands<T>& operands, const Packed<T>& packed) {
  using Plan = GemmPlan<T, Arch>;
  constexpr int64_t per_chunk = 4;  // tiles or panels
  const Cut row_tiles(g.m, ceil_div(g.m, Plan::tile_rows));
  const int64_t a_chunks = packed.a ? ceil_div(packed.tiles.size(), per_chunk) : 0;
  const int64_t b_chunks = packed.b ? ceil_div(packed.panels.size(), per_chunk) : 0;
  parallel_for(a_chunks + b_chunks, [&](int64_t chunk) {
    if (chunk < a_chunks) {
      const int64_t first = packed.tiles.begin + chunk * per_chunk;
      pack_tiles<T, Arch>(g, row_tiles, operands.a,
                          {first, min(first + per_chunk, packed.tiles.end)}, packed.k,
                          packed.a + chunk * per_chunk * packed.k.size() * Plan::a_panel_width);
      return;
    }
    const int64_t first = packed.panels.begin + (chunk - a_chunks) * per_chunk;
    for (int64_t p = first; p < min(first + per_chunk, packed.panels.end); ++p) {
      pack_panel<T, Arch>(
          g, operands.b, p, packed.k,
          packed.b + (p - packed.panels.begin) * packed.k.size() * Plan::panel_width);
    }
  });
}

// All threads pack, and then all compute from the same panels.
template <class T, class Arch>
void shared_pass(const Gemm<T>& g, const GemmPlan<T, Arch>& plan, const Operands<T>& operands,
                 Range tiles, Range panels) {
  using Plan = GemmPlan<T, Arch>;
  const int64_t max_depth = ceil_div(g.k, plan.k_blocks);
  Packed<T> packed;
  packed.tiles = tiles;
  packed.panels = panels;
  if (plan.share_a) {
    packed.a = scratch_for<T>(Scratch::gemm_a, tiles.size() * max_depth * Plan::a_panel_width);
  }
  if (plan.pack_b) {
    packed.b =
        scratch_for<T>(Scratch::gemm_shared_b, panels.size() * max_depth * Plan::panel_width);
  }
  const Cut rows(tiles.size(), min(plan.row_groups, tiles.size()));
  const Cut columns(panels.size(), min(plan.column_groups, panels.size()));
  const Cut blocks(g.k, plan.k_blocks);
  for (int64_t b = 0; b < blocks.parts; ++b) {
    packed.k = blocks[b];
    pack_operands<T, Arch>(g, operands, packed);
    parallel_for(rows.parts * columns.parts, [&](int64_t chunk) {
      const Range row = rows[chunk / columns.parts], column = columns[chunk % columns.parts];
      compute_groups<T, Arch>(g, plan, operands, packed,
                              {tiles.begin + row.begin, tiles.begin + row.end},
                              {panels.begin + column.begin, panels.begin + column.end});
    });
  }
}

template <class T, class Arch>
void shared_gemm(const Gemm<T>& g, GemmPlan<T, Arch> plan) {
  using Plan = GemmPlan<T, Arch>;
  // Very large operands are processed in several passes, so that the packed copies stay small.
  const Cut rows(plan.tiles, ceil_div(g.m, Plan::max_packed));
  const Cut columns(plan.panels, ceil_div(g.n, Plan::max_packed));
  plan.row_groups = ceil_div(plan.row_groups, rows.parts);
  plan.column_groups = ceil_div(plan.column_groups, columns.parts);
  for (int64_t i = 0; i < plan.batches; ++i) {
    const Operands<T> operands = operands_of(g, i);
    for (int64_t column = 0; column < columns.parts; ++column) {
      for (int64_t row = 0; row < rows.parts; ++row) {
        shared_pass<T, Arch>(g, plan, operands, rows[row], columns[column]);
      }
    }
  }
}

// Whether C is a single row or column, and the matrix has contiguous rows or columns.
template <class T>
REGRAD_INLINE bool is_gemv(const Gemm<T>& g) {
  if (g.m == 1) return g.b_col == 1 || g.b_row == 1;
  return g.n == 1 && (g.a_row == 1 || g.a_col == 1);
}

template <class T, class Arch>
void gemv(const Gemm<T>& g, const GemmPlan<T, Arch>& plan) {
  const bool is_row = g.m == 1;
  const int64_t count = is_row ? g.n : g.m;
  const bool is_contiguous = (is_row ? g.b_col : g.a_row) == 1;
  const int64_t min_piece = is_contiguous ? min_stream<T> : 4 * plan.lanes;
  const Cut pieces(count, min(plan.gemv_pieces, ceil_div(count, min_piece)));
  const Cut batches(plan.batches, plan.batch_groups), blocks(g.k, plan.k_blocks);
  parallel_for(batches.parts * pieces.parts, [&](int64_t chunk) {
    const Range piece = pieces[chunk % pieces.parts], batch = batches[chunk / pieces.parts];
    for (int64_t i = batch.begin; i < batch.end; ++i) {
      const Operands<T> operands = operands_of(g, i);
      const Gemv<T> v =
          is_row ? Gemv<T>{g.k,        operands.a, g.a_col, operands.b, g.b_row,     g.b_col,
                           operands.c, 1,          g.bias,  1,          g.accumulate}
                 : Gemv<T>{g.k,        operands.b, g.b_row, operands.a, g.a_col,     g.a_row,
                           operands.c, g.c_row,    g.bias,  0,          g.accumulate};
      for (int64_t b = 0; b < blocks.parts; ++b) {
        v.column_stride == 1 ? gemv_rows<T, Arch>(v, piece, blocks[b])
                             : gemv_columns<T, Arch>(v, piece, blocks[b]);
      }
    }
  });
}

// Merges batch dimensions along which B is broadcast and A and C are contiguous into the rows.
template <class T>
REGRAD_INLINE void merge_batch_into_rows(Gemm<T>& g) {
  while (g.batch_rank > 0) {
    const int i = g.batch_rank - 1;
    if (g.b_batch[i] != 0 || g.a_batch[i] != g.m * g.a_row || g.c_batch[i] != g.m * g.c_row) return;
    g.m *= g.batch_sizes[i];
    --g.batch_rank;
  }
}

template <class T, class Arch>
void dispatch_gemm(const Gemm<T>& g) {
  const GemmPlan<T, Arch> plan(g);
  if (is_gemv(g)) return gemv<T, Arch>(g, plan);
  plan.shared ? shared_gemm<T, Arch>(g, plan) : separate_gemm<T, Arch>(g, plan);
}

template <class T, class Arch>
void gemm(const Gemm<T>& g);

#if XSIMD_WITH_AVX512BW  // instantiated with the other kernels for AVX2
extern template void gemm<float, xsimd::fma3<xsimd::avx2>>(const Gemm<float>&);
extern template void gemm<double, xsimd::fma3<xsimd::avx2>>(const Gemm<double>&);
#endif

// Whether vectors half as wide are faster: the last vector would be half empty or more.
template <class T, class Arch>
REGRAD_INLINE bool is_narrow(int64_t columns) {
  constexpr int64_t lanes = GemmPlan<T, Arch>::lanes;
  return columns < 2 * lanes && (columns - 1) % lanes < lanes / 2;
}

template <class T, class Arch>
void gemm(const Gemm<T>& g) {
  using NarrowArch = typename TileSize<Arch>::NarrowArch;
  if constexpr (!std::is_same_v<NarrowArch, Arch>) {
    if (!is_gemv(g) && is_narrow<T, Arch>(g.n)) return gemm<T, NarrowArch>(g);
  }
  for (int i = 0; i < g.batch_rank; ++i) {
    if (g.batch_sizes[i] == 0) return;
  }
  if (g.m == 0 || g.n == 0) return;
  if (g.batch_rank == 0) return dispatch_gemm<T, Arch>(g);
  Gemm<T> merged = g;
  merge_batch_into_rows(merged);
  dispatch_gemm<T, Arch>(merged);
}

}  // namespace regrad::simd

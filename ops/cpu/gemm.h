// The matrix product on the CPU. Tiles of C are computed in registers (gemm_tile.h) from A and B
// where they are, or from copies in panels where their strides would be slow (gemm_plan.h decides).
// (Goto, van de Geijn: Anatomy of high-performance matrix multiplication, 2008.)
// An element of C is summed in the order of k, in blocks of k that depend on k alone. So neither
// the way taken nor the number of threads changes a bit of it.
#pragma once

#include "ops/cpu/gemm_pack.h"
#include "ops/cpu/gemm_plan.h"
#include "ops/cpu/gemm_tile.h"
#include "ops/cpu/gemv.h"
#include "ops/cpu/parallel.h"
#include "ops/cpu/scratch.h"
#include "ops/kernels/gemm.h"

namespace regrad::simd {

template <class T>
REGRAD_INLINE T* scratch_for(Scratch slot, int64_t elements) {
  return static_cast<T*>(scratch(slot, static_cast<std::size_t>(elements) * sizeof(T)));
}

// The panels of one pass over a matrix, and which of its tiles, panels and k they hold.
template <class T>
struct Packed {
  T* a = nullptr;  // null: not packed
  T* b = nullptr;
  Range tiles{0, 0}, panels{0, 0}, k{0, 0};
};

template <class T, class Arch>
void pack_tiles(const Gemm<T>& g, const Cut& heights, const T* a, Range tiles, Range k, T* to) {
  using Plan = GemmPlan<T, Arch>;
  for (int64_t t = tiles.begin; t < tiles.end; ++t, to += k.size() * Plan::a_step) {
    const Range rows = heights[t];
    pack<T, Arch>(a + rows.begin * g.a_row + k.begin * g.a_col, g.a_col, g.a_row, k.size(),
                  rows.size(), to, Plan::a_step);
  }
}

template <class T, class Arch>
void pack_panel(const Gemm<T>& g, const T* b, int64_t panel, Range k, T* to) {
  using Plan = GemmPlan<T, Arch>;
  const int64_t column = panel * Plan::panel_width;
  pack<T, Arch>(b + k.begin * g.b_row + column * g.b_col, g.b_row, g.b_col, k.size(),
                min(g.n - column, Plan::panel_width), to, Plan::panel_width);
}

// Where the tiles of a range of rows read A: in place, or in panels.
template <class T>
struct RowsOfA {
  const T* data;
  int64_t row, column;
  int64_t panel;  // from one tile's panel to the next; 0: in place
};

template <class T, class Arch>
REGRAD_INLINE RowsOfA<T> rows_of_a(const Gemm<T>& g, const GemmPlan<T, Arch>& plan,
                                   const Cut& heights, const T* a, const Packed<T>& packed,
                                   Range tiles) {
  constexpr int64_t step = GemmPlan<T, Arch>::a_step;
  const Range k = packed.k;
  const int64_t panel = k.size() * step;
  if (packed.a) return {packed.a + (tiles.begin - packed.tiles.begin) * panel, 1, step, panel};
  if (!plan.pack_a) {
    return {a + heights.begin(tiles.begin) * g.a_row + k.begin * g.a_col, g.a_row, g.a_col, 0};
  }
  T* to = scratch_for<T>(Scratch::gemm_a, tiles.size() * panel);
  pack_tiles<T, Arch>(g, heights, a, tiles, k, to);
  return {to, 1, step, panel};
}

// Where the tiles of a panel read B, and what the first two of them fetch meanwhile: the next
// panel, or the next two, at a pace that the memory can follow.
template <class T, class Arch>
REGRAD_INLINE void set_panel_of_b(const Gemm<T>& g, const GemmPlan<T, Arch>& plan,
                                  const Operands<T>& at, const Packed<T>& packed, int64_t p,
                                  Tile<T>& tile) {
  using Plan = GemmPlan<T, Arch>;
  constexpr int64_t width = Plan::panel_width;
  const Range k = packed.k;
  const int64_t column = p * width, columns = min(g.n - column, width);
  tile.b_row = width;
  if (packed.b) {
    tile.b = packed.b + (p - packed.panels.begin) * k.size() * width;
    tile.ahead = tile.b;
    if (p + 1 < packed.panels.end) {
      tile.ahead += k.size() * width;
      tile.ahead_row = 2 * width;
    }
    return;
  }
  const T* const b = at.b;
  tile.ahead = b;
  if (g.b_col == 1) {
    // Two panels fetch the next two, each half of their rows; the last two the next matrix's first.
    const int64_t next = (p / 2 + 1) * 2 * width;
    if (const T* from = next + 2 * width <= g.n ? b + next : at.next_b) {
      tile.ahead = from + (k.begin + k.size() / 2 * (p % 2)) * g.b_row;
      tile.ahead_row = g.b_row;
    }
  } else if (g.b_row == 1 && g.b_col == k.size() && column + 2 * width <= g.n) {
    // The columns of the next panel follow in memory: B is a transposed matrix without gaps.
    tile.ahead = b + (column + width) * g.b_col;
    tile.ahead_row = 4 * Plan::lanes;
  }
  const bool partial = columns != width && columns != Plan::lanes;
  if (plan.pack_b || (partial && !FirstLanes<T, Arch>::is_free)) {
    T* to = scratch_for<T>(Scratch::gemm_b, k.size() * width);
    pack_panel<T, Arch>(g, b, p, k, to);
    tile.b = to;
    return;
  }
  tile.b = b + k.begin * g.b_row + column;
  tile.b_row = g.b_row;
}

// After `done` tiles of a panel: the first two fetch what set_panel_of_b() says, the two after them
// the panel's share of the batch's next A.
template <class T, class Arch>
REGRAD_INLINE void fetch_next(const T* next_a, int64_t panel, int64_t done, Tile<T>& tile) {
  const int64_t steps = tile.k / 4;
  tile.ahead += steps * tile.ahead_row;
  if (done == 2 && next_a) {
    tile.ahead_row = 4 * GemmPlan<T, Arch>::lanes;
    tile.ahead = next_a + panel * 2 * steps * tile.ahead_row;
  } else if (done == 2 || done == 4) {
    tile.ahead_row = 0;
    tile.ahead = tile.b;  // is near already: to ask for it costs nothing
  }
}

// tiles x panels of one matrix, over one block of k: packed.k, with what of it is packed already.
template <class T, class Arch>
REGRAD_INLINE void compute_block(const Gemm<T>& g, const GemmPlan<T, Arch>& plan,
                                 const Operands<T>& at, const Packed<T>& packed, Range tiles,
                                 Range panels) {
  using Plan = GemmPlan<T, Arch>;
  const Cut heights(g.m, plan.tiles);
  const RowsOfA<T> a = rows_of_a<T, Arch>(g, plan, heights, at.a, packed, tiles);
  const bool last_k = packed.k.end == g.k;
  Tile<T> tile;
  tile.k = packed.k.size();
  tile.a_row = a.row;
  tile.a_col = a.column;
  tile.c_row = g.c_row;
  tile.fetch_c = plan.fetch_c;
  tile.add_to_c = g.accumulate || packed.k.begin > 0;
  const int64_t top = heights.begin(tiles.begin), height = heights.begin(tiles.end) - top;
  for (int64_t p = panels.begin; p < panels.end; ++p) {
    const int64_t column = p * Plan::panel_width;
    const int64_t columns = min(g.n - column, Plan::panel_width);
    tile.bias = g.bias && last_k ? g.bias + column : nullptr;
    tile.ahead_row = 0;
    set_panel_of_b<T, Arch>(g, plan, at, packed, p, tile);
    // Where A is not in tiles yet, those of one vector's width can be taller.
    const bool tall = columns <= Plan::lanes && a.panel == 0;
    const int64_t count = tall ? ceil_div(height, TileSize<Arch>::tall) : tiles.size();
    const Cut own(height, tall ? count : 1);
    for (int64_t t = 0; t < count; ++t) {
      const Range rows = tall ? own[t] : heights[tiles.begin + t];
      const int64_t above = tall ? rows.begin : rows.begin - top;
      tile.a = a.data + (a.panel > 0 ? t * a.panel : above * a.row);
      tile.c = at.c + (top + above) * g.c_row + column;
      run_tile<T, Arch>(tile, rows.size(), columns);
      fetch_next<T, Arch>(at.next_a, p - panels.begin, t + 1, tile);
    }
  }
}

// The same in groups of tiles whose part of A stays in the cache.
template <class T, class Arch>
REGRAD_INLINE void compute_groups(const Gemm<T>& g, const GemmPlan<T, Arch>& plan,
                                  const Operands<T>& at, const Packed<T>& packed, Range tiles,
                                  Range panels) {
  for (int64_t t = tiles.begin; t < tiles.end; t += plan.group_tiles) {
    compute_block<T, Arch>(g, plan, at, packed, {t, min(t + plan.group_tiles, tiles.end)},
                           panels);
  }
}

// Each chunk makes what copies it needs: a part of the batch, or of the rows and columns of C.
template <class T, class Arch>
void separate_gemm(const Gemm<T>& g, const GemmPlan<T, Arch>& plan) {
  const Cut batches(plan.batches, plan.batch_groups), blocks(g.k, plan.k_blocks);
  const Cut rows(plan.tiles, plan.row_groups), columns(plan.panels, plan.column_groups);
  const int64_t per_batch = rows.parts * columns.parts;
  const auto work = [&](int64_t batch_group, int64_t part) {
    const Range tiles = rows[part / columns.parts], panels = columns[part % columns.parts];
    Packed<T> packed;
    for (int64_t i = batches.begin(batch_group); i < batches.begin(batch_group + 1); ++i) {
      Operands<T> at = operands_of(g, i);
      if (i + 1 < plan.batches) set_next(g, i + 1, at);
      for (int64_t b = 0; b < blocks.parts; ++b) {
        packed.k = blocks[b];
        compute_groups<T, Arch>(g, plan, at, packed, tiles, panels);
      }
    }
  };
  if (batches.parts * per_batch == 1) return work(0, 0);
  parallel_for(batches.parts * per_batch,
               [&](int64_t chunk) { work(chunk / per_batch, chunk % per_batch); });
}

template <class T, class Arch>
void pack_operands(const Gemm<T>& g, const Operands<T>& at, const Packed<T>& to) {
  using Plan = GemmPlan<T, Arch>;
  constexpr int64_t each = 4;  // tiles or panels of a chunk
  const Cut heights(g.m, ceil_div(g.m, Plan::tile_rows));
  const int64_t a_chunks = to.a ? ceil_div(to.tiles.size(), each) : 0;
  const int64_t b_chunks = to.b ? ceil_div(to.panels.size(), each) : 0;
  parallel_for(a_chunks + b_chunks, [&](int64_t chunk) {
    if (chunk < a_chunks) {
      const int64_t first = to.tiles.begin + chunk * each;
      pack_tiles<T, Arch>(g, heights, at.a, {first, min(first + each, to.tiles.end)}, to.k,
                          to.a + chunk * each * to.k.size() * Plan::a_step);
      return;
    }
    const int64_t first = to.panels.begin + (chunk - a_chunks) * each;
    for (int64_t p = first; p < min(first + each, to.panels.end); ++p) {
      pack_panel<T, Arch>(g, at.b, p, to.k,
                          to.b + (p - to.panels.begin) * to.k.size() * Plan::panel_width);
    }
  });
}

// All threads pack, then all compute from the same panels.
template <class T, class Arch>
void shared_pass(const Gemm<T>& g, const GemmPlan<T, Arch>& plan, const Operands<T>& at,
                 Range tiles, Range panels) {
  using Plan = GemmPlan<T, Arch>;
  const int64_t deepest = ceil_div(g.k, plan.k_blocks);
  Packed<T> packed;
  packed.tiles = tiles;
  packed.panels = panels;
  if (plan.share_a) {
    packed.a = scratch_for<T>(Scratch::gemm_a, tiles.size() * deepest * Plan::a_step);
  }
  if (plan.pack_b) {
    packed.b = scratch_for<T>(Scratch::gemm_shared_b, panels.size() * deepest * Plan::panel_width);
  }
  const Cut rows(tiles.size(), min(plan.row_groups, tiles.size()));
  const Cut columns(panels.size(), min(plan.column_groups, panels.size()));
  const Cut blocks(g.k, plan.k_blocks);
  for (int64_t b = 0; b < blocks.parts; ++b) {
    packed.k = blocks[b];
    pack_operands<T, Arch>(g, at, packed);
    parallel_for(rows.parts * columns.parts, [&](int64_t chunk) {
      const Range row = rows[chunk / columns.parts], column = columns[chunk % columns.parts];
      compute_groups<T, Arch>(g, plan, at, packed, {tiles.begin + row.begin, tiles.begin + row.end},
                              {panels.begin + column.begin, panels.begin + column.end});
    });
  }
}

template <class T, class Arch>
void shared_gemm(const Gemm<T>& g, GemmPlan<T, Arch> plan) {
  using Plan = GemmPlan<T, Arch>;
  // Very large operands in several passes, so that the packed copies stay small.
  const Cut rows(plan.tiles, ceil_div(g.m, Plan::most_packed));
  const Cut columns(plan.panels, ceil_div(g.n, Plan::most_packed));
  plan.row_groups = ceil_div(plan.row_groups, rows.parts);
  plan.column_groups = ceil_div(plan.column_groups, columns.parts);
  for (int64_t i = 0; i < plan.batches; ++i) {
    const Operands<T> at = operands_of(g, i);
    for (int64_t column = 0; column < columns.parts; ++column) {
      for (int64_t row = 0; row < rows.parts; ++row) {
        shared_pass<T, Arch>(g, plan, at, rows[row], columns[column]);
      }
    }
  }
}

// One row or one column of C, where the matrix is contiguous one way or the other.
template <class T>
REGRAD_INLINE bool is_gemv(const Gemm<T>& g) {
  if (g.m == 1) return g.b_col == 1 || g.b_row == 1;
  return g.n == 1 && (g.a_row == 1 || g.a_col == 1);
}

template <class T, class Arch>
void gemv(const Gemm<T>& g, const GemmPlan<T, Arch>& plan) {
  const bool one_row = g.m == 1;
  const int64_t count = one_row ? g.n : g.m;
  const bool streams = (one_row ? g.b_col : g.a_row) == 1;
  const int64_t least = streams ? shortest_stream<T> : 4 * plan.lanes;
  const Cut pieces(count, min(plan.gemv_pieces, ceil_div(count, least)));
  const Cut batches(plan.batches, plan.batch_groups), blocks(g.k, plan.k_blocks);
  parallel_for(batches.parts * pieces.parts, [&](int64_t chunk) {
    const Range piece = pieces[chunk % pieces.parts], batch = batches[chunk / pieces.parts];
    for (int64_t i = batch.begin; i < batch.end; ++i) {
      const Operands<T> at = operands_of(g, i);
      const Gemv<T> v =
          one_row
              ? Gemv<T>{g.k, at.a, g.a_col, at.b, g.b_row, g.b_col, at.c, 1, g.bias, 1, g.accumulate}
              : Gemv<T>{g.k,  at.b,    g.b_row, at.a, g.a_col,     g.a_row,
                        at.c, g.c_row, g.bias,  0,    g.accumulate};
      for (int64_t b = 0; b < blocks.parts; ++b) {
        v.column == 1 ? gemv_rows<T, Arch>(v, piece, blocks[b])
                      : gemv_columns<T, Arch>(v, piece, blocks[b]);
      }
    }
  });
}

// A batch that shares B and whose rows of A and C follow each other is one taller matrix.
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
void gemm_of_rows(const Gemm<T>& g) {
  const GemmPlan<T, Arch> plan(g);
  if (is_gemv(g)) return gemv<T, Arch>(g, plan);
  plan.shared ? shared_gemm<T, Arch>(g, plan) : separate_gemm<T, Arch>(g, plan);
}

template <class T, class Arch>
void gemm(const Gemm<T>& g);

#if XSIMD_WITH_AVX512BW  // compiled with the other kernels for AVX2
extern template void gemm<float, xsimd::fma3<xsimd::avx2>>(const Gemm<float>&);
extern template void gemm<double, xsimd::fma3<xsimd::avx2>>(const Gemm<double>&);
#endif

// What vectors half as wide do in less: columns of which the last vector would use half or less.
template <class T, class Arch>
REGRAD_INLINE bool is_narrow(int64_t columns) {
  constexpr int64_t lanes = GemmPlan<T, Arch>::lanes;
  return columns < 2 * lanes && (columns - 1) % lanes < lanes / 2;
}

template <class T, class Arch>
void gemm(const Gemm<T>& g) {
  using Narrower = typename TileSize<Arch>::Narrower;
  if constexpr (!std::is_same_v<Narrower, Arch>) {
    if (!is_gemv(g) && is_narrow<T, Arch>(g.n)) return gemm<T, Narrower>(g);
  }
  for (int i = 0; i < g.batch_rank; ++i) {
    if (g.batch_sizes[i] == 0) return;
  }
  if (g.m == 0 || g.n == 0) return;
  if (g.batch_rank == 0) return gemm_of_rows<T, Arch>(g);
  Gemm<T> merged = g;
  merge_batch_into_rows(merged);
  gemm_of_rows<T, Arch>(merged);
}

}  // namespace regrad::simd

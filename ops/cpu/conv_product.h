// A convolution as a product of the weights [m, channels taps] and the columns of x
// [channels taps, outputs], of which no more exist at a time than fit the cache: for a region of
// the outputs and a block of channels, x is copied into a window (conv_window.h), a block of
// columns is copied from the window into panels, and tiles of the product are computed from those
// in registers (gemm_tile.h). An element is summed in the order of the channels, in blocks that
// depend on the weights' shape alone.
#pragma once

#include "ops/cpu/conv_window.h"
#include "ops/cpu/gemm_plan.h"

namespace regrad::simd {

// y[n, i, r, c] = bias[i] + Σ_channel,tap a[i, channel, tap] x[n, channel, ..]: h and w say where
// a tap meets x. A convolution, or one phase of a transposed one.
template <class T>
struct Correlation {
  Axis h, w;
  int64_t batch, channels, m;
  const T* x;
  int64_t x_image;
  const T* a;
  int64_t a_row;  // a is [m, channels, taps], its rows a_row apart
  const T* bias;  // [m], or null
  T* y;
  int64_t y_image, y_plane, y_row, y_column;
  int64_t taps() const { return h.taps * w.taps; }
  int64_t outputs() const { return h.outputs * w.outputs; }
};

template <class T, class Arch>
struct CorrelationPlan {
  using Tiles = TileSize<Arch>;
  static constexpr int64_t lanes = lanes_of<T, Arch>, panel_width = Tiles::vectors * lanes;
  static constexpr int64_t max_k = Tiles::max_k_bytes / int64_t{sizeof(T)};
  static constexpr int64_t max_window = (int64_t{1} << 18) / int64_t{sizeof(T)};  // elements
  static constexpr int64_t max_panels = 4;  // in a block: with max_k, a quarter of an L2 cache
  static constexpr int64_t min_panels = 16, enough_regions = 8;

  int64_t k_blocks, tiles, max_outputs;
  REGRAD_INLINE CorrelationPlan(const Correlation<T>& c, int64_t groups) {
    k_blocks = max(min(ceil_div(c.channels * c.taps(), max_k), c.channels), 1);
    tiles = ceil_div(c.m, Tiles::rows);
    // A window should fit the L2 cache, and there should be several regions for threads; but the
    // last panel of a region is not full, which should be one of many, and each region reads all
    // weights.
    const int64_t planes = ceil_div(c.channels, k_blocks) * c.h.phases * c.w.phases;
    const int64_t total = c.batch * c.outputs(), per_group = ceil_div(enough_regions, groups);
    max_outputs =
        max(min(max_window / planes, ceil_div(total, per_group)), min_panels * panel_width);
  }
};

template <class T>
REGRAD_INLINE T* output_address(const Correlation<T>& c, const Region& region, const Run& run) {
  return c.y + (region.images.begin + run.image) * c.y_image +
         (region.rows.begin + run.row) * c.y_row + (region.columns.begin + run.column) * c.y_column;
}

// Where a panel's outputs begin in y if they lie side by side, else null.
template <class T>
REGRAD_INLINE T* contiguous_outputs(const Correlation<T>& c, const Region& region, Range panel) {
  T* found = nullptr;
  int64_t runs = 0, images = 0;
  for_runs(region, panel.begin, panel.end, [&](const Run& run) REGRAD_LAMBDA {
    if (runs++ == 0) found = output_address(c, region, run), images = run.image;
    if (run.image != images) found = nullptr;
  });
  return c.y_column == 1 && (runs == 1 || c.y_row == region.columns.size()) ? found : nullptr;
}

// Adds a tile of rows that was computed apart to y; or writes it, with the bias, if it is the
// first.
template <class T>
REGRAD_INLINE void scatter_tile(const Correlation<T>& c, const Region& region, Range panel,
                                Range rows, bool is_first, const T* tile, int64_t tile_row) {
  for_runs(region, panel.begin, panel.end, [&](const Run& run) REGRAD_LAMBDA {
    T* const first = output_address(c, region, run) + rows.begin * c.y_plane;
    const T* const from = tile + run.from - panel.begin;
    for (int64_t r = 0; r < rows.size(); ++r) {
      T* const to = first + r * c.y_plane;
      const T* const row = from + r * tile_row;
      const T start = c.bias ? c.bias[rows.begin + r] : T(0);
      for (int64_t i = 0; i < run.length; ++i) {
        T& out = to[i * c.y_column];
        out = row[i] + (is_first ? start : out);
      }
    }
  });
}

template <class T, class Arch>
REGRAD_INLINE void fill_bias(const Correlation<T>& c, Range rows, T* out) {
  constexpr int64_t lanes = lanes_of<T, Arch>;
  for (int64_t r = 0; r < rows.size(); ++r) {
    const Vec<T, Arch> bias(c.bias[rows.begin + r]);
    for (int64_t v = 0; v < TileSize<Arch>::vectors; ++v)
      bias.store_unaligned(out + r * c.y_plane + v * lanes);
  }
}

// One block of outputs, for one block of channels: y += a columns.
template <class T, class Arch>
void multiply_block(const Correlation<T>& c, const Region& region, Range block, Range channels,
                    Range rows, const T* panels) {
  using Plan = CorrelationPlan<T, Arch>;
  constexpr int64_t width = Plan::panel_width, max_rows = TileSize<Arch>::rows;
  alignas(64) T apart[max_rows * width];
  const int64_t taps = c.taps(), panel_count = ceil_div(block.size(), width);
  T* direct[Plan::max_panels];
  for (int64_t p = 0; p < panel_count; ++p) {
    const Range panel{block.begin + p * width, block.begin + (p + 1) * width};
    direct[p] = panel.end <= block.end ? contiguous_outputs(c, region, panel) : nullptr;
  }
  const bool is_first = channels.begin == 0;
  const Cut tiles(rows.size(), ceil_div(rows.size(), max_rows));
  Tile<T> tile;
  tile.k = channels.size() * taps;
  tile.a_row = c.a_row, tile.a_col = 1, tile.b_row = width;
  tile.prefetch_stride = 0, tile.bias = nullptr, tile.prefetch_c = false;
  for (int64_t t = 0; t < tiles.parts; ++t) {
    const Range of_tile{rows.begin + tiles.begin(t), rows.begin + tiles.begin(t + 1)};
    tile.a = c.a + of_tile.begin * c.a_row + channels.begin * taps;
    for (int64_t p = 0; p < panel_count; ++p) {
      T* const out = direct[p] ? direct[p] + of_tile.begin * c.y_plane : apart;
      tile.b = tile.prefetch = panels + p * tile.k * width;
      tile.c = out;
      tile.c_row = direct[p] ? c.y_plane : width;
      tile.add_to_c = direct[p] && (!is_first || c.bias);
      if (direct[p] && is_first && c.bias) fill_bias<T, Arch>(c, of_tile, out);
      run_tile<T, Arch>(tile, of_tile.size(), width);
      if (direct[p] == nullptr) {
        const int64_t begin = block.begin + p * width;
        scatter_tile(c, region, {begin, min(begin + width, block.end)}, of_tile, is_first, apart,
                     width);
      }
    }
  }
}

// The columns of a panel, [channels taps, panel_width]: what each output of it meets.
template <class T, class Arch>
void pack_window(const Region& region, const Window& layout, Range panel, int64_t taps,
                 const int64_t* offsets, const T* window, T* out) {
  constexpr int64_t width = CorrelationPlan<T, Arch>::panel_width;
  Piece pieces[2 * width];
  const int64_t count = make_pieces<T, Arch>(region, layout, panel.begin, panel.end, pieces);
  for (int64_t channel = 0; channel < layout.channels; ++channel, window += layout.plane) {
    for (int64_t tap = 0; tap < taps; ++tap, out += width)
      copy_pieces<T, Arch>(pieces, count, window + offsets[tap], out);
  }
}

// The outputs of one region and some rows.
template <class T, class Arch>
void correlate_region(const Correlation<T>& c, const CorrelationPlan<T, Arch>& plan,
                      const Region& region, Range rows) {
  using Plan = CorrelationPlan<T, Arch>;
  constexpr int64_t width = Plan::panel_width, block_width = Plan::max_panels * width;
  const Cut k_blocks(c.channels, plan.k_blocks);
  const int64_t taps = c.taps(), max_channels = ceil_div(c.channels, plan.k_blocks);
  const Window largest(c.h, c.w, region, max_channels);
  const int64_t window_size = largest.elements(region) + 2 * Plan::lanes;
  const int64_t panel_size = max_channels * taps * block_width + 2 * Plan::lanes;
  const int64_t padded_taps = ceil_div(taps, 8) * 8;
  // One piece of scratch: offsets, panels, the window.
  int64_t* const offsets = scratch_for<int64_t>(
      Scratch::conv,
      padded_taps + ceil_div((panel_size + window_size + 64) * int64_t{sizeof(T)}, 8));
  T* const panels = reinterpret_cast<T*>(offsets + padded_taps);
  T* const window = panels + ceil_div(panel_size, 64) * 64;
  const int64_t outputs = region.outputs();
  largest.set_offsets(c.h, c.w, offsets);
  for (int64_t b = 0; b < k_blocks.parts; ++b) {
    const Range channels = k_blocks[b];
    const Window layout(c.h, c.w, region, channels.size());
    fill_window<T, Arch>(c.h, c.w, c.x, c.x_image, region, channels, window);
    for (int64_t begin = 0; begin < outputs; begin += block_width) {
      const Range block{begin, min(begin + block_width, outputs)};
      for (int64_t p = 0; block.begin + p * width < block.end; ++p) {
        const int64_t first = block.begin + p * width;
        pack_window<T, Arch>(region, layout, {first, min(first + width, block.end)}, taps, offsets,
                             window, panels + p * channels.size() * taps * width);
      }
      multiply_block<T, Arch>(c, region, block, channels, rows, panels);
    }
  }
}

}  // namespace regrad::simd

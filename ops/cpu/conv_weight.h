// The gradient of a convolution's weights, dweightᵀ = columns of x times gᵀ: a product as in
// conv_product.h, in which the outputs are summed over. For a region of the outputs, gᵀ is packed
// into panels, and a tile's rows of the columns are copied from the window just before they are
// used. An element is summed in the order of the regions, which depend on the shapes alone.
#pragma once

#include "ops/cpu/conv_direct.h"
#include "ops/cpu/gemm_pack.h"
#include "ops/kernels/conv.h"

namespace regrad::simd {

// dweight[g, o, channel, tap] = Σ_n,r,c g[n, g, o, r, c] x[n, g, channel, ..].
template <class T>
struct WeightGradient {
  Axis h, w;
  int64_t batch, groups, channels, outs;  // channels of x and of g, in a group
  const T* x;
  const T* g;
  T* dweight;
  int64_t taps() const { return h.taps * w.taps; }
  int64_t depth() const { return channels * taps(); }
  int64_t area() const { return h.size * w.size; }
  int64_t outputs() const { return h.outputs * w.outputs; }
};

template <class T, class Arch>
struct WeightPlan {
  using Tiles = TileSize<Arch>;
  static constexpr int64_t lanes = lanes_of<T, Arch>, panel_width = Tiles::vectors * lanes;
  static constexpr int64_t max_k = Tiles::max_k_bytes / int64_t{sizeof(T)};
  static constexpr int64_t max_panels = (int64_t{1} << 18) / int64_t{sizeof(T)};  // elements
  static constexpr int64_t max_window = (int64_t{1} << 18) / int64_t{sizeof(T)};
  static constexpr int64_t max_partial = (int64_t{1} << 22) / int64_t{sizeof(T)};

  int64_t padded_outs, max_outputs, channel_parts, region_parts;
  REGRAD_INLINE explicit WeightPlan(const WeightGradient<T>& w) {
    padded_outs = ceil_div(w.outs, panel_width) * panel_width;
    max_outputs = max(min(max_panels / padded_outs, max_k), 4 * lanes);
    const Regions regions(w.batch, w.h, w.w, max_outputs);
    const Window one(w.h, w.w, regions[0], 1);
    // Each part packs gᵀ for itself, which should be little beside its product.
    const int64_t by_window = ceil_div(w.channels * one.elements(regions[0]), max_window);
    channel_parts = min(max(by_window, min(w.depth() / 256, 16)), w.channels);
    const int64_t separate = w.groups * channel_parts,
                  elements = w.groups * w.depth() * padded_outs;
    region_parts = separate >= 16 ? 1 : min(ceil_div(16, separate), regions.count());
    region_parts = max(min(region_parts, max_partial / elements), 1);
    const double work = static_cast<double>(w.depth() * w.outs * w.groups) *
                        static_cast<double>(w.batch * w.outputs());
    if (work < 1e6) region_parts = 1;
  }
};

// gᵀ of a region, in panels [outputs, panel_width].
template <class T, class Arch>
void pack_gradient(const WeightGradient<T>& w, int64_t group, const Region& region, T* panels) {
  constexpr int64_t width = WeightPlan<T, Arch>::panel_width;
  const int64_t outputs = w.outputs(), in_image = region.rows.size() * region.columns.size();
  for (int64_t first = 0; first < w.outs; first += width) {
    for (int64_t image = region.images.begin; image < region.images.end; ++image) {
      const T* from = w.g + ((image * w.groups + group) * w.outs + first) * outputs +
                      region.rows.begin * w.w.outputs + region.columns.begin;
      pack<T, Arch>(from, 1, outputs, in_image, min(width, w.outs - first), panels, width);
      panels += in_image * width;
    }
  }
}

// The scratch of one chunk.
template <class T>
struct WeightScratch {
  int64_t* offsets;
  Piece* pieces;
  T *window, *panels, *rows;
  int64_t row_stride;
};

// sum[j, o] += Σ columns[j] g[o] over a region, j from the first of the channels.
template <class T, class Arch>
void add_region(const WeightGradient<T>& w, int64_t group, const Region& region, Range channels,
                const WeightScratch<T>& s, bool is_first, T* sum, int64_t sum_row) {
  constexpr int64_t lanes = lanes_of<T, Arch>, width = WeightPlan<T, Arch>::panel_width;
  const Window layout(w.h, w.w, region, channels.size());
  const int64_t taps = w.taps(), outputs = region.outputs(), depth = channels.size() * taps;
  fill_window<T, Arch>(w.h, w.w, w.x + group * w.channels * w.area(),
                       w.groups * w.channels * w.area(), region, channels, s.window);
  pack_gradient<T, Arch>(w, group, region, s.panels);
  layout.set_offsets(w.h, w.w, s.offsets);
  const int64_t count = make_pieces<T, Arch>(region, layout, 0, outputs, s.pieces);
  const Cut tiles(depth, ceil_div(depth, TileSize<Arch>::rows));
  Tile<T> tile;
  tile.k = outputs;
  tile.a = s.rows, tile.a_row = s.row_stride, tile.a_col = 1, tile.b_row = width;
  tile.c_row = sum_row, tile.add_to_c = !is_first;
  tile.prefetch_stride = 0, tile.bias = nullptr, tile.prefetch_c = false;
  for (int64_t t = 0; t < tiles.parts; ++t) {
    const Range of_tile = tiles[t];
    for (int64_t j = of_tile.begin; j < of_tile.end; ++j) {
      copy_pieces<T, Arch>(s.pieces, count,
                           s.window + j / taps * layout.plane + s.offsets[j % taps],
                           s.rows + (j - of_tile.begin) * s.row_stride);
    }
    for (int64_t first = 0; first < w.outs; first += width) {
      tile.b = tile.prefetch = s.panels + first * outputs;
      tile.c = sum + of_tile.begin * sum_row + first;
      run_tile<T, Arch>(tile, of_tile.size(), w.outs - first <= lanes ? lanes : width);
    }
  }
}

// sum [channels taps, padded_outs] of some regions.
template <class T, class Arch>
void sum_regions(const WeightGradient<T>& w, const WeightPlan<T, Arch>& plan, int64_t group,
                 Range channels, const Regions& regions, Range of_regions, T* sum) {
  constexpr int64_t lanes = lanes_of<T, Arch>, line = 8;
  int64_t max_window = 0, max_outputs = 0;
  for (int64_t i = of_regions.begin; i < of_regions.end; ++i) {
    const Region region = regions[i];
    max_window = max(max_window, Window(w.h, w.w, region, channels.size()).elements(region));
    max_outputs = max(max_outputs, region.outputs());
  }
  WeightScratch<T> s;
  s.row_stride = max_outputs + lanes;
  const int64_t offsets = ceil_div(w.taps(), line) * line;
  const int64_t pieces = ceil_div(2 * max_outputs, line) * line;  // each takes two
  const int64_t window = ceil_div(max_window + 2 * lanes, 64) * 64;
  const int64_t panels = ceil_div(max_outputs * plan.padded_outs + lanes, 64) * 64;
  const int64_t rows = TileSize<Arch>::rows * s.row_stride + lanes;
  s.offsets = scratch_for<int64_t>(
      Scratch::conv, offsets + pieces + ceil_div((window + panels + rows) * int64_t{sizeof(T)}, 8));
  static_assert(sizeof(Piece) == 2 * sizeof(int64_t));
  s.pieces = reinterpret_cast<Piece*>(s.offsets + offsets);
  s.window = reinterpret_cast<T*>(s.offsets + offsets + pieces);
  s.panels = s.window + window;
  s.rows = s.panels + panels;
  for (int64_t i = of_regions.begin; i < of_regions.end; ++i) {
    add_region<T, Arch>(w, group, regions[i], channels, s, i == of_regions.begin, sum,
                        plan.padded_outs);
  }
}

// dweight[o, j] = Σ sum[part, j, o] for rows j of one group: the parts are added in order.
template <class T, class Arch>
void combine_parts(const WeightGradient<T>& w, const WeightPlan<T, Arch>& plan, int64_t group,
                   Range rows, T* sum, int64_t part_size) {
  constexpr int64_t lanes = lanes_of<T, Arch>;
  const int64_t depth = w.depth();
  T* const first = sum + (group * depth + rows.begin) * plan.padded_outs;
  for (int64_t part = 1; part < plan.region_parts; ++part) {
    const T* from = first + part * part_size;
    for (int64_t i = 0; i < rows.size() * plan.padded_outs; i += lanes) {
      (Vec<T, Arch>::load_unaligned(first + i) + Vec<T, Arch>::load_unaligned(from + i))
          .store_unaligned(first + i);
    }
  }
  T* const out = w.dweight + group * w.outs * depth + rows.begin;
  const int64_t whole = rows.size() / lanes * lanes;
  pack<T, Arch>(first, 1, plan.padded_outs, w.outs, whole, out, depth);
  for (int64_t o = 0; o < w.outs; ++o) {
    for (int64_t j = whole; j < rows.size(); ++j)
      out[o * depth + j] = first[j * plan.padded_outs + o];
  }
}

template <class T, class Arch>
void weight_product(const WeightGradient<T>& w, T* sum, const WeightPlan<T, Arch>& plan) {
  const Regions regions(w.batch, w.h, w.w, plan.max_outputs);
  const Cut channels(w.channels, plan.channel_parts),
      of_regions(regions.count(), plan.region_parts);
  const int64_t part_size = w.groups * w.depth() * plan.padded_outs;
  parallel_for(w.groups * channels.parts * of_regions.parts, [&](int64_t chunk) {
    const int64_t part = chunk % of_regions.parts, rest = chunk / of_regions.parts;
    const int64_t group = rest / channels.parts;
    const Range of_chunk = channels[rest % channels.parts];
    sum_regions<T, Arch>(w, plan, group, of_chunk, regions, of_regions[part],
                         sum + part * part_size +
                             (group * w.depth() + of_chunk.begin * w.taps()) * plan.padded_outs);
  });
  constexpr int64_t block = 64;
  const int64_t blocks = ceil_div(w.depth(), block);
  parallel_for(w.groups * blocks, [&](int64_t chunk) {
    const int64_t begin = chunk % blocks * block;
    combine_parts<T, Arch>(w, plan, chunk / blocks, {begin, min(begin + block, w.depth())}, sum,
                           part_size);
  });
}

// The same for one channel and one kernel (depthwise), directly.
template <class T, class Arch>
void weight_plane(const WeightGradient<T>& w, int64_t group) {
  constexpr int64_t lanes = lanes_of<T, Arch>;
  const Regions regions(w.batch, w.h, w.w, WeightPlan<T, Arch>::max_window / 4);
  const int64_t taps = w.taps(), padded = ceil_div(taps, 8) * 8;
  int64_t max_window = 0;
  for (int64_t i = 0; i < regions.rows.parts * regions.columns.parts; ++i)
    max_window = max(max_window, Window(w.h, w.w, regions[i], 1).plane);
  int64_t* const offsets = scratch_for<int64_t>(
      Scratch::conv,
      padded + ceil_div((taps * lanes + max_window + 2 * lanes) * int64_t{sizeof(T)}, 8));
  T* const sums = reinterpret_cast<T*>(offsets + padded);
  T* const window = sums + taps * lanes;
  for (int64_t i = 0; i < taps * lanes; ++i) sums[i] = T(0);
  for (int64_t i = 0; i < regions.count(); ++i) {
    Region region = regions[i];
    const Range images = region.images;
    const Window layout(w.h, w.w, region, 1);
    layout.set_offsets(w.h, w.w, offsets);
    for (int64_t image = images.begin; image < images.end; ++image) {
      region.images = {image, image + 1};
      fill_window<T, Arch>(w.h, w.w, w.x + group * w.area(), w.groups * w.area(), region, {0, 1},
                           window);
      const T* g = w.g + (image * w.groups + group) * w.outputs() +
                   region.rows.begin * w.w.outputs + region.columns.begin;
      const auto sum = [&]<int Taps>(int64_t tap) REGRAD_LAMBDA {
        sum_taps<T, Arch, Taps>(region, layout, offsets + tap, window, g, w.w.outputs,
                                sums + tap * lanes);
      };
      int64_t tap = 0;
      for (; tap + 9 <= taps; tap += 9) sum.template operator()<9>(tap);
      for (; tap + 5 <= taps; tap += 5) sum.template operator()<5>(tap);
      for (; tap + 3 <= taps; tap += 3) sum.template operator()<3>(tap);
      for (; tap < taps; ++tap) sum.template operator()<1>(tap);
    }
  }
  for (int64_t tap = 0; tap < taps; ++tap) {
    T total(0);
    for (int64_t i = 0; i < lanes; ++i) total += sums[tap * lanes + i];
    w.dweight[group * taps + tap] = total;
  }
}

}  // namespace regrad::simd

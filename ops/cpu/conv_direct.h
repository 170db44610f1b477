// Convolutions of one channel with one kernel (depthwise): each output is computed directly, a
// vector of neighbours at a time, four rows at once.
#pragma once

#include "ops/cpu/conv_product.h"

namespace regrad::simd {

// `rows` rows of outputs, `left` columns (at most a vector): sums of taps times shifted vectors.
template <class T, class Arch, int Rows>
REGRAD_INLINE void correlate_rows(const Correlation<T>& c, const int64_t* offsets, const T* window,
                                  int64_t pitch, T start, T* out, int64_t left) {
  using Vector = Vec<T, Arch>;
  Vector sum[Rows];
#pragma GCC unroll 4
  for (int r = 0; r < Rows; ++r) sum[r] = Vector(start);
  for (int64_t tap = 0; tap < c.taps(); ++tap) {
    const Vector weight(c.a[tap]);
    const T* from = window + offsets[tap];
#pragma GCC unroll 4
    for (int r = 0; r < Rows; ++r)
      sum[r] = multiply_add(weight, Vector::load_unaligned(from + r * pitch), sum[r]);
  }
#pragma GCC unroll 4
  for (int r = 0; r < Rows; ++r) {
    T* const row = out + r * c.y_row;
    if (c.y_column == 1) {
      store<T, Arch>(row, left, sum[r]);
      continue;
    }
    alignas(64) T lanes[Vector::size];
    sum[r].store_unaligned(lanes);
    for (int64_t i = 0; i < min(left, lanes_of<T, Arch>); ++i) row[i * c.y_column] = lanes[i];
  }
}

// The outputs of one region, for c.channels = c.m = 1.
template <class T, class Arch>
void correlate_plane(const Correlation<T>& c, const Region& region) {
  constexpr int64_t lanes = lanes_of<T, Arch>;
  const Window layout(c.h, c.w, region, 1);
  const int64_t taps = c.taps(), window_size = layout.plane + 2 * lanes;
  int64_t* const offsets =
      scratch_for<int64_t>(Scratch::conv, taps + ceil_div(window_size * int64_t{sizeof(T)}, 8));
  T* const window = reinterpret_cast<T*>(offsets + taps);
  layout.set_offsets(c.h, c.w, offsets);
  const T start = c.bias ? c.bias[0] : T(0);
  for (int64_t image = region.images.begin; image < region.images.end; ++image) {
    const Region one{{image, image + 1}, region.rows, region.columns};
    fill_window<T, Arch>(c.h, c.w, c.x, c.x_image, one, {0, 1}, window);
    T* const out =
        c.y + image * c.y_image + region.rows.begin * c.y_row + region.columns.begin * c.y_column;
    const int64_t rows = region.rows.size(), columns = region.columns.size();
    int64_t row = 0;
    const auto for_vectors = [&]<int Rows>() REGRAD_LAMBDA {
      for (int64_t j = 0; j < columns; j += lanes) {
        correlate_rows<T, Arch, Rows>(c, offsets, window + row * layout.pitch + j, layout.pitch,
                                      start, out + row * c.y_row + j * c.y_column, columns - j);
      }
    };
    for (; row + 4 <= rows; row += 4) for_vectors.template operator()<4>();
    for (; row < rows; ++row) for_vectors.template operator()<1>();
  }
}

// dweight[tap] += Σ g x over the outputs of a region, for `count` taps from `first`; g is
// [rows, columns] of y.
template <class T, class Arch, int Taps>
REGRAD_INLINE void sum_taps(const Region& region, const Window& layout, const int64_t* offsets,
                            const T* window, const T* g, int64_t g_row, T* sums) {
  using Vector = Vec<T, Arch>;
  constexpr int64_t lanes = lanes_of<T, Arch>;
  Vector sum[Taps];
#pragma GCC unroll 8
  for (int t = 0; t < Taps; ++t) sum[t] = Vector::load_unaligned(sums + t * lanes);
  for (int64_t row = 0; row < region.rows.size(); ++row) {
    for (int64_t j = 0; j < region.columns.size(); j += lanes) {
      const int64_t left = region.columns.size() - j;
      const Vector factor = load<T, Arch>(g + row * g_row + j, left);
      const T* from = window + row * layout.pitch + j;
#pragma GCC unroll 8
      for (int t = 0; t < Taps; ++t)
        sum[t] = multiply_add(factor, load<T, Arch>(from + offsets[t], left), sum[t]);
    }
  }
#pragma GCC unroll 8
  for (int t = 0; t < Taps; ++t) sum[t].store_unaligned(sums + t * lanes);
}

}  // namespace regrad::simd

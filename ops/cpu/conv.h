// Convolutions on the CPU, and which way each is computed (forward() and transposed() below):
// 1 x 1 as a plain product, one channel for each group directly (conv_direct.h), all others as a
// product over windows of x (conv_product.h). A transposed convolution with a stride is one
// correlation for each phase of its result: its elements r, r + stride, .. meet the same taps.
#pragma once

#include "ops/cpu/conv_direct.h"
#include "ops/cpu/conv_product.h"
#include "ops/cpu/conv_weight.h"
#include "ops/cpu/gemm.h"
#include "ops/kernels/conv.h"

namespace regrad::simd {

#if XSIMD_WITH_AVX512BW  // instantiated with the other kernels for AVX2
extern template void correlate_plane<float, xsimd::fma3<xsimd::avx2>>(const Correlation<float>&,
                                                                      const Region&);
extern template void correlate_plane<double, xsimd::fma3<xsimd::avx2>>(const Correlation<double>&,
                                                                       const Region&);
#endif

// The arrays of an axis, in `memory`, which has axis_memory() elements.
REGRAD_INLINE int64_t axis_memory(const Conv& s) { return 4 * (s.kernel[0] + s.kernel[1]); }

REGRAD_INLINE Axis axis_in(int64_t*& memory, int64_t kernel) {
  Axis axis;
  axis.phase = memory, axis.tap_phase = memory + kernel, axis.tap_shift = memory + 2 * kernel;
  memory += 3 * kernel;
  return axis;
}

// Where the taps of a convolution meet x.
REGRAD_INLINE Axis forward_axis(const Conv& s, int d, int64_t*& memory) {
  Axis axis = axis_in(memory, s.kernel[d]);
  axis.size = s.size[d], axis.outputs = s.out_size[d];
  axis.origin = -s.padding[d], axis.step = s.stride[d];
  axis.taps = s.kernel[d];
  for (int64_t tap = 0; tap < axis.taps; ++tap) {
    const int64_t phase = tap * s.dilation[d] % axis.step;
    int64_t known = 0;
    while (known < axis.phases && axis.phase[known] != phase) ++known;
    axis.phase[known] = phase;
    axis.phases = max(axis.phases, known + 1);
    axis.tap_phase[tap] = known;
    axis.tap_shift[tap] = tap * s.dilation[d] / axis.step;
    axis.extent = max(axis.extent, axis.tap_shift[tap]);
  }
  return axis;
}

// Where the taps of a transposed convolution that elements first, first + stride, .. of x meet find
// y; used[i] is tap i of these in the kernel.
REGRAD_INLINE Axis transposed_axis(const Conv& s, int d, int64_t first, int64_t*& memory,
                                   int64_t* used) {
  Axis axis = axis_in(memory, s.kernel[d]);
  axis.size = s.out_size[d];
  axis.outputs = first < s.size[d] ? (s.size[d] - 1 - first) / s.stride[d] + 1 : 0;
  axis.phases = 1;
  axis.phase[0] = 0;
  for (int64_t tap = 0; tap < s.kernel[d]; ++tap) {
    const int64_t distance = first + s.padding[d] - tap * s.dilation[d];
    if (distance % s.stride[d] != 0) continue;
    used[axis.taps] = tap;
    axis.tap_phase[axis.taps] = 0;
    axis.tap_shift[axis.taps++] = distance / s.stride[d];  // falls with tap
  }
  if (axis.taps == 0) return axis;
  axis.origin = axis.tap_shift[axis.taps - 1];
  axis.extent = axis.tap_shift[0] - axis.origin;
  for (int64_t i = 0; i < axis.taps; ++i) axis.tap_shift[i] -= axis.origin;
  return axis;
}

// How far apart rows of n elements are kept, so that a tile can read several at once: not about a
// multiple of the page size, where they would fall into the same sets of the cache.
template <class T, class Arch>
REGRAD_INLINE int64_t padded_row(int64_t n) {
  constexpr int64_t page = 4096 / int64_t{sizeof(T)}, margin = page / 8;
  const bool is_near = n >= page - margin && (n + margin) % page < 2 * margin;
  return is_near ? n / page * page + (n % page >= page - margin ? page : 0) + margin : n;
}

// All groups of a correlation. Group g reads x, a, bias and y, each so many elements further.
template <class T>
struct Groups {
  int64_t count, x, a, y;
};

template <class T, class Arch>
void correlate(const Correlation<T>& all, const Groups<T>& groups) {
  const CorrelationPlan<T, Arch> plan(all, groups.count);
  const Regions regions(all.batch, all.h, all.w, plan.max_outputs);
  const int64_t separate = groups.count * regions.count();
  const int64_t row_parts = separate >= 8 || plan.max_outputs * all.m < (1 << 12)
                                ? 1
                                : min(ceil_div(8, separate), max(plan.tiles / 2, 1));
  const Cut rows(all.m, row_parts);
  parallel_for(separate * row_parts, [&](int64_t chunk) {
    const int64_t part = chunk % row_parts, group = chunk / row_parts / regions.count();
    Correlation<T> c = all;
    c.x += group * groups.x;
    c.a += group * groups.a;
    c.y += group * groups.y;
    if (c.bias) c.bias += group * c.m;
    const Region region = regions[chunk / row_parts % regions.count()];
    if (c.channels == 1 && c.m == 1) {
      is_narrow<T, Arch>(region.columns.size())
          ? correlate_plane<T, typename TileSize<Arch>::NarrowArch>(c, region)
          : correlate_plane<T, Arch>(c, region);
    } else {
      correlate_region<T, Arch>(c, plan, region, rows[part]);
    }
  });
}

// y = bias, or 0: what is left where no tap meets anything.
template <class T, class Arch>
void fill_outputs(const Correlation<T>& c, const Groups<T>& groups) {
  parallel_for(c.batch, [&](int64_t image) {
    for (int64_t i = 0; i < groups.count * c.m; ++i) {
      T* const plane = c.y + image * c.y_image + i / c.m * groups.y + i % c.m * c.y_plane;
      for (int64_t r = 0; r < c.h.outputs; ++r) {
        for (int64_t j = 0; j < c.w.outputs; ++j)
          plane[r * c.y_row + j * c.y_column] = c.bias ? c.bias[i] : T(0);
      }
    }
  });
}

// Whether it is a product of two matrices as they are, large enough to fill its tiles.
template <class T, class Arch>
REGRAD_INLINE bool is_product(const Conv& s) {
  const int64_t outputs = s.out_size[0] * s.out_size[1];
  return s.kernel[0] * s.kernel[1] == 1 && s.stride[0] == 1 && s.stride[1] == 1 &&
         s.padding[0] == 0 && s.padding[1] == 0 && s.in * s.out > 1 &&
         outputs >= 4 * CorrelationPlan<T, Arch>::panel_width;
}

// out[n, g] = bias + A x[n, g]: A [groups, m, k], its strides a_row and a_col; x [batch, groups, k,
// outputs].
template <class T, class Arch>
void multiply_images(const Conv& s, int64_t m, int64_t k, T* out, const T* x, const T* a,
                     int64_t a_row, int64_t a_col, const T* bias) {
  Gemm<T> g{};
  const int64_t outputs = s.out_size[0] * s.out_size[1];
  g.m = m, g.k = k, g.n = outputs;
  g.a = a, g.a_row = a_row, g.a_col = a_col;
  g.b = x, g.b_row = outputs, g.b_col = 1;
  g.c = out, g.c_row = outputs;
  g.batch_rank = 2;
  g.batch_sizes[0] = s.batch, g.batch_sizes[1] = s.groups;
  g.a_batch[1] = m * k;
  g.b_batch[0] = s.groups * k * outputs, g.b_batch[1] = k * outputs;
  g.c_batch[0] = s.groups * m * outputs, g.c_batch[1] = m * outputs;
  g.accumulate = bias != nullptr;
  if (bias) {
    for_ranges(s.batch * s.groups * m, outputs, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const T value = bias[i % (s.groups * m)];
        for (int64_t j = 0; j < outputs; ++j) out[i * outputs + j] = value;
      }
    });
  }
  gemm<T, Arch>(g);
}

// Whether the kernel covers all of x, so that there is one output: y = x weightᵀ, as of a layer
// without images.
REGRAD_INLINE bool is_linear(const Conv& s) {
  const int64_t taps = s.kernel[0] * s.kernel[1];
  return s.groups == 1 && taps == s.size[0] * s.size[1] && s.out_size[0] * s.out_size[1] == 1 &&
         s.padding[0] == 0 && s.padding[1] == 0;
}

// C [m, n] = A [m, k] B [k, n] + bias, or with Aᵀ or Bᵀ in memory, all contiguous.
template <class T, class Arch>
void multiply_contiguous(int64_t m, int64_t k, int64_t n, T* c, const T* a, bool is_a_transposed,
                         const T* b, bool is_b_transposed, const T* bias) {
  Gemm<T> g{};
  g.m = m, g.k = k, g.n = n, g.bias = bias;
  g.a = a, g.a_row = is_a_transposed ? 1 : k, g.a_col = is_a_transposed ? m : 1;
  g.b = b, g.b_row = is_b_transposed ? 1 : n, g.b_col = is_b_transposed ? k : 1;
  g.c = c, g.c_row = n;
  gemm<T, Arch>(g);
}

template <class T, class Arch>
void conv_forward(const Conv& s, T* y, const T* x, const T* weight, const T* bias) {
  const int64_t area = s.size[0] * s.size[1], outputs = s.out_size[0] * s.out_size[1];
  const int64_t depth = s.in * s.kernel[0] * s.kernel[1];
  if (is_linear(s))
    return multiply_contiguous<T, Arch>(s.batch, depth, s.out, y, x, false, weight, true, bias);
  if (is_product<T, Arch>(s))
    return multiply_images<T, Arch>(s, s.out, s.in, y, x, weight, s.in, 1, bias);
  const int64_t a_row = padded_row<T, Arch>(depth);
  const bool is_copied = a_row != depth;
  int64_t* memory = scratch_for<int64_t>(
      Scratch::conv_shared, axis_memory(s) + (is_copied ? s.groups * s.out * a_row : 0));
  T* const copy = reinterpret_cast<T*>(memory + axis_memory(s));
  for (int64_t i = 0; is_copied && i < s.groups * s.out; ++i)
    __builtin_memcpy(copy + i * a_row, weight + i * depth,
                     static_cast<std::size_t>(depth) * sizeof(T));
  Correlation<T> c{};
  c.h = forward_axis(s, 0, memory), c.w = forward_axis(s, 1, memory);
  c.batch = s.batch, c.channels = s.in, c.m = s.out;
  c.x = x, c.x_image = s.groups * s.in * area;
  c.a = is_copied ? copy : weight, c.a_row = a_row;
  c.bias = bias;
  c.y = y, c.y_image = s.groups * s.out * outputs, c.y_plane = outputs;
  c.y_row = s.out_size[1], c.y_column = 1;
  correlate<T, Arch>(c, {s.groups, s.in * area, s.out * a_row, s.out * outputs});
}

// a[g, i, o, tap] = weight[g, o, i, used taps]: rows i are a_row apart.
template <class T, class Arch>
void gather_weights(const Conv& s, const Axis& h, const Axis& w, const int64_t* used_h,
                    const int64_t* used_w, const T* weight, int64_t a_row, T* a) {
  constexpr int64_t block = 16;
  const int64_t blocks = ceil_div(s.in, block), taps = s.kernel[0] * s.kernel[1];
  parallel_for(s.groups * blocks, [&](int64_t chunk) {
    const int64_t group = chunk / blocks, first = chunk % blocks * block;
    for (int64_t o = 0; o < s.out; ++o) {
      for (int64_t i = first; i < min(first + block, s.in); ++i) {
        const T* from = weight + ((group * s.out + o) * s.in + i) * taps;
        T* to = a + (group * s.in + i) * a_row + o * h.taps * w.taps;
        for (int64_t r = 0; r < h.taps; ++r) {
          for (int64_t q = 0; q < w.taps; ++q) *to++ = from[used_h[r] * s.kernel[1] + used_w[q]];
        }
      }
    }
  });
}

// x = bias + what y gives it; the elements first[0], first[0] + stride, .. of each column, and
// likewise of each row.
template <class T, class Arch>
void transposed_phase(const Conv& s, const int64_t (&first)[2], T* x, const T* y, const T* weight,
                      const T* bias) {
  const int64_t area = s.size[0] * s.size[1], outputs = s.out_size[0] * s.out_size[1];
  const int64_t a_row = padded_row<T, Arch>(s.out * s.kernel[0] * s.kernel[1]);
  int64_t* memory =
      scratch_for<int64_t>(Scratch::conv_shared, axis_memory(s) + s.groups * s.in * a_row);
  T* const a = reinterpret_cast<T*>(memory + axis_memory(s));
  int64_t *const used_h = memory, *const used_w = memory + s.kernel[0];
  memory = used_w + s.kernel[1];
  Correlation<T> c{};
  c.h = transposed_axis(s, 0, first[0], memory, used_h);
  c.w = transposed_axis(s, 1, first[1], memory, used_w);
  c.batch = s.batch, c.channels = s.out, c.m = s.in;
  c.x = y, c.x_image = s.groups * s.out * outputs;
  c.a = a, c.a_row = padded_row<T, Arch>(s.out * c.taps());
  c.bias = bias;
  c.y = x + first[0] * s.size[1] + first[1];
  c.y_image = s.groups * s.in * area, c.y_plane = area;
  c.y_row = s.stride[0] * s.size[1], c.y_column = s.stride[1];
  const Groups<T> groups{s.groups, s.out * outputs, s.in * c.a_row, s.in * area};
  if (c.outputs() == 0) return;
  if (c.taps() == 0) return fill_outputs<T, Arch>(c, groups);
  gather_weights<T, Arch>(s, c.h, c.w, used_h, used_w, weight, c.a_row, a);
  correlate<T, Arch>(c, groups);
}

template <class T, class Arch>
void conv_transposed(const Conv& s, T* x, const T* y, const T* weight, const T* bias) {
  const int64_t depth = s.in * s.kernel[0] * s.kernel[1];
  if (is_linear(s) && bias == nullptr)
    return multiply_contiguous<T, Arch>(s.batch, s.out, depth, x, y, false, weight, false, nullptr);
  if (is_product<T, Arch>(s))
    return multiply_images<T, Arch>(s, s.in, s.out, x, y, weight, 1, s.in, bias);
  for (int64_t row = 0; row < min(s.stride[0], s.size[0]); ++row) {
    for (int64_t column = 0; column < min(s.stride[1], s.size[1]); ++column)
      transposed_phase<T, Arch>(s, {row, column}, x, y, weight, bias);
  }
}

// weight = Σ of x and y over the images and outputs.
template <class T, class Arch>
void conv_weight(const Conv& s, T* weight, const T* x, const T* y) {
  if (is_linear(s))
    return multiply_contiguous<T, Arch>(s.out, s.batch, s.in * s.kernel[0] * s.kernel[1], weight, y,
                                        true, x, false, nullptr);
  WeightGradient<T> w{};
  w.batch = s.batch, w.groups = s.groups, w.channels = s.in, w.outs = s.out;
  w.x = x, w.g = y, w.dweight = weight;
  const auto set_axes = [&](int64_t* memory) {
    w.h = forward_axis(s, 0, memory), w.w = forward_axis(s, 1, memory);
  };
  const int64_t axes = ceil_div(axis_memory(s), 8) * 8;
  set_axes(scratch_for<int64_t>(Scratch::conv_shared, axes));
  if (s.in == 1 && s.out == 1)
    return parallel_for(s.groups, [&](int64_t group) { weight_plane<T, Arch>(w, group); });
  const WeightPlan<T, Arch> plan(w);
  const int64_t elements = plan.region_parts * s.groups * w.depth() * plan.padded_outs;
  int64_t* const memory =
      scratch_for<int64_t>(Scratch::conv_shared, axes + ceil_div(elements * int64_t{sizeof(T)}, 8));
  set_axes(memory);
  weight_product<T, Arch>(w, reinterpret_cast<T*>(memory + axes), plan);
}

}  // namespace regrad::simd

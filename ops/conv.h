// Convolution and its relatives, a part of the catalogue (ops.h, which includes this and says how
// the formulas are read). Images are [n, channels, rows, columns]; a single one without n is taken,
// too, and gives a single one. float32 or float64.
#pragma once

#include <string_view>

#include "autograd/tensor.h"

namespace regrad {

// One number for rows and columns, or {for rows, for columns}.
struct Size2 {
  int64_t rows, columns;
  // Both the same, or each its own.
  Size2(int64_t both) : rows(both), columns(both) {}
  Size2(int64_t of_rows, int64_t of_columns) : rows(of_rows), columns(of_columns) {}
  bool operator==(const Size2&) const = default;  // equal in both
};

struct ConvOptions {
  Size2 stride = 1;    // from the input of one output to that of the next
  Size2 padding = 0;   // zeros around the input, on each side
  Size2 dilation = 1;  // from one tap of the kernel to the next, in the input
  int64_t groups = 1;  // channels are divided into so many groups, which do not mix
};
// y = x ∗ weight + bias; dx = g ∗ᵀ weight, dweight = Σ g x over the images and places, dbias = Σ g
// over the images and places. (x ∗ w)[n, o, r, c] = Σ w[o, i, a, b] x[n, i, r stride + a dilation -
// padding, ..] over i, a and b, x = 0 outside; ∗ᵀ is conv_transpose2d. x [n, in, h, w], weight
// [out, in / groups, a, b], bias [out] -> [n, out, h', w'], h' = ⌊(h + 2 padding - dilation (a - 1)
// - 1) / stride⌋ + 1. An Error for a kernel that is larger than x with its padding, and where
// groups divide in or out with a rest.
Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias = {},
              const ConvOptions& options = {});
// The same along one dimension: x [n, in, t], weight [out, in / groups, a] -> [n, out, t']. Of the
// options the numbers for columns count.
Tensor conv1d(const Tensor& x, const Tensor& weight, const Tensor& bias = {},
              const ConvOptions& options = {});

struct ConvTransposeOptions {
  Size2 stride = 1, padding = 0, dilation = 1;  // of the convolution that this is the gradient of
  int64_t groups = 1;
  Size2 output_padding = 0;  // more rows and columns of the result, at its end; below the stride
};
// y = x ∗ᵀ weight + bias; dx = g ∗ weight, dweight = Σ g x over the images and places, dbias = Σ g
// over the images and places. (x ∗ᵀ w)[n, o, r stride + a dilation - padding, ..] is the sum of all
// x[n, i, r, c] w[i, o, a, b]: the gradient of conv2d for its input. x [n, in, h, w], weight
// [in, out / groups, a, b] -> [n, out, h', w'], h' = (h - 1) stride - 2 padding + dilation (a - 1)
// + output_padding + 1.
Tensor conv_transpose2d(const Tensor& x, const Tensor& weight, const Tensor& bias = {},
                        const ConvTransposeOptions& options = {});

struct PoolOptions {
  Size2 stride = 0;    // 0: the kernel's size, so that windows lie side by side
  Size2 padding = 0;   // on each side, at most half of the kernel; never the greatest, 0 in a mean
  Size2 dilation = 1;  // of max_pool1d and max_pool2d alone
};
// y = the greatest of each window; dx = Σ g of the windows whose greatest it is. The first of ties;
// NaN wins. x [n, c, h, w] -> [n, c, h', w'], h' as of conv2d; or [c, h, w].
Tensor max_pool2d(const Tensor& x, Size2 kernel, const PoolOptions& options = {});
// The same along one dimension: x [n, c, t] or [c, t].
Tensor max_pool1d(const Tensor& x, int64_t kernel, const PoolOptions& options = {});
// The mean of each window, the zeros of the padding included: conv2d with equal weights. Shapes as
// of max_pool2d.
Tensor avg_pool2d(const Tensor& x, Size2 kernel, const PoolOptions& options = {});
// Means over size.rows x size.columns windows that cover x: output i sees ⌊i h / size⌋ to
// ⌈(i + 1) h / size⌉ - 1. x [n, c, h, w] or [c, h, w].
Tensor adaptive_avg_pool2d(const Tensor& x, Size2 size);

struct UpsampleOptions {
  Size2 scale = 2;                    // 1 or more
  std::string_view mode = "nearest";  // or "bilinear", corners not aligned
};
// x with scale times as many rows and columns: each element repeated, or interpolated between the
// two nearest of each direction. x [n, c, h, w] or [c, h, w].
Tensor upsample(const Tensor& x, const UpsampleOptions& options = {});

}  // namespace regrad

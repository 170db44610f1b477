// A convolution in two dimensions as every backend sees it: sizes and contiguous arrays, no Tensor.
#pragma once

#include <cstdint>

namespace regrad {

// y = x * weight: x [batch, groups in, size..], weight [groups out, in, kernel..] and
// y [batch, groups out, out_size..]. Of group g, with channels i of x and o of y:
//   y[n, o, r, c] = Σ_iab x[n, i, r stride + a dilation - padding, ..] weight[o, i, a, b]
// where x is 0 outside. The first of each two numbers is for rows, the second for columns.
struct Conv {
  int64_t batch = 0, groups = 1;
  int64_t in = 0, out = 0;  // channels of one group
  int64_t size[2] = {}, kernel[2] = {}, out_size[2] = {};
  int64_t stride[2] = {1, 1}, padding[2] = {}, dilation[2] = {1, 1};
};

// A pooling of planes [planes, size..] into [planes, out_size..]. Output r, c sees the elements of
// rows r stride - padding + a dilation, a below kernel, and likewise of columns, that are in x.
struct Pool {
  int64_t planes = 0;
  int64_t size[2] = {}, kernel[2] = {}, out_size[2] = {};
  int64_t stride[2] = {1, 1}, padding[2] = {}, dilation[2] = {1, 1};
};

}  // namespace regrad

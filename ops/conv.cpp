// Convolutions. With (x ∗ w) the convolution, (y ∗ᵀ w) what it gives back to x and (x · y) what it
// gives back to w, each is linear in both of its arguments, and their derivatives are each other:
//   y = x ∗ w:   dx = g ∗ᵀ w,  dw = x · g
//   x = y ∗ᵀ w:  dy = g ∗ w,   dw = g · y
//   w = x · y:   dx = y ∗ᵀ g,  dy = x ∗ g
// So every derivative, of any order, is one of three kernels (ops/kernels/conv.h).
#include "ops/conv.h"

#include "ops/dispatch.h"
#include "ops/ops.h"

namespace regrad {
namespace {

Tensor convolve(const Conv& s, const Tensor& x, const Tensor& weight, const Tensor& bias = {});
Tensor transposed(const Conv& s, const Tensor& y, const Tensor& weight, const Tensor& bias = {});

const Dims all_but_channels = {0, 2, 3};

Shape x_shape(const Conv& s) { return {s.batch, s.groups * s.in, s.size[0], s.size[1]}; }
Shape y_shape(const Conv& s) { return {s.batch, s.groups * s.out, s.out_size[0], s.out_size[1]}; }
Shape weight_shape(const Conv& s) { return {s.groups * s.out, s.in, s.kernel[0], s.kernel[1]}; }

// Calls kernel(table, to, a, b, bias) with the pointers of these; where there is nothing to sum,
// the result is the bias alone.
template <class Kernel>
Tensor compute(const char* op, const Shape& shape, const Tensor& a, const Tensor& b,
               const Tensor& bias, const Kernel& kernel) {
  if (shape.numel() == 0 || a.numel() == 0 || b.numel() == 0) {
    Tensor y = zeros(shape, {.dtype = a.dtype(), .device = a.device()});
    return bias.defined() ? add(y, reshape(detached(bias), {-1, 1, 1})) : y;
  }
  Tensor y = empty(shape, a.dtype(), a.device());
  const Tensor left = kernel_input(a), right = kernel_input(b), start = kernel_input(bias);
  for_floats(op, a, [&]<class T>() {
    kernel(kernels<T>(a).conv, raw<T>(y), raw<T>(left), raw<T>(right), raw_or_null<T>(start));
  });
  return y;
}

// x · y
Tensor weight_of(const Conv& s, const Tensor& x, const Tensor& y) {
  return record("conv2d_weight",
                compute("conv2d", weight_shape(s), x, y, {},
                        [&](const auto& table, auto* out, const auto* a, const auto* b,
                            const auto*) { table.weight(s, out, a, b); }),
                {{x, [s, y](const Tensor& g) { return transposed(s, y, g); }},
                 {y, [s, x](const Tensor& g) { return convolve(s, x, g); }}});
}

Tensor convolve(const Conv& s, const Tensor& x, const Tensor& weight, const Tensor& bias) {
  return record("conv2d",
                compute("conv2d", y_shape(s), x, weight, bias,
                        [&](const auto& table, auto* out, const auto* a, const auto* b,
                            const auto* start) { table.forward(s, out, a, b, start); }),
                {{x, [s, weight](const Tensor& g) { return transposed(s, g, weight); }},
                 {weight, [s, x](const Tensor& g) { return weight_of(s, x, g); }},
                 {bias, [](const Tensor& g) { return sum(g, all_but_channels); }}});
}

Tensor transposed(const Conv& s, const Tensor& y, const Tensor& weight, const Tensor& bias) {
  return record("conv_transpose2d",
                compute("conv_transpose2d", x_shape(s), y, weight, bias,
                        [&](const auto& table, auto* out, const auto* a, const auto* b,
                            const auto* start) { table.transposed(s, out, a, b, start); }),
                {{y, [s, weight](const Tensor& g) { return convolve(s, g, weight); }},
                 {weight, [s, y](const Tensor& g) { return weight_of(s, g, y); }},
                 {bias, [](const Tensor& g) { return sum(g, all_but_channels); }}});
}

struct Numbers {
  Size2 stride, padding, dilation;
  int64_t groups;
};

// The sizes of a convolution with this kernel, without those of its input and output.
Conv conv_of(const char* op, const Tensor& x, const Tensor& weight, const Numbers& n) {
  check(x.rank() == 4 && weight.rank() == 4,
        "{}: takes images [n, in, h, w] and a weight of rank 4, not {} and {}", op, called(x),
        called(weight));
  check_same_dtype(op, x, weight);
  check(n.groups >= 1, "{}: groups must be 1 or more, not {}", op, n.groups);
  Conv s;
  s.batch = x.size(0), s.groups = n.groups;
  s.out = weight.size(0) / n.groups, s.in = weight.size(1);
  check(weight.size(0) % n.groups == 0, "{}: {} groups do not divide the {} channels of {}", op,
        n.groups, weight.size(0), called(weight));
  for (int d = 0; d < 2; ++d) {
    const auto of = [d](const Size2& both) { return d == 0 ? both.rows : both.columns; };
    s.stride[d] = of(n.stride), s.padding[d] = of(n.padding), s.dilation[d] = of(n.dilation);
    s.kernel[d] = weight.size(d + 2);
    check(s.stride[d] >= 1 && s.dilation[d] >= 1,
          "{}: stride and dilation must be 1 or more, not {} and {}", op, s.stride[d],
          s.dilation[d]);
    check(s.padding[d] >= 0, "{}: the padding must be 0 or more, not {}", op, s.padding[d]);
    check(s.kernel[d] >= 1, "{}: {} has no taps", op, called(weight));
  }
  return s;
}

void check_bias(const char* op, const Tensor& x, const Tensor& bias, int64_t channels) {
  if (!bias.defined()) return;
  check_same_dtype(op, x, bias);
  check(bias.shape() == Shape{channels}, "{}: the result has {} channels, the bias is {}", op,
        channels, called(bias));
}

// How far the taps reach: dilation (kernel - 1) + 1.
int64_t reach(const Conv& s, int d) {
  return checked_add(checked_mul(s.dilation[d], s.kernel[d] - 1), 1);
}

Tensor convolution(const char* op, const Tensor& x, const Tensor& weight, const Tensor& bias,
                   const ConvOptions& o) {
  Conv s = conv_of(op, x, weight, {o.stride, o.padding, o.dilation, o.groups});
  check(x.size(1) == checked_mul(s.in, s.groups),
        "{}: input {} has {} channels, {} takes {} in {} groups", op, x.shape(), x.size(1),
        called(weight), s.in, s.groups);
  check_bias(op, x, bias, weight.size(0));
  for (int d = 0; d < 2; ++d) {
    s.size[d] = x.size(d + 2);
    const int64_t padded = checked_add(s.size[d], checked_mul(2, s.padding[d]));
    check(reach(s, d) <= padded,
          "{}: the kernel of {} with dilation {} is larger than input {} with padding {}", op,
          called(weight), s.dilation[d], x.shape(), s.padding[d]);
    s.out_size[d] = (padded - reach(s, d)) / s.stride[d] + 1;
  }
  return convolve(s, x, weight, bias);
}

}  // namespace

Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias,
              const ConvOptions& options) {
  if (x.rank() == 3) return squeeze(conv2d(unsqueeze(x, 0), weight, bias, options), 0);
  return convolution("conv2d", x, weight, bias, options);
}

Tensor conv1d(const Tensor& x, const Tensor& weight, const Tensor& bias,
              const ConvOptions& options) {
  if (x.rank() == 2) return squeeze(conv1d(unsqueeze(x, 0), weight, bias, options), 0);
  check(x.rank() == 3 && weight.rank() == 3,
        "conv1d: takes sequences [n, in, t] and a weight of rank 3, not {} and {}", called(x),
        called(weight));
  const ConvOptions rows{.stride = {1, options.stride.columns},
                         .padding = {0, options.padding.columns},
                         .dilation = {1, options.dilation.columns},
                         .groups = options.groups};
  return squeeze(convolution("conv1d", unsqueeze(x, 2), unsqueeze(weight, 2), bias, rows), 2);
}

Tensor conv_transpose2d(const Tensor& x, const Tensor& weight, const Tensor& bias,
                        const ConvTransposeOptions& o) {
  constexpr const char* op = "conv_transpose2d";
  if (x.rank() == 3) return squeeze(conv_transpose2d(unsqueeze(x, 0), weight, bias, o), 0);
  Conv s = conv_of(op, x, weight, {o.stride, o.padding, o.dilation, o.groups});
  check(x.size(1) == weight.size(0), "{}: input {} has {} channels, {} takes {}", op, x.shape(),
        x.size(1), called(weight), weight.size(0));
  check_bias(op, x, bias, checked_mul(s.in, s.groups));
  for (int d = 0; d < 2; ++d) {
    const int64_t more = d == 0 ? o.output_padding.rows : o.output_padding.columns;
    s.out_size[d] = x.size(d + 2);
    check(
        more >= 0 && (more < s.stride[d] || more < s.dilation[d]),
        "{}: output_padding {} must be 0 or more, and below the stride or the dilation, {} and {}",
        op, more, s.stride[d], s.dilation[d]);
    check(s.out_size[d] >= 1, "{}: input {} has no places", op, x.shape());
    const int64_t whole =
        checked_add(checked_mul(s.out_size[d] - 1, s.stride[d]), checked_add(reach(s, d), more));
    s.size[d] = whole - checked_mul(2, s.padding[d]);
    check(s.size[d] >= 1, "{}: input {} and the kernel of {} with padding {} leave no result", op,
          x.shape(), called(weight), s.padding[d]);
  }
  return transposed(s, x, weight, bias);
}

}  // namespace regrad

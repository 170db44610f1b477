#include "nn/conv.h"

#include <cmath>

#include "autograd/check.h"
#include "ops/ops.h"

namespace regrad::nn {
namespace {

void check_sizes(const char* layer, int64_t in, int64_t out, Size2 kernel, int64_t groups) {
  check(in >= 1 && out >= 1 && kernel.rows >= 1 && kernel.columns >= 1,
        "{}: channels and kernel must be 1 or more, not {}, {} and {} x {}", layer, in, out,
        kernel.rows, kernel.columns);
  check(groups >= 1 && in % groups == 0 && out % groups == 0,
        "{}: {} groups do not divide {} and {} channels", layer, groups, in, out);
}

// The weight of this shape, and the bias of `channels` numbers where there is one.
void draw(Tensor& weight, Tensor& bias, const Shape& shape, bool has_bias, int64_t channels,
          Generator& generator) {
  const double limit = 1 / std::sqrt(static_cast<double>(shape.numel() / shape[0]));
  weight = init::uniform_(zeros(shape), -limit, limit, generator).set_requires_grad(true);
  if (has_bias)
    bias = init::uniform_(zeros({channels}), -limit, limit, generator).set_requires_grad(true);
}

}  // namespace

Conv1d::Conv1d(int64_t in, int64_t out, int64_t kernel, Conv1dOptions given, Generator& generator)
    : options(given) {
  check_sizes("Conv1d", in, out, kernel, options.groups);
  draw(weight, bias, {out, in / options.groups, kernel}, options.bias, out, generator);
}

Tensor Conv1d::operator()(const Tensor& x) const {
  return conv1d(x, weight, bias,
                {.stride = options.stride,
                 .padding = options.padding,
                 .dilation = options.dilation,
                 .groups = options.groups});
}

Conv2d::Conv2d(int64_t in, int64_t out, Size2 kernel, Conv2dOptions given, Generator& generator)
    : options(given) {
  check_sizes("Conv2d", in, out, kernel, options.groups);
  draw(weight, bias, {out, in / options.groups, kernel.rows, kernel.columns}, options.bias, out,
       generator);
}

Tensor Conv2d::operator()(const Tensor& x) const {
  return conv2d(x, weight, bias,
                {.stride = options.stride,
                 .padding = options.padding,
                 .dilation = options.dilation,
                 .groups = options.groups});
}

ConvTranspose2d::ConvTranspose2d(int64_t in, int64_t out, Size2 kernel,
                                 ConvTranspose2dOptions given, Generator& generator)
    : options(given) {
  check_sizes("ConvTranspose2d", in, out, kernel, options.groups);
  draw(weight, bias, {in, out / options.groups, kernel.rows, kernel.columns}, options.bias, out,
       generator);
}

Tensor ConvTranspose2d::operator()(const Tensor& x) const {
  return conv_transpose2d(x, weight, bias,
                          {.stride = options.stride,
                           .padding = options.padding,
                           .dilation = options.dilation,
                           .groups = options.groups,
                           .output_padding = options.output_padding});
}

Tensor MaxPool2d::operator()(const Tensor& x) const { return max_pool2d(x, kernel, options); }
Tensor AvgPool2d::operator()(const Tensor& x) const { return avg_pool2d(x, kernel, options); }

}  // namespace regrad::nn

// Layers of images and sequences: convolutions and pooling (ops/conv.h). Names, first values and
// defaults are PyTorch's: weights and biases are uniform in ±1 / √n, where n is how many numbers
// weight[0] has.
#pragma once

#include "nn/init.h"
#include "ops/conv.h"

namespace regrad::nn {

struct Conv1dOptions {
  int64_t stride = 1, padding = 0, dilation = 1, groups = 1;  // as of conv1d
  bool bias = true;
};

// conv1d with its weight and bias: [n, in, t] -> [n, out, t'].
struct Conv1d {
  Tensor weight;  // [out, in / groups, kernel]
  Tensor bias;    // [out]; undefined without one
  Conv1dOptions options;

  // An Error unless groups divide in and out.
  Conv1d(int64_t in, int64_t out, int64_t kernel, Conv1dOptions options = {},
         Generator& generator = default_generator());
  Tensor operator()(const Tensor& x) const;
  void visit(auto&& each) {
    each("weight", weight);
    each("bias", bias);
  }
};

struct Conv2dOptions {
  Size2 stride = 1, padding = 0, dilation = 1;  // as of conv2d
  int64_t groups = 1;
  bool bias = true;
};

// conv2d with its weight and bias: [n, in, h, w] -> [n, out, h', w'].
struct Conv2d {
  Tensor weight;  // [out, in / groups, kernel.rows, kernel.columns]
  Tensor bias;    // [out]; undefined without one
  Conv2dOptions options;

  // An Error unless groups divide in and out.
  Conv2d(int64_t in, int64_t out, Size2 kernel, Conv2dOptions options = {},
         Generator& generator = default_generator());
  Tensor operator()(const Tensor& x) const;
  void visit(auto&& each) {
    each("weight", weight);
    each("bias", bias);
  }
};

struct ConvTranspose2dOptions {
  Size2 stride = 1, padding = 0, dilation = 1;  // as of conv_transpose2d
  int64_t groups = 1;
  Size2 output_padding = 0;
  bool bias = true;
};

// conv_transpose2d with its weight and bias: [n, in, h, w] -> [n, out, h', w'].
struct ConvTranspose2d {
  Tensor weight;  // [in, out / groups, kernel.rows, kernel.columns]
  Tensor bias;    // [out]; undefined without one
  ConvTranspose2dOptions options;

  // An Error unless groups divide in and out.
  ConvTranspose2d(int64_t in, int64_t out, Size2 kernel, ConvTranspose2dOptions options = {},
                  Generator& generator = default_generator());
  Tensor operator()(const Tensor& x) const;
  void visit(auto&& each) {
    each("weight", weight);
    each("bias", bias);
  }
};

// max_pool2d(x, kernel, options).
struct MaxPool2d {
  Size2 kernel;
  PoolOptions options = {};
  Tensor operator()(const Tensor& x) const;
  void visit(auto&&) {}
};

// avg_pool2d(x, kernel, options).
struct AvgPool2d {
  Size2 kernel;
  PoolOptions options = {};
  Tensor operator()(const Tensor& x) const;
  void visit(auto&&) {}
};

}  // namespace regrad::nn

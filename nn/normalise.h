// Layers that normalise, beside LayerNorm (layers.h). Names, first values and defaults are
// PyTorch's: weight 1 and bias 0.
#pragma once

#include "autograd/tensor.h"

namespace regrad::nn {

struct BatchNormLayerOptions {
  double eps = 1e-5;
  double momentum = 0.1;  // the share of a batch in the running mean and variance
  bool affine = true;     // has a weight and a bias
};

// batch_norm() by the batch's mean and variance in training, which the running ones follow, and by
// those in evaluation. The running ones are buffers: saved and moved, not trained. A call in
// training changes them, and counts in num_batches_tracked.
struct BatchNorm {
  Tensor weight, bias;               // [channels]; undefined unless affine
  Tensor running_mean, running_var;  // [channels], 0 and 1 at first
  Tensor num_batches_tracked;        // int64 []
  BatchNormLayerOptions options;
  bool training = true;

  // In training at first.
  explicit BatchNorm(int64_t channels, BatchNormLayerOptions options = {});
  // x [n, channels, ..].
  Tensor operator()(const Tensor& x) const;
  void visit(auto&& each) {
    each("weight", weight);
    each("bias", bias);
    each.buffer("running_mean", running_mean);
    each.buffer("running_var", running_var);
    each.buffer("num_batches_tracked", num_batches_tracked);
    each("training", training);
  }
};

// BatchNorm of [n, channels] or [n, channels, t]; an Error for other ranks.
struct BatchNorm1d : BatchNorm {
  using BatchNorm::BatchNorm;
  Tensor operator()(const Tensor& x) const;
};

// BatchNorm of [n, channels, h, w]; an Error for other ranks.
struct BatchNorm2d : BatchNorm {
  using BatchNorm::BatchNorm;
  Tensor operator()(const Tensor& x) const;
};

struct GroupNormOptions {
  double eps = 1e-5;
  bool affine = true;  // has a weight and a bias
};

// group_norm(x, groups, weight, bias, eps) of [n, channels, ..].
struct GroupNorm {
  Tensor weight, bias;  // [channels]; undefined unless affine
  int64_t groups;
  GroupNormOptions options;

  // An Error unless groups divide channels.
  GroupNorm(int64_t groups, int64_t channels, GroupNormOptions options = {});
  Tensor operator()(const Tensor& x) const;
  void visit(auto&& each) {
    each("weight", weight);
    each("bias", bias);
  }
};

struct RMSNormOptions {
  double eps = 1e-5;
};

// rms_norm(x, weight, eps) over the last dimension, of size dim.
struct RMSNorm {
  Tensor weight;  // [dim]
  double eps;

  // weight 1 at first.
  explicit RMSNorm(int64_t dim, RMSNormOptions options = {});
  Tensor operator()(const Tensor& x) const;
  void visit(auto&& each) { each("weight", weight); }
};

}  // namespace regrad::nn

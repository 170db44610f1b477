// Normalisation, a part of the catalogue (ops.h, which includes this and says how the formulas are
// read): normalise.cpp, batch_norm.cpp.
#pragma once

#include "autograd/tensor.h"

namespace regrad {

// y = z weight + bias, z = (x - mean(x)) / s, s = √(var(x) + eps); dx = (u - mean(u) -
// z mean(u z)) / s with u = g weight, dweight = Σ g z over the rows of x, dbias = Σ g over the rows
// of x. Over the last dimension, var with correction 0 (Ba et al., 2016). x [.., n]; weight and
// bias [n], 1 and 0 where left out.
Tensor layer_norm(const Tensor& x, const Tensor& weight = {}, const Tensor& bias = {},
                  double eps = 1e-5);

// y = z weight, z = x r, r = 1 / √(mean(x²) + eps); dx = r (u - z mean(u z)) with u = g weight,
// dweight = Σ g z over the rows of x. Over the last dimension (Zhang and Sennrich, 2019). x [..,
// n], weight [n], 1 where left out.
Tensor rms_norm(const Tensor& x, const Tensor& weight = {}, double eps = 1e-5);
// layer_norm over each group of channels and all that follows: x [n, c, ..] with c a multiple of
// groups; then times weight [c] plus bias [c], 1 and 0 where left out (Wu and He, 2018).
Tensor group_norm(const Tensor& x, int64_t groups, const Tensor& weight = {},
                  const Tensor& bias = {}, double eps = 1e-5);

struct BatchNormOptions {
  bool training = false;  // by the mean and variance of x, and not by those that are given
  double momentum = 0.1;  // the share of x's in what mean and var become in training
  double eps = 1e-5;
};
// (x - mean) / √(var + eps) weight + bias for each channel: x [n, c, ..], the others [c] or left
// out (Ioffe and Szegedy, 2015). In training mean and var are those of x, over all but the
// channels, and what is given moves towards them in place: mean = (1 - momentum) mean + momentum
// mean(x), and likewise var with the correction of a sample. An Error for training with one number
// a channel, and for no mean or var otherwise.
Tensor batch_norm(const Tensor& x, const Tensor& mean, const Tensor& var, const Tensor& weight = {},
                  const Tensor& bias = {}, const BatchNormOptions& options = {});

}  // namespace regrad

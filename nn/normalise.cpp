#include "nn/normalise.h"

#include "autograd/check.h"
#include "autograd/grad_mode.h"
#include "ops/ops.h"

namespace regrad::nn {
namespace {

Tensor parameter(Tensor x) { return x.set_requires_grad(true); }

}  // namespace

BatchNorm::BatchNorm(int64_t channels, BatchNormLayerOptions given)
    : running_mean(zeros({channels})),
      running_var(ones({channels})),
      num_batches_tracked(zeros({}, {.dtype = int64})),
      options(given) {
  if (!options.affine) return;
  weight = parameter(ones({channels}));
  bias = parameter(zeros({channels}));
}

Tensor BatchNorm::operator()(const Tensor& x) const {
  Tensor y = batch_norm(x, running_mean, running_var, weight, bias,
                        {.training = training, .momentum = options.momentum, .eps = options.eps});
  if (training) {
    const NoGrad guard;
    Tensor count = num_batches_tracked;
    count.copy_(add(count, 1));
  }
  return y;
}

Tensor BatchNorm1d::operator()(const Tensor& x) const {
  check(x.rank() == 2 || x.rank() == 3, "BatchNorm1d: takes [n, c] or [n, c, t], not {}",
        x.shape());
  return BatchNorm::operator()(x);
}

Tensor BatchNorm2d::operator()(const Tensor& x) const {
  check(x.rank() == 4, "BatchNorm2d: takes [n, c, h, w], not {}", x.shape());
  return BatchNorm::operator()(x);
}

GroupNorm::GroupNorm(int64_t group_count, int64_t channels, GroupNormOptions given)
    : groups(group_count), options(given) {
  check(groups >= 1 && channels % groups == 0, "GroupNorm: {} groups do not divide {} channels",
        groups, channels);
  if (!options.affine) return;
  weight = parameter(ones({channels}));
  bias = parameter(zeros({channels}));
}

Tensor GroupNorm::operator()(const Tensor& x) const {
  return group_norm(x, groups, weight, bias, options.eps);
}

RMSNorm::RMSNorm(int64_t dim, RMSNormOptions given)
    : weight(parameter(ones({dim}))), eps(given.eps) {}

Tensor RMSNorm::operator()(const Tensor& x) const { return rms_norm(x, weight, eps); }

}  // namespace regrad::nn

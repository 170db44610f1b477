// Normalisation of channels, written in ops: what the graph shows is what the paper says, and
// derivatives of every order follow.
#include "ops/dispatch.h"
#include "ops/normalise.h"
#include "ops/ops.h"

namespace regrad {
namespace {

// [c] as [c, 1, ..], to be broadcast to x [n, c, ..].
Tensor per_channel(const Tensor& one, const Tensor& x) {
  Shape shape{one.size(0)};
  for (int64_t d = 2; d < x.rank(); ++d) shape.push_back(1);
  return reshape(one, shape);
}

void check_channels(const char* op, const Tensor& x, std::initializer_list<const Tensor*> all) {
  check(x.rank() >= 2, "{}: takes [n, c, ..], not {}", op, called(x));
  check(is_float(x.dtype()), "{}: takes float32 or float64, not {}", op, x.dtype());
  for (const Tensor* one : all) {
    if (!one->defined()) continue;
    check_same_dtype(op, x, *one);
    check(one->shape() == Shape{x.size(1)}, "{}: input {} has {} channels, {} does not", op,
          x.shape(), x.size(1), called(*one));
  }
}

Tensor scaled(Tensor z, const Tensor& x, const Tensor& weight, const Tensor& bias) {
  if (weight.defined()) z = mul(z, per_channel(weight, x));
  return bias.defined() ? add(z, per_channel(bias, x)) : z;
}

// kept = (1 - momentum) kept + momentum now
void move_towards(const Tensor& kept, const Tensor& now, double momentum) {
  const NoGrad guard;
  Tensor target = kept;
  target.copy_(add(mul(detached(kept), 1 - momentum), mul(detached(now), momentum)));
}

}  // namespace

Tensor batch_norm(const Tensor& x, const Tensor& mean, const Tensor& var, const Tensor& weight,
                  const Tensor& bias, const BatchNormOptions& options) {
  check_channels("batch_norm", x, {&mean, &var, &weight, &bias});
  if (!options.training) {
    check(mean.defined() && var.defined(), "batch_norm: needs a mean and a var outside training");
    const Tensor rstd = rsqrt(add(var, options.eps));
    const Tensor scale = weight.defined() ? mul(rstd, weight) : rstd;
    const Tensor centred = sub(x, per_channel(mean, x));
    return scaled(centred, x, scale, bias);
  }
  const int64_t count = x.size(1) == 0 ? 0 : x.numel() / x.size(1);
  check(count > 1 || x.numel() == 0,
        "batch_norm: training needs more than one number for each channel, input {} has one",
        x.shape());
  Dims all_but_channels = {0};
  for (int64_t d = 2; d < x.rank(); ++d) all_but_channels.push_back(d);
  if (x.numel() == 0) return x.clone();
  const Tensor centre = regrad::mean(x, all_but_channels);
  const Tensor centred = sub(x, per_channel(centre, x));
  const Tensor spread = regrad::mean(square(centred), all_but_channels);
  if (mean.defined()) move_towards(mean, centre, options.momentum);
  if (var.defined()) {
    const double correction = static_cast<double>(count) / static_cast<double>(count - 1);
    move_towards(var, mul(detached(spread), correction), options.momentum);
  }
  const Tensor rstd = rsqrt(add(spread, options.eps));
  return scaled(centred, x, weight.defined() ? mul(rstd, weight) : rstd, bias);
}

Tensor group_norm(const Tensor& x, int64_t groups, const Tensor& weight, const Tensor& bias,
                  double eps) {
  check_channels("group_norm", x, {&weight, &bias});
  check(groups >= 1 && x.size(1) % groups == 0, "group_norm: {} groups do not divide {} channels",
        groups, x.size(1));
  if (x.numel() == 0) return scaled(x, x, weight, bias);
  const Shape rows{x.size(0) * groups, x.numel() / (x.size(0) * groups)};
  return scaled(reshape(layer_norm(reshape(x, rows), {}, {}, eps), x.shape()), x, weight, bias);
}

}  // namespace regrad

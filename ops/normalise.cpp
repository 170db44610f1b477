// layer_norm: xhat = (x - mean) rstd,  y = xhat weight + bias,  over the last dimension.
//   with u = g weight:  dx = rstd (u - mean(u) - xhat mean(u xhat)),  dweight = sum g xhat,
//   dbias = sum g   (Ba, Kiros, Hinton: "Layer normalization", 2016). One pass gives all three.
#include "ops/dispatch.h"
#include "ops/ops.h"

namespace regrad {
namespace {

// The same, composed of ops; in is {x, weight, bias}, the last two possibly undefined.
Tensor composed_layer_norm(const std::vector<Tensor>& in, double eps) {
  const Tensor centred = sub(in[0], mean(in[0], -1, true));
  Tensor y = mul(centred, rsqrt(add(mean(square(centred), -1, true), eps)));
  if (in[1].defined()) y = mul(y, in[1]);
  return in[2].defined() ? add(y, in[2]) : y;
}

// in is {x, weight}, the last possibly undefined.
Tensor composed_rms_norm(const std::vector<Tensor>& in, double eps) {
  const Tensor z = mul(in[0], rsqrt(add(mean(square(in[0]), -1, true), eps)));
  return in[1].defined() ? mul(z, in[1]) : z;
}

}  // namespace

Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps) {
  check(x.rank() >= 1, "layer_norm: needs a dimension to normalise over, the input has none");
  const int64_t n = x.shape().back();
  for (const Tensor* one : {&weight, &bias}) {
    if (!one->defined()) continue;
    check(one->shape() == Shape{n}, "layer_norm: input {} has {} features, {} does not", called(x),
          n, called(*one));
    check_same_dtype("layer_norm", x, *one);
  }
  const Rows rows{n == 0 ? 0 : x.numel() / n, n, 1};
  const Tensor from = kernel_input(x), scale = kernel_input(weight), shift = kernel_input(bias);
  Tensor y = empty(x.shape(), x.dtype(), x.device());
  const Tensor mean = empty({rows.outer}, x.dtype(), x.device());
  const Tensor rstd = empty({rows.outer}, x.dtype(), x.device());
  for_floats("layer_norm", x, [&]<class T>() {
    kernels<T>(x).norm.layer_norm(rows, raw<T>(y), raw<T>(mean), raw<T>(rstd), raw<T>(from),
                                  raw_or_null<T>(scale), raw_or_null<T>(shift),
                                  static_cast<T>(eps));
  });
  return record_fused(
      "layer_norm", std::move(y), {x, weight, bias},
      [eps](const std::vector<Tensor>& in) { return composed_layer_norm(in, eps); },
      [x, weight, mean, rstd, rows](const Tensor& g, Needed needed) -> std::vector<Tensor> {
        const Tensor input = kernel_input(x), factor = kernel_input(weight);
        const Tensor gradient = kernel_input(g);
        const Tensor dx = needed[0] ? empty(x.shape(), x.dtype(), x.device()) : Tensor();
        const Tensor dweight = needed[1] ? empty({rows.n}, x.dtype(), x.device()) : Tensor();
        const Tensor dbias = needed[2] ? empty({rows.n}, x.dtype(), x.device()) : Tensor();
        for_floats("layer_norm", x, [&]<class T>() {
          kernels<T>(x).norm.layer_norm_backward(
              rows, raw_or_null<T>(dx), raw_or_null<T>(dweight), raw_or_null<T>(dbias),
              raw<T>(gradient), raw<T>(input), raw<T>(mean), raw<T>(rstd), raw_or_null<T>(factor));
        });
        return {dx, dweight, dbias};
      });
}

// rms_norm: z = x r,  r = 1 / sqrt(mean(x²) + eps),  y = z weight.
//   with u = g weight:  dx = r (u - z mean(u z)),  dweight = sum g z
// (Zhang, Sennrich: "Root mean square layer normalization", 2019)
Tensor rms_norm(const Tensor& x, const Tensor& weight, double eps) {
  check(x.rank() >= 1, "rms_norm: needs a dimension to normalise over, the input has none");
  const int64_t n = x.shape().back();
  if (weight.defined()) {
    check(weight.shape() == Shape{n}, "rms_norm: input {} has {} features, {} does not", x.shape(),
          n, called(weight));
    check_same_dtype("rms_norm", x, weight);
  }
  const Rows rows{n == 0 ? 0 : x.numel() / n, n, 1};
  Tensor y = empty(x.shape(), x.dtype(), x.device());
  const Tensor rstd = empty({rows.outer}, x.dtype(), x.device());
  const Tensor from = kernel_input(x), scale = kernel_input(weight);
  for_floats("rms_norm", x, [&]<class T>() {
    kernels<T>(x).norm.rms_norm(rows, raw<T>(y), raw<T>(rstd), raw<T>(from), raw_or_null<T>(scale),
                                static_cast<T>(eps));
  });
  return record_fused(
      "rms_norm", std::move(y), {x, weight},
      [eps](const std::vector<Tensor>& in) { return composed_rms_norm(in, eps); },
      [x, weight, rstd, rows](const Tensor& g, Needed needed) -> std::vector<Tensor> {
        const Tensor input = kernel_input(x), factor = kernel_input(weight),
                     gradient = kernel_input(g);
        Tensor dx, dweight;
        if (needed[0]) {
          dx = empty(x.shape(), x.dtype(), x.device());
          for_floats("rms_norm", x, [&]<class T>() {
            kernels<T>(x).norm.rms_norm_backward(rows, raw<T>(dx), raw<T>(gradient), raw<T>(input),
                                                 raw<T>(rstd), raw_or_null<T>(factor));
          });
        }
        if (needed[1]) {
          const Shape flat{rows.outer, rows.n};
          const Tensor z = mul(reshape(input, flat), unsqueeze(rstd, 1));
          dweight = sum(mul(reshape(gradient, flat), z), 0);
        }
        return {dx, dweight};
      });
}

}  // namespace regrad

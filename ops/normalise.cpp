// layer_norm: xhat = (x - mean) rstd,  y = xhat weight + bias,  over the last dimension.
//   with u = g weight:  dx = rstd (u - mean(u) - xhat mean(u xhat)),  dweight = sum g xhat,
//   dbias = sum g   (Ba, Kiros, Hinton: "Layer normalization", 2016). One pass gives all three.
#include "ops/dispatch.h"
#include "ops/ops.h"

namespace regrad {
namespace {

template <class T>
const T* data_or_null(const Tensor& x) {
  return x.defined() ? raw<T>(x) : nullptr;
}

template <class T>
T* raw_or_null(const Tensor& x) {
  return x.defined() ? raw<T>(x) : nullptr;
}

Tensor normalised(const Tensor& x, double eps) {
  const Tensor centred = sub(x, mean(x, -1, true));
  return mul(centred, rsqrt(add(mean(square(centred), -1, true), eps)));
}

// The same formulas out of recorded ops, for derivatives of the derivative.
std::vector<Tensor> composed_backward(const Tensor& g, const Tensor& x, const Tensor& weight,
                                      double eps) {
  const Tensor xhat = normalised(x, eps);
  const Tensor centred = sub(x, mean(x, -1, true));
  const Tensor rstd = rsqrt(add(mean(square(centred), -1, true), eps));
  const Tensor u = weight.defined() ? mul(g, weight) : g;
  const Tensor dx =
      mul(rstd, sub(sub(u, mean(u, -1, true)), mul(xhat, mean(mul(u, xhat), -1, true))));
  const int64_t n = x.shape().back();
  const Shape rows{n == 0 ? 0 : x.numel() / n, n};
  return {dx, sum(reshape(mul(g, xhat), rows), 0), sum(reshape(g, rows), 0)};
}

}  // namespace

Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps) {
  check(x.rank() >= 1, "layer_norm: needs a dimension to normalise over, the input has none");
  const int64_t n = x.shape().back();
  for (const Tensor* one : {&weight, &bias}) {
    if (!one->defined()) continue;
    check(one->shape() == Shape{n}, "layer_norm: input {} has {} features, {} does not",
          x.shape(), n, called(*one));
    same_dtype("layer_norm", x, *one);
  }
  const Rows rows{n == 0 ? 0 : x.numel() / n, n, 1};
  Tensor from, scale, shift;
  {
    const NoGrad guard;
    from = x.contiguous();
    scale = weight.defined() ? weight.contiguous() : weight;
    shift = bias.defined() ? bias.contiguous() : bias;
  }
  Tensor y = empty(x.shape(), x.dtype(), x.device());
  const Tensor mean = empty({rows.outer}, x.dtype(), x.device());
  const Tensor rstd = empty({rows.outer}, x.dtype(), x.device());
  for_floats("layer_norm", x, [&]<class T>() {
    kernels<T>(x).rows.layer_norm(rows, raw<T>(y), raw<T>(mean), raw<T>(rstd), raw<T>(from),
                             data_or_null<T>(scale), data_or_null<T>(shift), static_cast<T>(eps));
  });
  return record(
      "layer_norm", std::move(y), {x, weight, bias},
      [x, weight, mean, rstd, rows, eps](const Tensor& g, Needed needed) -> std::vector<Tensor> {
        if (GradMode::enabled()) return composed_backward(g, x, weight, eps);
        const Tensor plain = x.contiguous(), gradient = g.contiguous();
        const Tensor factor = weight.defined() ? weight.contiguous() : weight;
        const Tensor dx = needed[0] ? empty(x.shape(), x.dtype(), x.device()) : Tensor();
        const Tensor dweight = needed[1] ? empty({rows.n}, x.dtype(), x.device()) : Tensor();
        const Tensor dbias = needed[2] ? empty({rows.n}, x.dtype(), x.device()) : Tensor();
        for_floats("layer_norm", x, [&]<class T>() {
          kernels<T>(x).rows.layer_norm_backward(rows, raw_or_null<T>(dx), raw_or_null<T>(dweight),
                                            raw_or_null<T>(dbias), raw<T>(gradient),
                                            raw<T>(plain), raw<T>(mean), raw<T>(rstd),
                                            data_or_null<T>(factor));
        });
        return {dx, dweight, dbias};
      });
}

}  // namespace regrad

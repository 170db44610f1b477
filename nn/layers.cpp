#include "nn/layers.h"

#include <cmath>

#include "autograd/check.h"
#include "ops/ops.h"

namespace regrad::nn {
namespace {

Tensor parameter(Tensor x) { return x.set_requires_grad(true); }

}  // namespace

Linear::Linear(int64_t in, int64_t out, LinearOptions options, Generator& generator) {
  check(in >= 0 && out >= 0, "Linear: sizes must be 0 or more, not {} and {}", in, out);
  const double limit = in > 0 ? 1 / std::sqrt(static_cast<double>(in)) : 0;
  weight = parameter(init::uniform_(zeros({out, in}), -limit, limit, generator));
  if (options.bias) bias = parameter(init::uniform_(zeros({out}), -limit, limit, generator));
}

Tensor Linear::operator()(const Tensor& x) const { return linear(x, weight, bias); }

Embedding::Embedding(int64_t count, int64_t dim, EmbeddingOptions options, Generator& generator)
    : padding_idx(options.padding_idx) {
  check(count >= 0 && dim >= 0, "Embedding: sizes must be 0 or more, not {} and {}", count, dim);
  check(padding_idx >= -1 && padding_idx < count,
        "Embedding: padding_idx {} must be -1 (none) or below the count, {}", padding_idx, count);
  weight = init::normal_(zeros({count, dim}), 0, 1, generator);
  if (padding_idx >= 0) select(weight, 0, padding_idx).fill_(0);
  weight.set_requires_grad(true);
}

Tensor Embedding::operator()(const Tensor& index) const {
  return embedding(weight, index, padding_idx);
}

LayerNorm::LayerNorm(int64_t dim, LayerNormOptions options)
    : weight(parameter(ones({dim}))), bias(parameter(zeros({dim}))), eps(options.eps) {}

Tensor LayerNorm::operator()(const Tensor& x) const { return layer_norm(x, weight, bias, eps); }

Dropout::Dropout(double chance) : Dropout(chance, default_generator()) {}

Dropout::Dropout(double chance, Generator& seed) : p(chance), generator(fork(seed)) {
  check(p >= 0 && p <= 1, "Dropout: the chance must be in [0, 1], not {}", p);
}

Tensor Dropout::operator()(const Tensor& x) const {
  return training && p > 0 ? dropout(x, p, generator) : x;
}

Dropout2d::Dropout2d(double chance) : Dropout2d(chance, default_generator()) {}

Dropout2d::Dropout2d(double chance, Generator& seed) : p(chance), generator(fork(seed)) {
  check(p >= 0 && p <= 1, "Dropout2d: the chance must be in [0, 1], not {}", p);
}

Tensor Dropout2d::operator()(const Tensor& x) const {
  check(x.rank() >= 2, "Dropout2d: takes [n, c, ..], not {}", x.shape());
  if (!training || p == 0) return x;
  Shape channels = x.shape();
  for (int64_t d = 2; d < x.rank(); ++d) channels[d] = 1;
  return mul(x, dropout(ones(channels, {.dtype = x.dtype(), .device = x.device()}), p, generator));
}

Tensor ReLU::operator()(const Tensor& x) const { return relu(x); }
Tensor GELU::operator()(const Tensor& x) const { return gelu(x); }
Tensor Tanh::operator()(const Tensor& x) const { return tanh(x); }
Tensor Sigmoid::operator()(const Tensor& x) const { return sigmoid(x); }

Tensor SiLU::operator()(const Tensor& x) const { return silu(x); }
Tensor LeakyReLU::operator()(const Tensor& x) const { return where(x > 0, x, mul(x, slope)); }
Tensor Softmax::operator()(const Tensor& x) const { return softmax(x, dim); }
Tensor Flatten::operator()(const Tensor& x) const { return flatten(x, start, end); }

Tensor Sequential::operator()(const Tensor& x) const {
  Tensor y = x;
  for (const Step& step : steps_) y = step.held->call(y);
  return y;
}

}  // namespace regrad::nn

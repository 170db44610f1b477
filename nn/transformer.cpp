#include "nn/transformer.h"

#include <cmath>

#include "autograd/check.h"
#include "autograd/names.h"
#include "ops/ops.h"

namespace regrad::nn {
namespace {

// One residual block, x + f(x), with its layer norm after it, or before f.
template <class Function>
Tensor residual(const Tensor& x, const LayerNorm& norm, bool norm_first, const Function& f) {
  return norm_first ? x + f(norm(x)) : norm(x + f(x));
}

template <class Layer>
Tensor feed_forward(const Layer& layer, const Tensor& x) {
  const Tensor inner = layer.linear1(x);
  return layer.linear2(layer.dropout(layer.gelu ? gelu(inner) : relu(inner)));
}

}  // namespace

TransformerEncoderLayer::TransformerEncoderLayer(int64_t dim, int64_t heads,
                                                 TransformerOptions options, Generator& generator)
    : self_attn(dim, heads, {.dropout = options.dropout}, generator),
      linear1(dim, options.feedforward, {}, generator),
      linear2(options.feedforward, dim, {}, generator),
      norm1(dim, {.eps = options.eps}),
      norm2(dim, {.eps = options.eps}),
      dropout(options.dropout, generator),
      dropout1(options.dropout, generator),
      dropout2(options.dropout, generator),
      norm_first(options.norm_first),
      gelu(options.gelu) {}

Tensor TransformerEncoderLayer::operator()(const Tensor& x,
                                           const MultiheadAttentionInput& self) const {
  const Tensor attended = residual(x, norm1, norm_first, [&](const Tensor& y) {
    return dropout1(self_attn(y, y, y, self).output);
  });
  return residual(attended, norm2, norm_first,
                  [&](const Tensor& y) { return dropout2(feed_forward(*this, y)); });
}

TransformerDecoderLayer::TransformerDecoderLayer(int64_t dim, int64_t heads,
                                                 TransformerOptions options, Generator& generator)
    : self_attn(dim, heads, {.dropout = options.dropout}, generator),
      multihead_attn(dim, heads, {.dropout = options.dropout}, generator),
      linear1(dim, options.feedforward, {}, generator),
      linear2(options.feedforward, dim, {}, generator),
      norm1(dim, {.eps = options.eps}),
      norm2(dim, {.eps = options.eps}),
      norm3(dim, {.eps = options.eps}),
      dropout(options.dropout, generator),
      dropout1(options.dropout, generator),
      dropout2(options.dropout, generator),
      dropout3(options.dropout, generator),
      norm_first(options.norm_first),
      gelu(options.gelu) {}

Tensor TransformerDecoderLayer::operator()(const Tensor& x, const Tensor& memory,
                                           const MultiheadAttentionInput& self,
                                           const MultiheadAttentionInput& cross) const {
  const Tensor attended = residual(x, norm1, norm_first, [&](const Tensor& y) {
    return dropout1(self_attn(y, y, y, self).output);
  });
  const Tensor crossed = residual(attended, norm2, norm_first, [&](const Tensor& y) {
    return dropout2(multihead_attn(y, memory, memory, cross).output);
  });
  return residual(crossed, norm3, norm_first,
                  [&](const Tensor& y) { return dropout3(feed_forward(*this, y)); });
}

TransformerDecoderOutput TransformerDecoderLayer::advance(
    const Tensor& x, KeyValue& past, const KeyValue& memory,
    const MultiheadAttentionInput& cross) const {
  const bool is_first = !past.keys.defined();
  check(is_first || x.size(1) == 1,
        "TransformerDecoderLayer: after the first call, positions come one by one, not {}",
        x.size(1));
  const Tensor attended = residual(x, norm1, norm_first, [&](const Tensor& y) {
    const KeyValue now = self_attn.prepare(y, y);
    past = is_first
               ? now
               : KeyValue{concat({past.keys, now.keys}, 2), concat({past.values, now.values}, 2)};
    return dropout1(self_attn.attend(y, past, {.causal = is_first}).output);
  });
  Tensor weights;
  const Tensor crossed = residual(attended, norm2, norm_first, [&](const Tensor& y) {
    const MultiheadAttentionOutput attention = multihead_attn.attend(y, memory, cross);
    weights = attention.weights;
    return dropout2(attention.output);
  });
  return {residual(crossed, norm3, norm_first,
                   [&](const Tensor& y) { return dropout3(feed_forward(*this, y)); }),
          weights};
}

Tensor sinusoidal_positions(int64_t length, int64_t dim, TensorOptions options, int64_t first) {
  check(length >= 0 && dim >= 0, "sinusoidal_positions: sizes must be 0 or more, not {} and {}",
        length, dim);
  Tensor positions = empty({length, dim}, float64, cpu);
  double* values = positions.mutable_data<double>();
  for (int64_t t = 0; t < length; ++t) {
    for (int64_t i = 0; i < dim; ++i) {
      const double share = static_cast<double>(i - i % 2) / static_cast<double>(dim);
      const double angle =
          (static_cast<double>(first) + static_cast<double>(t)) / std::pow(10000.0, share);
      values[t * dim + i] = i % 2 == 0 ? std::sin(angle) : std::cos(angle);
    }
  }
  positions = positions.to(options.dtype.value_or(float32)).to(options.device);
  return positions.set_requires_grad(options.requires_grad);
}

PositionalEncoding::PositionalEncoding(double chance, Generator& generator)
    : dropout(chance, generator) {}

Tensor PositionalEncoding::operator()(const Tensor& x, int64_t first) const {
  check(x.rank() >= 2, "PositionalEncoding: takes [.., time, dim], not {}", shape_text(x));
  return dropout(x + sinusoidal_positions(x.size(-2), x.size(-1),
                                          {.dtype = x.dtype(), .device = x.device()}, first));
}

LearnedPositionalEncoding::LearnedPositionalEncoding(int64_t max_length, int64_t dim, double chance,
                                                     Generator& generator)
    : dropout(chance, generator) {
  check(max_length > 0 && dim > 0,
        "LearnedPositionalEncoding: sizes must be above 0, not {} positions of {}", max_length,
        dim);
  weight = init::normal_(zeros({max_length, dim}), 0, 0.02, generator).set_requires_grad(true);
}

Tensor LearnedPositionalEncoding::operator()(const Tensor& x, int64_t first) const {
  check(x.rank() >= 2 && x.size(-1) == weight.size(1),
        "LearnedPositionalEncoding: takes [.., time, {}], not {}", weight.size(1), shape_text(x));
  check(first >= 0 && first <= weight.size(0) - x.size(-2),
        "LearnedPositionalEncoding: positions {} to {} were asked for; there are {}", first,
        static_cast<double>(first) + static_cast<double>(x.size(-2) - 1), weight.size(0));
  return dropout(x + narrow(weight, 0, first, x.size(-2)));
}

}  // namespace regrad::nn

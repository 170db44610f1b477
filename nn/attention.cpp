#include "nn/attention.h"

#include <cmath>

#include "autograd/check.h"
#include "autograd/names.h"
#include "ops/ops.h"

namespace regrad::nn {

Attention::Attention(int64_t hidden_size, Generator& generator)
    : linear(hidden_size, 1, {}, generator) {}

AttentionOutput Attention::operator()(const Tensor& hidden, const Tensor& mask) const {
  check(hidden.rank() == 3, "Attention: hidden must be [batch, time, hidden], not {}",
        shape_text(hidden));
  if (!mask.defined()) {
    const Tensor scores = linear(hidden);
    return {softmax(scores, 1), scores};
  }
  check(mask.dtype() == bool_ && mask.shape() == Shape{hidden.size(0), hidden.size(1)},
        "Attention: the mask must be bool [{}, {}] (true = may attend), not {} {}", hidden.size(0),
        hidden.size(1), name(mask.dtype()), shape_text(mask));
  const Tensor allowed = unsqueeze(mask, 2), scores = linear(where(allowed, hidden, 0.0));
  return {masked_softmax(scores, allowed, 1), scores};
}

namespace detail {

Tensor masked_rows(const Tensor& hidden, const Tensor& mask) {
  check(hidden.rank() == 2 || hidden.rank() == 3,
        "self_attention: h must be [batch, time, hidden] or [time, hidden], not {}",
        shape_text(hidden));
  const Tensor h = hidden.rank() == 2 ? unsqueeze(hidden, 0) : hidden;
  if (!mask.defined()) return h;
  const int64_t batch = h.size(0), steps = h.size(1);
  const Tensor allowed = hidden.rank() == 2 ? unsqueeze(mask, 0) : mask;
  check(allowed.dtype() == bool_ && (allowed.shape() == Shape{batch, steps} ||
                                     allowed.shape() == Shape{batch, steps, steps}),
        "self_attention: for h {} the mask must be bool (true = may attend), time or time by "
        "time for each sequence, not {} {}",
        shape_text(hidden), name(mask.dtype()), shape_text(mask));
  if (allowed.rank() == 2) return where(unsqueeze(allowed, 2), h, 0.0);
  const Tensor pairs = allowed.to(int64);
  return where(unsqueeze(sum(pairs, 1) + sum(pairs, 2) > 0.0, 2), h, 0.0);
}

SelfAttentionOutput attend(const Tensor& h, const Tensor& scores, const Tensor& mask,
                           bool unbatched) {
  Tensor weights;
  if (mask.defined()) {
    Tensor allowed = unbatched ? unsqueeze(mask, 0) : mask;
    if (allowed.rank() == 2) allowed = unsqueeze(allowed, 1) & unsqueeze(allowed, 2);
    weights = masked_softmax(scores, allowed, 2);
  } else {
    weights = softmax(scores, 2);
  }
  const Tensor outputs = bmm(weights, h);
  const Tensor summary = sum(outputs, 1);
  if (!unbatched) return {weights, outputs, summary};
  return {squeeze(weights, 0), squeeze(outputs, 0), squeeze(summary, 0)};
}

}  // namespace detail

SelfAttentionOutput self_attention(const Tensor& h, const ScoreFunction& score,
                                   const Tensor& mask) {
  return std::visit([&](const auto& chosen) { return self_attention(h, chosen, mask); }, score);
}

Tensor attention_variance_loss(const Tensor& weights, const Tensor& h, const Tensor& outputs) {
  check(weights.rank() == h.rank() && h.rank() == outputs.rank() && h.rank() >= 2 &&
            weights.size(-1) == h.size(-2) && weights.size(-2) == outputs.size(-2),
        "attention_variance_loss: takes weights [.., m, n], h [.., n, hidden] and outputs "
        "[.., m, hidden], not {}, {} and {}",
        shape_text(weights), shape_text(h), shape_text(outputs));
  const Tensor distances = squared_distance(outputs, h);
  const Tensor masked = (weights == 0.0) & (distances - distances != 0.0);  // 0 times NaN
  return sum(where(masked, 0.0, weights * distances));
}

namespace {

// [B, T, heads d] -> [B, heads, T, d]
Tensor split_heads(const Tensor& x, int64_t heads) {
  return transpose(reshape(x, {x.size(0), x.size(1), heads, x.size(2) / heads}), 1, 2);
}

// Which queries may attend to which keys, [B, heads, Tq, Tk], without causality; undefined: all.
Tensor combined_mask(const MultiheadAttentionInput& options) {
  Tensor allowed = options.mask;
  if (allowed.defined()) {
    check(allowed.dtype() == bool_,
          "MultiheadAttention: the mask must be bool (true = may attend), not {}",
          name(allowed.dtype()));
    if (allowed.rank() == 3) allowed = unsqueeze(allowed, 1);
  }
  if (!options.key_mask.defined()) return allowed;
  check(options.key_mask.dtype() == bool_ && options.key_mask.rank() == 2,
        "MultiheadAttention: key_mask must be bool [batch, keys], not {} {}",
        name(options.key_mask.dtype()), shape_text(options.key_mask));
  const Tensor keys = unsqueeze(unsqueeze(options.key_mask, 1), 1);
  return allowed.defined() ? allowed & keys : keys;
}

void check_sequence(const MultiheadAttention& attention, const Tensor& x) {
  const int64_t dim = attention.in_proj_weight.size(1);
  check(x.rank() == 3 && x.size(2) == dim, "MultiheadAttention: takes [batch, time, {}], not {}",
        dim, shape_text(x));
}

// The projections to queries (0), keys (1) and values (2): `count` of them, from `first` on, side
// by side.
Tensor project(const MultiheadAttention& attention, const Tensor& x, int64_t first, int64_t count) {
  check_sequence(attention, x);
  const Tensor &weight = attention.in_proj_weight, &bias = attention.in_proj_bias;
  const int64_t dim = weight.size(1);
  return linear(x, narrow(weight, 0, first * dim, count * dim),
                bias.defined() ? narrow(bias, 0, first * dim, count * dim) : Tensor());
}

// q, k and v as split_heads() gives them.
MultiheadAttentionOutput attend_heads(const MultiheadAttention& attention, const Tensor& q,
                                      const KeyValue& prepared,
                                      const MultiheadAttentionInput& options) {
  const Tensor &k = prepared.keys, &v = prepared.values;
  const Dropout& dropout = attention.dropout;
  const auto join = [&](const Tensor& x) {
    return attention.out_proj(flatten(transpose(x, 1, 2), 2));
  };
  Tensor allowed = combined_mask(options);
  if (!options.need_weights && !(dropout.training && dropout.p > 0)) {
    return {join(scaled_dot_product_attention(q, k, v, allowed, {.causal = options.causal})), {}};
  }
  const Tensor scores = matmul(q * (1 / std::sqrt(static_cast<double>(q.size(3)))), transpose(k));
  if (options.causal) {
    const Tensor causal = tril(ones({q.size(2), k.size(2)}, {.device = q.device()})).to(bool_);
    allowed = allowed.defined() ? allowed & causal : causal;
  }
  const Tensor weights =
      allowed.defined() ? masked_softmax(scores, allowed, -1) : softmax(scores, -1);
  return {join(matmul(dropout(weights), v)), options.need_weights ? weights : Tensor()};
}

}  // namespace

MultiheadAttention::MultiheadAttention(int64_t dim, int64_t head_count,
                                       MultiheadAttentionOptions options, Generator& generator)
    : out_proj(dim, dim, {.bias = options.bias}, generator),
      dropout(options.dropout, generator),
      heads(head_count) {
  check(dim > 0 && heads > 0 && dim % heads == 0,
        "MultiheadAttention: {} features cannot be shared out among {} heads", dim, heads);
  in_proj_weight = init::xavier_uniform_(zeros({checked_mul(3, dim), dim}), 1, generator);
  in_proj_weight.set_requires_grad(true);
  if (options.bias) {
    in_proj_bias = zeros({checked_mul(3, dim)}, {.requires_grad = true});
    init::zeros_(out_proj.bias);
  }
}

// Keys that do not exist become zeros: the weights' gradients multiply them by 0, and NaN would
// stay.
MultiheadAttentionOutput MultiheadAttention::operator()(
    const Tensor& query, const Tensor& key, const Tensor& value,
    const MultiheadAttentionInput& options) const {
  if (options.key_mask.defined() && key.rank() == 3) {
    MultiheadAttentionInput masked = options;
    masked.mask = combined_mask(options), masked.key_mask = {};
    const auto existing = [&](const Tensor& x) {
      return where(unsqueeze(options.key_mask, 2), x, 0.0);
    };
    const Tensor keys = existing(key);
    const Tensor values = value.shares_body(key) ? keys : existing(value);
    return (*this)(query.shares_body(key) ? keys : query, keys, values, masked);
  }
  if (!query.shares_body(key) || !key.shares_body(value)) {
    check_sequence(*this, query);
    return attend(query, prepare(key, value), options);
  }
  const std::vector<Tensor> projected = split(project(*this, query, 0, 3), query.size(2), 2);
  return attend_heads(*this, split_heads(projected[0], heads),
                      {split_heads(projected[1], heads), split_heads(projected[2], heads)},
                      options);
}

KeyValue MultiheadAttention::prepare(const Tensor& key, const Tensor& value) const {
  if (!key.shares_body(value)) {
    return {split_heads(project(*this, key, 1, 1), heads),
            split_heads(project(*this, value, 2, 1), heads)};
  }
  const std::vector<Tensor> projected = split(project(*this, key, 1, 2), key.size(2), 2);
  return {split_heads(projected[0], heads), split_heads(projected[1], heads)};
}

MultiheadAttentionOutput MultiheadAttention::attend(const Tensor& query, const KeyValue& prepared,
                                                    const MultiheadAttentionInput& options) const {
  return attend_heads(*this, split_heads(project(*this, query, 0, 1), heads), prepared, options);
}

}  // namespace regrad::nn

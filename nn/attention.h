// Attention: the tutorial's layer and equations, with any score function, and multi-head attention.
// Masks are bool, true = may attend. Where there is nothing to attend to, weights are 0, never NaN.
#pragma once

#include "nn/score.h"

namespace regrad::nn {

struct AttentionOutput {
  Tensor weights;  // [B, T, 1], each sequence's sum to 1
  Tensor scores;   // [B, T, 1], before the softmax; of zeros for hidden where the mask is false
};

// The tutorial's layer: weights = softmax(linear(hidden)) along time.
// hidden [B, T, H]; mask bool [B, T]. The bias shifts all scores alike, so its gradient is 0.
struct Attention {
  Linear linear;  // [1, H]

  // Linear(hidden_size, 1).
  explicit Attention(int64_t hidden_size, Generator& generator = default_generator());
  AttentionOutput operator()(const Tensor& hidden, const Tensor& mask = {}) const;
  void visit(auto&& each) { each("linear", linear); }
};

struct SelfAttentionOutput {
  Tensor weights;  // a(i,j) [B, T, T]: how much position i takes from position j
  Tensor outputs;  // o(i) = Σ_j a(i,j) h_j  [B, T, H]
  Tensor summary;  // O = Σ_i o(i)  [B, H]
};

namespace detail {
// h [B, T, H], with zeros at the positions that the mask excludes.
Tensor masked_rows(const Tensor& hidden, const Tensor& mask);
SelfAttentionOutput attend(const Tensor& h, const Tensor& scores, const Tensor& mask,
                           bool unbatched);
}  // namespace detail

// The tutorial's equations: s(i,j) = score(h_i, h_j), a = softmax of s over j, o and O as above.
// h [B, T, H], or [T, H] for one sequence (results then lack B). mask bool [B, T]: the positions
// that exist, others neither attend nor are attended to; or [B, T, T]: what may attend to what.
template <class Score>
SelfAttentionOutput self_attention(const Tensor& h, const Score& score, const Tensor& mask = {}) {
  const Tensor batch = detail::masked_rows(h, mask);
  return detail::attend(batch, score(batch, batch), mask, h.rank() == 2);
}
SelfAttentionOutput self_attention(const Tensor& h, const ScoreFunction& score,
                                   const Tensor& mask = {});

// The tutorial's L = Σ_i Σ_j a(i,j) |h_j - o(i)|², summed over the batch; shape [].
// weights [B, T, T], h and outputs [B, T, H]; B may be left out of all three. A weight of 0 adds
// nothing, even where h is NaN.
Tensor attention_variance_loss(const Tensor& weights, const Tensor& h, const Tensor& outputs);

struct MultiheadAttentionOptions {
  double dropout = 0;  // of attention weights, in training
  bool bias = true;
};

struct MultiheadAttentionInput {
  Tensor mask = {};           // bool, broadcast to [B, heads, Tq, Tk]; [B, Tq, Tk] serves all heads
  Tensor key_mask = {};       // bool [B, Tk]: the keys that exist
  bool causal = false;        // query i attends to keys 0 .. i
  bool need_weights = false;  // give the weights too, at the cost of storing them
};

struct MultiheadAttentionOutput {
  Tensor output;   // [B, Tq, dim]
  Tensor weights;  // [B, heads, Tq, Tk]; undefined unless need_weights
};

// Keys and values as the heads read them: [B, heads, T, dim / heads].
struct KeyValue {
  Tensor keys, values;
};

// concat over heads of softmax(q kᵀ / sqrt(d)) v, d = dim / heads, then out_proj
// (Vaswani et al., 2017, section 3.2.2). query [B, Tq, dim], key and value [B, Tk, dim].
struct MultiheadAttention {
  Tensor in_proj_weight;  // [3 dim, dim]: queries, keys, values
  Tensor in_proj_bias;    // [3 dim]
  Linear out_proj;
  Dropout dropout;
  int64_t heads;

  // dim features, head_count of which divides; first values are xavier_uniform_, biases 0.
  MultiheadAttention(int64_t dim, int64_t head_count, MultiheadAttentionOptions options = {},
                     Generator& generator = default_generator());
  MultiheadAttentionOutput operator()(const Tensor& query, const Tensor& key, const Tensor& value,
                                      const MultiheadAttentionInput& options = {}) const;
  // A call in two halves, for queries that come one after the other: this projects keys and values,
  KeyValue prepare(const Tensor& key, const Tensor& value) const;
  // and this attends to them, each time.
  MultiheadAttentionOutput attend(const Tensor& query, const KeyValue& prepared,
                                  const MultiheadAttentionInput& options = {}) const;
  void visit(auto&& each) {
    each("in_proj_weight", in_proj_weight);
    each("in_proj_bias", in_proj_bias);
    each("out_proj", out_proj);
    each("dropout", dropout);
  }
};

}  // namespace regrad::nn

// The layers of "Attention is all you need" (Vaswani et al., 2017), under PyTorch's names.
// Masks are bool, true = may attend. All sequences are [B, T, dim].
#pragma once

#include "nn/attention.h"

namespace regrad::nn {

struct TransformerOptions {
  int64_t feedforward = 2048;
  double dropout = 0.1;
  bool norm_first = false;  // normalise what goes into each block, not what comes out
  bool gelu = false;        // in place of ReLU
  double eps = 1e-5;        // of the layer norms
};

// x + self_attn(x), then x + linear2(f(linear1(x))), each followed (or preceded) by a layer norm.
struct TransformerEncoderLayer {
  MultiheadAttention self_attn;
  Linear linear1, linear2;
  LayerNorm norm1, norm2;
  Dropout dropout, dropout1, dropout2;
  bool norm_first, gelu;

  // dim features in that many heads, which must divide them.
  TransformerEncoderLayer(int64_t dim, int64_t heads, TransformerOptions options = {},
                          Generator& generator = default_generator());
  Tensor operator()(const Tensor& x, const MultiheadAttentionInput& self = {}) const;
  void visit(auto&& each) {
    each("self_attn", self_attn);
    each("linear1", linear1);
    each("linear2", linear2);
    each("norm1", norm1);
    each("norm2", norm2);
    each("dropout", dropout);
    each("dropout1", dropout1);
    each("dropout2", dropout2);
  }
};

struct TransformerDecoderOutput {
  Tensor output;   // [B, T, dim]
  Tensor weights;  // of the attention to the memory: [B, heads, T, S]
};

// As above, with attention to `memory` (what an encoder gave) between the two blocks.
struct TransformerDecoderLayer {
  MultiheadAttention self_attn, multihead_attn;
  Linear linear1, linear2;
  LayerNorm norm1, norm2, norm3;
  Dropout dropout, dropout1, dropout2, dropout3;
  bool norm_first, gelu;

  // dim features in that many heads, which must divide them.
  TransformerDecoderLayer(int64_t dim, int64_t heads, TransformerOptions options = {},
                          Generator& generator = default_generator());
  // `self` is causal by default: a target position sees itself and those before it.
  Tensor operator()(const Tensor& x, const Tensor& memory,
                    const MultiheadAttentionInput& self = {.causal = true},
                    const MultiheadAttentionInput& cross = {}) const;
  // The same for positions that follow those in `past`, a cache to which they are added: either all
  // of a sequence (past is empty then), or one more. memory: as multihead_attn.prepare() gives it.
  TransformerDecoderOutput advance(const Tensor& x, KeyValue& past, const KeyValue& memory,
                                   const MultiheadAttentionInput& cross = {}) const;
  void visit(auto&& each) {
    each("self_attn", self_attn);
    each("multihead_attn", multihead_attn);
    each("linear1", linear1);
    each("linear2", linear2);
    each("norm1", norm1);
    each("norm2", norm2);
    each("norm3", norm3);
    each("dropout", dropout);
    each("dropout1", dropout1);
    each("dropout2", dropout2);
    each("dropout3", dropout3);
  }
};

// p(t, 2i) = sin(t / 10000^(2i/dim)), p(t, 2i + 1) = cos(the same), for t = first, first + 1, ..:
// [length, dim] (section 3.5).
Tensor sinusoidal_positions(int64_t length, int64_t dim, TensorOptions options = {},
                            int64_t first = 0);

// dropout(x + sinusoidal_positions); x [.., T, dim] stands at first, first + 1, ..
struct PositionalEncoding {
  Dropout dropout;

  // chance: of dropout.
  explicit PositionalEncoding(double chance = 0.1, Generator& generator = default_generator());
  Tensor operator()(const Tensor& x, int64_t first = 0) const;
  void visit(auto&& each) { each("dropout", dropout); }
};

// dropout(x + weight[t]): a learnt row for each of max_length positions, N(0, 0.02²) at first.
struct LearnedPositionalEncoding {
  Tensor weight;  // [max_length, dim]
  Dropout dropout;

  // An Error unless both sizes are above 0; a call with positions from max_length on is one.
  LearnedPositionalEncoding(int64_t max_length, int64_t dim, double chance = 0.1,
                            Generator& generator = default_generator());
  Tensor operator()(const Tensor& x, int64_t first = 0) const;
  void visit(auto&& each) {
    each("weight", weight);
    each("dropout", dropout);
  }
};

}  // namespace regrad::nn

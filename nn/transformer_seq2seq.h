// The Transformer whole (Vaswani et al., 2017): the two stacks under the names of PyTorch's
// nn.Transformer, and the model from token ids to logits that is made of them.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "nn/seq2seq.h"
#include "nn/transformer.h"

namespace regrad::nn {

// `count` layers one after the other, then a layer norm: [B, S, dim] -> [B, S, dim].
struct TransformerEncoder {
  std::vector<TransformerEncoderLayer> layers;
  LayerNorm norm;  // of what the last layer gives

  // `heads` must divide dim; count is 0 or more.
  TransformerEncoder(int64_t dim, int64_t heads, int64_t count, const TransformerOptions& options,
                     Generator& generator = default_generator());
  Tensor operator()(const Tensor& x, const MultiheadAttentionInput& self = {}) const;
  void visit(auto&& each) {
    each("layers", layers);
    each("norm", norm);
  }
};

// `count` layers one after the other, then a layer norm: x [B, T, dim], memory [B, S, dim] ->
// [B, T, dim].
struct TransformerDecoder {
  std::vector<TransformerDecoderLayer> layers;
  LayerNorm norm;

  // `heads` must divide dim; count is 0 or more.
  TransformerDecoder(int64_t dim, int64_t heads, int64_t count, const TransformerOptions& options,
                     Generator& generator = default_generator());
  Tensor operator()(const Tensor& x, const Tensor& memory,
                    const MultiheadAttentionInput& self = {.causal = true},
                    const MultiheadAttentionInput& cross = {}) const;

  // Each layer's keys and values of the memory, for advance().
  std::vector<KeyValue> prepare(const Tensor& memory) const;
  // TransformerDecoderLayer::advance() in each layer; past: a cache for each. weights: the last
  // layer's attention to the memory.
  TransformerDecoderOutput advance(const Tensor& x, std::vector<KeyValue>& past,
                                   const std::vector<KeyValue>& memory,
                                   const Tensor& memory_mask = {}) const;
  void visit(auto&& each) {
    each("layers", layers);
    each("norm", norm);
  }
};

// What may be attended to, in the encoder, in the decoder, and from the decoder to the encoder.
struct TransformerMasks {
  MultiheadAttentionInput source = {}, target = {.causal = true}, memory = {};
};

// PyTorch's nn.Transformer, batch first: its state_dict loads here under the same names, and the
// first values are drawn as there. source [B, S, dim], target [B, T, dim] -> [B, T, dim].
struct Transformer {
  TransformerEncoder encoder;
  TransformerDecoder decoder;

  // `heads` must divide dim.
  Transformer(int64_t dim, int64_t heads, int64_t encoder_layers, int64_t decoder_layers,
              const TransformerOptions& options = {}, Generator& generator = default_generator());
  Tensor operator()(const Tensor& source, const Tensor& target,
                    const TransformerMasks& masks = {}) const;
  void visit(auto&& each) {
    each("encoder", encoder);
    each("decoder", decoder);
  }
};

struct TransformerSeq2SeqOptions {
  int64_t dim = 256, heads = 4;
  int64_t encoder_layers = 3, decoder_layers = 3;
  int64_t feedforward = 1024;
  double dropout = 0.1;
  bool norm_first = true;          // learns without a long warm-up (Xiong et al., 2020)
  bool learned_positions = false;  // in place of sinusoidal ones
  int64_t max_length = 0;          // of source and target, for learned positions alone
  bool tie_output = false;         // the output layer's weight is the target embedding's
  bool tie_embeddings = false;     // source and target have one embedding: one vocabulary
  int64_t padding_idx = 0;         // -1: none
};

// Where the decoder stands: a cache of keys and values for each layer.
struct TransformerState {
  Tensor mask;                   // bool [B, S]; undefined when no lengths were given
  std::vector<KeyValue> memory;  // of the encoded source
  std::vector<KeyValue> past;    // of the target so far
  int64_t position = 0;

  TransformerState rows(const Tensor& index) const;  // row i of the result is row index[i]
};

struct TransformerStep {
  Tensor logits;   // [B, V]
  Tensor weights;  // [B, S], the mean over heads
  TransformerState state;
};

// logits = output(decoder(target, encoder(source))), of embeddings times sqrt(dim) plus positions.
// Called as Seq2Seq is, with the same shapes, and decoded in the same way (nn/decode.h).
// weights: what the last layer attends to in the source, the mean over its heads.
// source int64 [B, S], lengths int64 [B]; padding never changes a result. A target's padding comes
// after its end, where no earlier position looks.
struct TransformerSeq2Seq {
  Embedding source_embedding, target_embedding;
  std::variant<PositionalEncoding, LearnedPositionalEncoding> source_positions, target_positions;
  Transformer transformer;
  Linear output;

  // For vocabularies of these sizes. An Error for options that do not fit each other.
  TransformerSeq2Seq(int64_t source_count, int64_t target_count,
                     const TransformerSeq2SeqOptions& options = {},
                     Generator& generator = default_generator());

  // Teacher forcing: target int64 [B, T] is what the decoder reads (<bos> y1 y2 ..).
  Seq2SeqOutput operator()(const Tensor& source, const Tensor& lengths, const Tensor& target) const;

  // The same step by step, as beam_search() and sample() call it: reads the source,
  TransformerState encode(const Tensor& source, const Tensor& lengths = {}) const;
  // and gives the logits after one more token, ids int64 [B].
  TransformerStep step(const TransformerState& state, const Tensor& ids) const;

  void visit(auto&& each) {
    each("source_embedding", source_embedding);
    each("target_embedding", target_embedding);
    each("source_positions", source_positions);
    each("target_positions", target_positions);
    each("transformer", transformer);
    each("output", output);
  }

 private:
  Seq2SeqOutput advance(TransformerState& state, const Tensor& target) const;
};

}  // namespace regrad::nn

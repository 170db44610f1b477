// Models from a sequence to a sequence: the tutorial's, and an encoder-decoder with attention.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "nn/attention.h"
#include "nn/decode.h"
#include "nn/recurrent.h"

namespace regrad::nn {

struct Seq2SeqModelOutput {
  Tensor outputs;               // [B, T, O]
  std::vector<Tensor> weights;  // of step t: [B, T + t, 1]
};

// The tutorial's Seq2SeqModel in the form that runs:
//   hidden = hidden_layer(relu(input_layer(x)))              [B, T, I] -> [B, T, H]
//   T times: output = output_layer(weightsᵀ hidden), and
//            hidden = hidden_layer(concat(hidden, back(output)))   grows by one position
// After the last output, hidden does not grow. mask bool [B, T]: the positions that exist.
struct Seq2SeqModel {
  Linear input_layer, hidden_layer, output_layer;
  Attention attention;
  std::optional<Linear> back;  // O -> H; none where O = H

  // I, H and O.
  Seq2SeqModel(int64_t input_size, int64_t hidden_size, int64_t output_size,
               Generator& generator = default_generator());
  Tensor operator()(const Tensor& x, const Tensor& mask = {}) const;         // the outputs
  Seq2SeqModelOutput steps(const Tensor& x, const Tensor& mask = {}) const;  // and the weights
  void visit(auto&& each) {
    each("input_layer", input_layer);
    each("hidden_layer", hidden_layer);
    each("output_layer", output_layer);
    each("attention", attention);
    each("back", back);
  }
};

struct Seq2SeqOptions {
  int64_t embedding = 128;
  int64_t hidden = 256;
  int64_t layers = 1;              // of the encoder
  bool bidirectional = true;       // the encoder
  double dropout = 0;              // of embeddings, between layers, of the output layer's input
  std::string score = "additive";  // see make_score()
  std::string cell = "gru";        // or "lstm"
  int64_t max_length = 0;          // of a source, for the score "location" alone
  int64_t padding_idx = 0;         // -1: none
  bool tie_embeddings = false;     // source and target have one embedding: one vocabulary
  int64_t readout = 0;             // the size of the output layer's input; 0: [hidden, context]
  bool input_feeding = false;      // each step reads the readout before it too; needs a readout
  bool tie_output = false;         // the output layer's weight is the target embedding's
};

// What the decoder reads and where it stands.
struct DecoderState {
  Tensor memory;  // [B, S, H]: the encoded source
  Tensor keys;    // the memory as the score function prepared it
  Tensor mask;    // bool [B, 1, S]; undefined when no lengths were given
  Tensor hidden;  // [B, H]
  Tensor cell;    // [B, H], of an LSTM
  Tensor fed;     // [B, R]: the readout of the step before, with input feeding; zeros at first

  DecoderState rows(const Tensor& index) const;  // row i of the result is row index[i]
};

struct Seq2SeqOutput {
  Tensor logits;   // [B, T, V]
  Tensor weights;  // [B, T, S]: what each output attended to
};

struct DecoderStep {
  Tensor logits;   // [B, V]
  Tensor weights;  // [B, S]
  DecoderState state;
};

// GRU (or LSTM) encoder and decoder, and attention between them with any score function (after
// Bahdanau et al., 2015). Each step: weights = softmax(score(hidden, memory)); context = weights
// memory; hidden = decoder([embedding, context], hidden); logits = output([hidden, context]). With
// a readout: logits = output(tanh(readout([hidden, context]))), and with input feeding the decoder
// reads [embedding, context, the readout before] (Luong et al., 2015). source int64 [B, S], lengths
// int64 [B]; padding never changes a result.
struct Seq2Seq {
  Embedding source_embedding, target_embedding;
  std::variant<GRU, LSTM> encoder;
  std::optional<Linear> memory;  // 2 H -> H, for an encoder of two directions
  std::optional<Linear> bridge;  // 2 H -> H: from the encoder's last states to the decoder's first
  std::optional<Linear> cell_bridge;  // the same for the cells of an LSTM
  ScoreFunction score;
  std::variant<GRUCell, LSTMCell> decoder;
  std::optional<Linear> readout;  // 2 H -> R
  bool input_feeding;
  Linear output;
  Dropout dropout;

  // For vocabularies of these sizes. An Error for options that do not fit each other.
  Seq2Seq(int64_t source_count, int64_t target_count, const Seq2SeqOptions& options = {},
          Generator& generator = default_generator());

  // Teacher forcing: target int64 [B, T] is what the decoder reads (<bos> y1 y2 ..).
  Seq2SeqOutput operator()(const Tensor& source, const Tensor& lengths, const Tensor& target) const;

  // The same step by step, as beam_search() and sample() call it: reads the source,
  DecoderState encode(const Tensor& source, const Tensor& lengths = {}) const;
  // and gives the logits after one more token, ids int64 [B].
  DecoderStep step(const DecoderState& state, const Tensor& ids) const;

  void visit(auto&& each) {
    each("source_embedding", source_embedding);
    each("target_embedding", target_embedding);
    each("encoder", encoder);
    each("memory", memory);
    each("bridge", bridge);
    each("cell_bridge", cell_bridge);
    each("score", score);
    each("decoder", decoder);
    each("readout", readout);
    each("output", output);
    each("dropout", dropout);
  }

 private:
  struct Features {
    Tensor features;  // what logits() takes: [B, 2 H], or with input feeding the readout [B, R]
    Tensor weights;
  };
  Features advance(DecoderState& state, const Tensor& embedded) const;
  Tensor logits(const Tensor& features) const;
};

}  // namespace regrad::nn

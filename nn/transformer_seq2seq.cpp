#include "nn/transformer_seq2seq.h"

#include <cmath>

#include "autograd/check.h"
#include "autograd/names.h"
#include "ops/ops.h"

namespace regrad::nn {
namespace {

template <class Layer>
std::vector<Layer> make_layers(int64_t dim, int64_t heads, int64_t count,
                               const TransformerOptions& options, Generator& generator) {
  check(count >= 0, "Transformer: there must be 0 layers or more, not {}", count);
  std::vector<Layer> layers;
  for (int64_t i = 0; i < count; ++i) layers.emplace_back(dim, heads, options, generator);
  return layers;
}

// N(0, 1/dim), so that embeddings times sqrt(dim), and logits of a tied output, are of size 1.
Embedding make_embedding(int64_t count, int64_t dim, int64_t padding_idx, Generator& generator) {
  Embedding embedding(count, dim, {.padding_idx = padding_idx}, generator);
  const NoGrad guard;
  embedding.weight.copy_(embedding.weight * (1 / std::sqrt(static_cast<double>(dim))));
  return embedding;
}

std::variant<PositionalEncoding, LearnedPositionalEncoding> make_positions(
    const TransformerSeq2SeqOptions& options, Generator& generator) {
  if (!options.learned_positions) return PositionalEncoding(options.dropout, generator);
  return LearnedPositionalEncoding(options.max_length, options.dim, options.dropout, generator);
}

Tensor embed(const Embedding& embedding,
             const std::variant<PositionalEncoding, LearnedPositionalEncoding>& positions,
             const Tensor& ids, int64_t first) {
  const double scale = std::sqrt(static_cast<double>(embedding.weight.size(1)));
  const Tensor embedded = embedding(ids) * scale;
  return std::visit([&](const auto& encoding) { return encoding(embedded, first); }, positions);
}

void pick_rows(std::vector<KeyValue>& all, const Tensor& index) {
  for (KeyValue& one : all) {
    one = {index_select(one.keys, 0, index), index_select(one.values, 0, index)};
  }
}

}  // namespace

TransformerEncoder::TransformerEncoder(int64_t dim, int64_t heads, int64_t count,
                                       const TransformerOptions& options, Generator& generator)
    : layers(make_layers<TransformerEncoderLayer>(dim, heads, count, options, generator)),
      norm(dim, {.eps = options.eps}) {}

Tensor TransformerEncoder::operator()(const Tensor& x, const MultiheadAttentionInput& self) const {
  Tensor y = x;
  for (const TransformerEncoderLayer& layer : layers) y = layer(y, self);
  return norm(y);
}

TransformerDecoder::TransformerDecoder(int64_t dim, int64_t heads, int64_t count,
                                       const TransformerOptions& options, Generator& generator)
    : layers(make_layers<TransformerDecoderLayer>(dim, heads, count, options, generator)),
      norm(dim, {.eps = options.eps}) {}

Tensor TransformerDecoder::operator()(const Tensor& x, const Tensor& memory,
                                      const MultiheadAttentionInput& self,
                                      const MultiheadAttentionInput& cross) const {
  Tensor y = x;
  for (const TransformerDecoderLayer& layer : layers) y = layer(y, memory, self, cross);
  return norm(y);
}

std::vector<KeyValue> TransformerDecoder::prepare(const Tensor& memory) const {
  std::vector<KeyValue> prepared;
  for (const TransformerDecoderLayer& layer : layers) {
    prepared.push_back(layer.multihead_attn.prepare(memory, memory));
  }
  return prepared;
}

TransformerDecoderOutput TransformerDecoder::advance(const Tensor& x, std::vector<KeyValue>& past,
                                                     const std::vector<KeyValue>& memory,
                                                     const Tensor& memory_mask) const {
  check(past.size() == layers.size() && memory.size() == layers.size(),
        "TransformerDecoder: takes a cache for each of {} layers, not {} and {}", layers.size(),
        past.size(), memory.size());
  TransformerDecoderOutput result = {x, {}};
  for (size_t i = 0; i < layers.size(); ++i) {
    const bool is_last = i + 1 == layers.size();
    result = layers[i].advance(result.output, past[i], memory[i],
                               {.key_mask = memory_mask, .need_weights = is_last});
  }
  return {norm(result.output), result.weights};
}

Transformer::Transformer(int64_t dim, int64_t heads, int64_t encoder_layers, int64_t decoder_layers,
                         const TransformerOptions& options, Generator& generator)
    : encoder(dim, heads, encoder_layers, options, generator),
      decoder(dim, heads, decoder_layers, options, generator) {
  for (auto& [name, parameter] : named_parameters(*this)) {
    if (parameter.rank() > 1) init::xavier_uniform_(parameter, 1, generator);
  }
}

Tensor Transformer::operator()(const Tensor& source, const Tensor& target,
                               const TransformerMasks& masks) const {
  return decoder(target, encoder(source, masks.source), masks.target, masks.memory);
}

TransformerState TransformerState::rows(const Tensor& index) const {
  TransformerState picked = *this;
  if (mask.defined()) picked.mask = index_select(mask, 0, index);
  pick_rows(picked.memory, index);
  if (position > 0) pick_rows(picked.past, index);
  return picked;
}

TransformerSeq2Seq::TransformerSeq2Seq(int64_t source_count, int64_t target_count,
                                       const TransformerSeq2SeqOptions& options,
                                       Generator& generator)
    : source_embedding(make_embedding(source_count, options.dim, options.padding_idx, generator)),
      target_embedding(make_embedding(target_count, options.dim, options.padding_idx, generator)),
      source_positions(make_positions(options, generator)),
      target_positions(make_positions(options, generator)),
      transformer(options.dim, options.heads, options.encoder_layers, options.decoder_layers,
                  {.feedforward = options.feedforward,
                   .dropout = options.dropout,
                   .norm_first = options.norm_first},
                  generator),
      output(options.dim, target_count, {}, generator) {
  check(options.decoder_layers > 0, "TransformerSeq2Seq: the decoder must have a layer or more");
  check(!options.tie_embeddings || source_count == target_count,
        "TransformerSeq2Seq: tied embeddings need one vocabulary, not {} and {} tokens",
        source_count, target_count);
  if (options.tie_embeddings) source_embedding.weight = target_embedding.weight;
  if (options.tie_output) output.weight = target_embedding.weight;
}

TransformerState TransformerSeq2Seq::encode(const Tensor& source, const Tensor& lengths) const {
  check(source.dtype() == int64 && source.rank() == 2,
        "TransformerSeq2Seq: the source must be int64 [batch, time], not {} {}",
        name(source.dtype()), shape_text(source));
  TransformerState state;
  if (lengths.defined()) {
    check_lengths("TransformerSeq2Seq", lengths, source.size(0), source.size(1));
    state.mask = length_mask(lengths, source.size(1)).to(source.device());
  }
  const Tensor memory = transformer.encoder(embed(source_embedding, source_positions, source, 0),
                                            {.key_mask = state.mask});
  state.memory = transformer.decoder.prepare(memory);
  state.past.resize(state.memory.size());
  return state;
}

Seq2SeqOutput TransformerSeq2Seq::advance(TransformerState& state, const Tensor& target) const {
  const TransformerDecoderOutput decoded =
      transformer.decoder.advance(embed(target_embedding, target_positions, target, state.position),
                                  state.past, state.memory, state.mask);
  state.position += target.size(1);
  return {output(decoded.output), mean(decoded.weights, 1)};
}

Seq2SeqOutput TransformerSeq2Seq::operator()(const Tensor& source, const Tensor& lengths,
                                             const Tensor& target) const {
  check(target.dtype() == int64 && target.rank() == 2 && target.size(1) > 0 &&
            target.size(0) == source.size(0),
        "TransformerSeq2Seq: the target must be int64 [{}, time] with a step or more, not {} {}",
        source.size(0), name(target.dtype()), shape_text(target));
  TransformerState state = encode(source, lengths);
  return advance(state, target);
}

TransformerStep TransformerSeq2Seq::step(const TransformerState& state, const Tensor& ids) const {
  const int64_t batch = state.memory.empty() ? -1 : state.memory.front().keys.size(0);
  check(ids.dtype() == int64 && ids.shape() == Shape{batch},
        "TransformerSeq2Seq: the ids of a step must be int64 [{}], not {} {}", batch,
        name(ids.dtype()), shape_text(ids));
  TransformerState after = state;
  const Seq2SeqOutput out = advance(after, unsqueeze(ids, 1));
  return {squeeze(out.logits, 1), squeeze(out.weights, 1), std::move(after)};
}

}  // namespace regrad::nn

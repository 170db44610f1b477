#include "nn/seq2seq.h"

#include "autograd/check.h"
#include "autograd/names.h"
#include "ops/ops.h"

namespace regrad::nn {

Seq2SeqModel::Seq2SeqModel(int64_t input_size, int64_t hidden_size, int64_t output_size,
                           Generator& generator)
    : input_layer(input_size, hidden_size, {}, generator),
      hidden_layer(hidden_size, hidden_size, {}, generator),
      output_layer(hidden_size, output_size, {}, generator),
      attention(hidden_size, generator) {
  if (output_size != hidden_size)
    back.emplace(output_size, hidden_size, LinearOptions{}, generator);
}

Tensor Seq2SeqModel::operator()(const Tensor& x, const Tensor& mask) const {
  return steps(x, mask).outputs;
}

Seq2SeqModelOutput Seq2SeqModel::steps(const Tensor& x, const Tensor& mask) const {
  check(x.rank() == 3 && x.size(1) > 0,
        "Seq2SeqModel: x must be [batch, time, input] with a step or more, not {}", shape_text(x));
  Tensor allowed = mask;
  // Zeros where masked, which the weights' gradients multiply by 0: a NaN there would stay.
  const Tensor visible = mask.defined() && mask.rank() == 2 ? where(unsqueeze(mask, 2), x, 0.0) : x;
  Tensor hidden = hidden_layer(relu(input_layer(visible)));
  std::vector<Tensor> outputs, weights;
  for (int64_t t = 0; t < x.size(1); ++t) {
    weights.push_back(attention(hidden, allowed).weights);
    outputs.push_back(output_layer(bmm(transpose(weights.back()), hidden)));
    if (t + 1 == x.size(1)) break;
    const Tensor grown = back ? (*back)(outputs.back()) : outputs.back();
    hidden = hidden_layer(concat({hidden, grown}, 1));
    if (allowed.defined()) allowed = pad(allowed, {0, 1}, 1);
  }
  return {concat(outputs, 1), std::move(weights)};
}

namespace {

std::variant<GRU, LSTM> make_encoder(const Seq2SeqOptions& options, Generator& generator) {
  check(options.cell == "gru" || options.cell == "lstm",
        "Seq2Seq: there is no cell \"{}\"; there are gru and lstm", options.cell);
  const RecurrentOptions directions = {.layers = options.layers,
                                       .bidirectional = options.bidirectional,
                                       .dropout = options.layers > 1 ? options.dropout : 0};
  if (options.cell == "gru") return GRU(options.embedding, options.hidden, directions, generator);
  return LSTM(options.embedding, options.hidden, directions, generator);
}

std::variant<GRUCell, LSTMCell> make_decoder(const Seq2SeqOptions& options, Generator& generator) {
  const int64_t fed = options.input_feeding ? options.readout : 0;
  const int64_t input_size = options.embedding + options.hidden + fed;
  if (options.cell == "lstm") return LSTMCell(input_size, options.hidden, {}, generator);
  return GRUCell(input_size, options.hidden, {}, generator);
}

bool is_lstm(const std::variant<GRUCell, LSTMCell>& cell) {
  return std::holds_alternative<LSTMCell>(cell);
}

// One step of the decoder; the cell is undefined for a GRU.
LSTMState run_decoder(const std::variant<GRUCell, LSTMCell>& cell, const Tensor& input,
                      const LSTMState& state) {
  if (const LSTMCell* lstm = std::get_if<LSTMCell>(&cell)) return (*lstm)(input, state);
  return {std::get<GRUCell>(cell)(input, state.hidden), {}};
}

// hidden and, of an LSTM, cell: [L D, B, H].
LSTMOutput run_encoder(const std::variant<GRU, LSTM>& encoder, const Tensor& x,
                       const Tensor& lengths) {
  if (const LSTM* lstm = std::get_if<LSTM>(&encoder)) return (*lstm)(x, {}, lengths);
  const RecurrentOutput out = std::get<GRU>(encoder)(x, {}, lengths);
  return {out.output, out.hidden, {}};
}

// The last layer's states: [L D, B, H] -> [B, D H].
Tensor side_by_side(const Tensor& states, bool bidirectional) {
  const Tensor last = select(states, 0, -1);
  return bidirectional ? concat({select(states, 0, -2), last}, 1) : last;
}

void check_options(const Seq2SeqOptions& options, int64_t source_count, int64_t target_count) {
  check(!options.tie_embeddings || source_count == target_count,
        "Seq2Seq: tied embeddings need one vocabulary, not {} and {} tokens", source_count,
        target_count);
  check(!options.input_feeding || options.readout > 0,
        "Seq2Seq: input feeding feeds the readout; its size must be above 0");
  check(!options.tie_output || options.readout == options.embedding,
        "Seq2Seq: an output tied to the embedding reads {} numbers; the readout must have as many, "
        "not {}",
        options.embedding, options.readout);
}

}  // namespace

Seq2Seq::Seq2Seq(int64_t source_count, int64_t target_count, const Seq2SeqOptions& options,
                 Generator& generator)
    : source_embedding(source_count, options.embedding, {.padding_idx = options.padding_idx},
                       generator),
      target_embedding(target_count, options.embedding, {.padding_idx = options.padding_idx},
                       generator),
      encoder(make_encoder(options, generator)),
      score(make_score(options.score, {.hidden = options.hidden, .max_length = options.max_length},
                       generator)),
      decoder(make_decoder(options, generator)),
      input_feeding(options.input_feeding),
      output(options.readout > 0 ? options.readout : 2 * options.hidden, target_count, {},
             generator),
      dropout(options.dropout, generator) {
  check_options(options, source_count, target_count);
  if (options.readout > 0) {
    readout.emplace(2 * options.hidden, options.readout, LinearOptions{}, generator);
  }
  if (options.tie_output) {  // an embedding's N(0, 1) is too large for an output layer
    const NoGrad guard;
    target_embedding.weight.copy_(output.weight);
    output.weight = target_embedding.weight;
  }
  if (options.tie_embeddings) source_embedding.weight = target_embedding.weight;
  if (!options.bidirectional) return;
  memory.emplace(2 * options.hidden, options.hidden, LinearOptions{}, generator);
  bridge.emplace(2 * options.hidden, options.hidden, LinearOptions{}, generator);
  if (is_lstm(decoder)) {
    cell_bridge.emplace(2 * options.hidden, options.hidden, LinearOptions{}, generator);
  }
}

DecoderState Seq2Seq::encode(const Tensor& source, const Tensor& lengths) const {
  check(source.dtype() == int64 && source.rank() == 2,
        "Seq2Seq: the source must be int64 [batch, time], not {} {}", name(source.dtype()),
        shape_text(source));
  if (lengths.defined()) check_lengths("Seq2Seq", lengths, source.size(0), source.size(1));
  const LSTMOutput encoded = run_encoder(encoder, dropout(source_embedding(source)), lengths);
  DecoderState state;
  state.memory = memory ? (*memory)(encoded.output) : encoded.output;
  state.keys = std::visit([&](const auto& f) { return f.prepare(state.memory); }, score);
  if (lengths.defined()) {
    state.mask = unsqueeze(length_mask(lengths, source.size(1)), 1).to(source.device());
  }
  const bool both_ways = bridge.has_value();
  state.hidden = side_by_side(encoded.hidden, both_ways);
  if (bridge) state.hidden = tanh((*bridge)(state.hidden));
  if (input_feeding) {
    state.fed = zeros({source.size(0), readout->weight.size(0)},
                      {.dtype = state.hidden.dtype(), .device = source.device()});
  }
  if (!is_lstm(decoder)) return state;
  state.cell = side_by_side(encoded.cell, both_ways);
  if (cell_bridge) state.cell = (*cell_bridge)(state.cell);
  return state;
}

DecoderState DecoderState::rows(const Tensor& index) const {
  const auto chosen = [&](const Tensor& x) {
    return x.defined() ? index_select(x, 0, index) : Tensor();
  };
  return {chosen(memory), chosen(keys), chosen(mask), chosen(hidden), chosen(cell), chosen(fed)};
}

// Moves hidden, cell and fed one step on.
Seq2Seq::Features Seq2Seq::advance(DecoderState& state, const Tensor& embedded) const {
  const Tensor query = unsqueeze(state.hidden, 1);
  const Tensor scores =
      std::visit([&](const auto& f) { return f.scores(query, state.keys); }, score);
  const Tensor weights =
      state.mask.defined() ? masked_softmax(scores, state.mask, 2) : softmax(scores, 2);
  const Tensor context = squeeze(bmm(weights, state.memory), 1);
  std::vector<Tensor> input = {embedded, context};
  if (input_feeding) input.push_back(state.fed);
  LSTMState next = run_decoder(decoder, concat(input, 1), {state.hidden, state.cell});
  state.hidden = std::move(next.hidden);
  state.cell = std::move(next.cell);
  Tensor features = concat({state.hidden, context}, 1);
  if (input_feeding) features = state.fed = tanh((*readout)(features));
  return {std::move(features), weights};
}

Tensor Seq2Seq::logits(const Tensor& features) const {
  return output(dropout(readout && !input_feeding ? tanh((*readout)(features)) : features));
}

Seq2SeqOutput Seq2Seq::operator()(const Tensor& source, const Tensor& lengths,
                                  const Tensor& target) const {
  check(target.dtype() == int64 && target.rank() == 2 && target.size(1) > 0 &&
            target.size(0) == source.size(0),
        "Seq2Seq: the target must be int64 [{}, time] with a step or more, not {} {}",
        source.size(0), name(target.dtype()), shape_text(target));
  DecoderState state = encode(source, lengths);
  std::vector<Tensor> features, weights;
  for (const Tensor& embedded : unbind(dropout(target_embedding(transpose(target, 0, 1))))) {
    Features next = advance(state, embedded);
    features.push_back(std::move(next.features));
    weights.push_back(std::move(next.weights));
  }
  return {logits(stack(features, 1)), concat(weights, 1)};
}

DecoderStep Seq2Seq::step(const DecoderState& state, const Tensor& ids) const {
  check(ids.dtype() == int64 && ids.shape() == Shape{state.hidden.size(0)},
        "Seq2Seq: the ids of a step must be int64 [{}], not {} {}", state.hidden.size(0),
        name(ids.dtype()), shape_text(ids));
  DecoderState after = state;
  const Features next = advance(after, dropout(target_embedding(ids)));
  return {logits(next.features), squeeze(next.weights, 1), std::move(after)};
}

}  // namespace regrad::nn

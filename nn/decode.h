// Decoding: from a model that gives the next token's scores to whole sequences. Greedy and beam
// search and sampling, batched over sentences and hypotheses, with what each token attended to.
// A model takes part by having encode(source, lengths) -> state, step(state, ids) -> {logits,
// weights, state}, and a state whose rows(index) picks rows of the batch.
#pragma once

#include <vector>

#include "autograd/grad_mode.h"
#include "autograd/tensor.h"
#include "ops/random.h"

namespace regrad::nn {

struct DecodeOptions {
  int64_t bos = 1, eos = 2;  // an eos of -1: no token ends a sequence, max_length does
  int64_t max_length = 100;  // stop here, <eos> or not
  int64_t n_best = 1;        // hypotheses for each sentence: at most `beam`, or how many samples
  // of beam_search
  int64_t beam = 1;           // 1: the likeliest token at each step
  double length_penalty = 0;  // alpha of ((5 + length) / 6)^alpha, by which a score is divided
  // of sample
  double temperature = 1;  // divides the logits; 0: the likeliest token
  int64_t top_k = 0;       // draw from the k likeliest; 0: from all
  double top_p = 1;        // draw from the fewest that have this probability together
};

struct Hypothesis {
  std::vector<int64_t> ids;    // without <bos> and <eos>
  bool finished = false;       // it ends with <eos>; otherwise max_length cut it
  double log_probability = 0;  // of its tokens, <eos> among them
  double score = 0;            // that, divided by the length penalty
  Tensor attention;            // float32 [tokens, S]: a row for each id, and one for <eos>
};
using Hypotheses = std::vector<std::vector<Hypothesis>>;  // of each sentence

struct StepOutput {
  Tensor logits;   // [rows, V]
  Tensor weights;  // [rows, S], what each row attended to; may be undefined
};

// What decoding calls, on a model that has read its source.
class StepModel {
 public:
  virtual ~StepModel() = default;
  // From the last token of each row, int64 [rows], the scores of the next.
  virtual StepOutput step(const Tensor& ids) = 0;
  // Row i becomes what row rows[i] was, int64 [any]. sample() calls it before the first step, to
  // give each sentence as many rows as it wants samples.
  virtual void keep(const Tensor& rows) = 0;
};

// A StepModel over any model with encode(), step() and a state with rows(). The model must outlive
// it.
template <class Model>
class Stepping final : public StepModel {
 public:
  // Encodes the source, int64 [B, S], with lengths int64 [B] or undefined.
  Stepping(const Model& model, const Tensor& source, const Tensor& lengths)
      : model_(model), device_(source.device()), state_(model.encode(source, lengths)) {}
  // As in StepModel.
  StepOutput step(const Tensor& ids) override {
    auto next = model_.step(state_, ids.to(device_));
    state_ = std::move(next.state);
    return {std::move(next.logits), std::move(next.weights)};
  }
  // As in StepModel.
  void keep(const Tensor& rows) override { state_ = state_.rows(rows.to(device_)); }

 private:
  const Model& model_;
  Device device_;
  decltype(std::declval<const Model&>().encode(Tensor(), Tensor())) state_;
};

// The n_best hypotheses of each sentence, best first, finished ones before cut ones. With a beam of
// 1 this is greedy decoding. A sentence is done when no open hypothesis can still overtake the n
// best: at any length, or at its present one once `beam` have finished. An <eos> counts where it is
// among the `beam` best continuations. The length penalty is that of Wu et al. (2016), equation 14;
// length counts <eos>. lengths: of each source; attention rows are cut to them. An Error for
// options out of range, and for a model whose output is not what StepOutput says: not a row for
// each id, another vocabulary than before, or one without <eos>, weights for fewer positions than a
// source has, or a row of logits with a NaN, with +inf, or of -inf alone (a single -inf excludes
// its token).
Hypotheses beam_search(StepModel& model, const std::vector<int64_t>& lengths,
                       const DecodeOptions& options = {});

// n_best sequences for each sentence, in the order in which they were drawn, token after token from
// softmax(logits / temperature) cut to the top_k likeliest and then to the top_p nucleus (Holtzman
// et al., 2020). Each sentence has a stream of its own, forked from the generator in turn: what is
// drawn for it does not depend on the others in its batch.
Hypotheses sample(StepModel& model, const std::vector<int64_t>& lengths,
                  const DecodeOptions& options, Generator& generator);

// Each source's length: lengths where given, otherwise the width S of source [B, S]. An Error
// unless lengths are int64 [B], each from 0 to S.
std::vector<int64_t> source_lengths(const Tensor& source, const Tensor& lengths);

// The same for a model: source int64 [B, S]; lengths int64 [B], or undefined. The model should be
// in evaluation mode (eval()).
template <class Model>
Hypotheses beam_search(const Model& model, const Tensor& source, const Tensor& lengths = {},
                       const DecodeOptions& options = {}) {
  const NoGrad guard;
  const std::vector<int64_t> checked = source_lengths(source, lengths);
  Stepping<Model> stepping(model, source, lengths);
  return beam_search(stepping, checked, options);
}

// The same for sample().
template <class Model>
Hypotheses sample(const Model& model, const Tensor& source, const Tensor& lengths,
                  const DecodeOptions& options, Generator& generator) {
  const NoGrad guard;
  const std::vector<int64_t> checked = source_lengths(source, lengths);
  Stepping<Model> stepping(model, source, lengths);
  return sample(stepping, checked, options, generator);
}

}  // namespace regrad::nn

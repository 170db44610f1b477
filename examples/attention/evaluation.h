// How good is a translator on pairs that it has not learnt from?
#pragma once

#include <set>
#include <string>
#include <vector>

#include "examples/attention/translator.h"
#include "examples/text/bleu.h"
#include "examples/text/chrf.h"
#include "examples/text/pairs.h"

namespace regrad::example {

struct HeldOut {
  std::string source;
  std::set<std::string> targets;  // every one that the data gives for this source
};

// The distinct sources of the pairs, in their order; at most max_count, evenly spread.
std::vector<HeldOut> distinct_sources(const std::vector<Pair>& pairs, Tokeniser tokeniser,
                                      size_t max_count);

// The translations of held-out sources, and how many of them are one of the targets.
struct Predictions {
  std::vector<std::string> texts;
  int64_t correct = 0;
  double accuracy() const;  // NaN without any
};
Predictions predict(Translator& translator, const std::vector<HeldOut>& held_out,
                    const Decoding& decoding = {});

// How well a model predicts each next token, with the true ones before it given.
class NextTokens {
 public:
  // logits [b, t, tokens] and targets [b, t] int64; positions whose target is `ignored` do not
  // count.
  void add(const Tensor& logits, const Tensor& targets, int64_t ignored);

  double accuracy() const;    // the share of tokens that are most likely; NaN without any
  double perplexity() const;  // exp of the mean cross-entropy; NaN without any

 private:
  int64_t count_ = 0, correct_ = 0;
  double loss_ = 0;  // summed
};

// Of these pairs, as the model stands.
NextTokens next_tokens(Translator& translator, const std::vector<EncodedPair>& pairs,
                       int64_t batch_size);

struct Quality {
  double exact = 0, token_accuracy = 0, perplexity = 0;  // shares are 0 to 1
  Bleu bleu;
  double chrf = 0;  // 0 to 100
};

// Of distinct sources, at most max_count of them; each may have several targets.
struct Evaluation {
  std::vector<HeldOut> held_out;
  Predictions predictions;
  Quality quality;
};
Evaluation evaluate(Translator& translator, const std::vector<Pair>& pairs, size_t max_count,
                    const Decoding& decoding = {});

}  // namespace regrad::example

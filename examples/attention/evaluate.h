// Every figure of a translator on pairs that it has not learnt from.
#pragma once

#include <vector>

#include "examples/attention/measure.h"
#include "examples/text/pairs.h"
#include "examples/text/scores.h"

namespace regrad::example {

// How well the true next tokens of these pairs are predicted, as the model stands.
NextTokens next_tokens(Translator& translator, const std::vector<EncodedPair>& pairs,
                       int64_t batch_size);

// Of distinct sources, at most `count` of them; each may have several references.
struct Evaluation {
  std::vector<Question> asked;
  Answers answers;
  Quality quality;
};
Evaluation evaluate(Translator& translator, const std::vector<Pair>& pairs, size_t count,
                    const DecodeOptions& options = {});

}  // namespace regrad::example

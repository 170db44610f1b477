// How good is a model? The share of held-out sources that it translates exactly.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "examples/attention/translator.h"

namespace regrad::example {

struct Question {
  std::string source;
  std::set<std::string> accepted;  // every target that the data gives for this source
};

// The distinct sources of the pairs, in their order; at most `count`, evenly spread.
std::vector<Question> questions(const std::vector<Pair>& pairs, Tokeniser tokeniser, size_t count);

// The answers to the questions, and the share of them that is right; NaN without questions.
struct Answers {
  std::vector<std::string> texts;
  int64_t right = 0;
  double share() const;
};
Answers ask(Translator& translator, const std::vector<Question>& questions);

}  // namespace regrad::example

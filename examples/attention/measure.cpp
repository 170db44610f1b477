#include "examples/attention/measure.h"

#include <cmath>
#include <limits>
#include <unordered_map>

namespace regrad::example {

std::vector<Question> questions(const std::vector<Pair>& pairs, Tokeniser tokeniser, size_t count) {
  std::vector<Question> all;
  std::unordered_map<std::string, size_t> place;
  for (const Pair& pair : pairs) {
    const auto [entry, is_new] = place.try_emplace(pair.source, all.size());
    if (is_new) all.push_back({pair.source, {}});
    // Spaces may be lost between text and tokens: what the model could say is what counts.
    all[entry->second].accepted.insert(join(tokenise(pair.target, tokeniser), tokeniser));
  }
  if (all.size() <= count) return all;
  std::vector<Question> some;
  for (size_t i = 0; i < count; ++i) some.push_back(all[i * all.size() / count]);
  return some;
}

double Answers::share() const {
  if (texts.empty()) return std::numeric_limits<double>::quiet_NaN();
  return static_cast<double>(right) / static_cast<double>(texts.size());
}

Answers ask(Translator& translator, const std::vector<Question>& questions) {
  std::vector<std::string> sources;
  for (const Question& question : questions) sources.push_back(question.source);
  Answers answers{translator.translate(sources)};
  for (size_t i = 0; i < questions.size(); ++i) {
    answers.right += questions[i].accepted.contains(answers.texts[i]) ? 1 : 0;
  }
  return answers;
}

}  // namespace regrad::example

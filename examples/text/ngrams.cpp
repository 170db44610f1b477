#include "examples/text/ngrams.h"

#include <algorithm>
#include <utility>

#include "autograd/check.h"
#include "examples/text/tokenisation.h"
#include "examples/text/unicode.h"

namespace regrad::example {

void check_references(const char* score, size_t hypotheses, const References& references) {
  check(hypotheses == references.size(),
        "{}: {} hypotheses, but references for {}; expected as many", score, hypotheses,
        references.size());
  for (size_t i = 0; i < references.size(); ++i) {
    check(!references[i].empty(), "{}: hypothesis {} has no reference; expected at least one",
          score, i);
  }
}

Counts Units::counts(size_t n) const {
  Counts found;
  const std::string_view view = text;
  for (size_t i = 0; i + n <= size(); ++i) {
    ++found[view.substr(begins[i], ends[i + n - 1] - begins[i])];
  }
  return found;
}

Units words_of(std::string text) {
  Units words{std::move(text), {}, {}};
  for (size_t begin = 0; begin < words.text.size();) {
    const size_t end = std::min(words.text.find(' ', begin), words.text.size());
    words.begins.push_back(begin);
    words.ends.push_back(end);
    begin = end + 1;
  }
  return words;
}

Units characters_of(const std::string& text) {
  Units characters{with_words_only(text, ""), {}, {}};
  for (size_t begin = 0; begin < characters.text.size();) {
    characters.begins.push_back(begin);
    begin += code_point_length(characters.text, begin);
    characters.ends.push_back(begin);
  }
  return characters;
}

int64_t matches(const Counts& hypothesis, const Counts& reference) {
  int64_t sum = 0;
  for (const auto& [ngram, count] : hypothesis) {
    const auto found = reference.find(ngram);
    if (found != reference.end()) sum += std::min(count, found->second);
  }
  return sum;
}

}  // namespace regrad::example

// What BLEU and chrF count: runs of n words or characters, in a text and in its references.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace regrad::example {

using References = std::vector<std::vector<std::string>>;  // of each hypothesis, at least one

// Throws Error, in the name of `score`, where there are not as many lists of references as
// hypotheses, or an empty one.
void check_references(const char* score, size_t hypotheses, const References& references);

using Counts = std::unordered_map<std::string_view, int64_t>;

// A text's units (words or characters) and where they begin and end in it.
struct Units {
  std::string text;
  std::vector<size_t> begins, ends;

  size_t size() const { return begins.size(); }
  int64_t ngrams(size_t n) const { return n > size() ? 0 : static_cast<int64_t>(size() + 1 - n); }
  Counts counts(size_t n) const;  // how often each n-gram occurs; its text is that of the units
};
Units words_of(std::string text);              // one space lies between the words
Units characters_of(const std::string& text);  // those that are no spaces

// How many n-grams both have: of each the smaller count.
int64_t matches(const Counts& hypothesis, const Counts& reference);

}  // namespace regrad::example

// Byte pairs: words cut into the parts that recur (Sennrich, Haddow, Birch: "Neural machine
// translation of rare words with subword units", ACL 2016). A word is its characters and the end of
// word "</w>"; the pair of neighbours that occurs most often becomes one part, again and again.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace regrad::example {

constexpr std::string_view word_end = "</w>";

// The words of text that merges are learnt within, each with "</w>" after it unless its text goes
// on without the space that is usual between it and the next. Numbers are cut into their digits and
// no word is longer than 128 characters. Throws Error where text is not UTF-8.
std::vector<std::string> cut_for_bytepairs(std::string_view text);

// The text of words as above or of their parts: exactly what was cut, but for runs of spaces (one
// remains) and spaces at its ends. `unknown` stands for a word.
std::string join_bytepairs(const std::vector<std::string>& parts, std::string_view unknown);

// The characters of such a word, and "</w>" where it ends.
std::vector<std::string> symbols_of(std::string_view word);

struct Merge {
  std::string left, right;
  bool operator==(const Merge&) const = default;
};

// The first `max_count` merges for words that occur so often: each the pair that occurs most often
// at its time, at least twice; of several, the first in code point order of the left, then the
// right.
std::vector<Merge> learn_merges(const std::map<std::string, int64_t>& words, int64_t max_count);

// How many merges suit a text of so many words: one for every 100, at most 8000, so that a part is
// seen often enough to be learnt (Sennrich, Zhang, ACL 2019, on small data).
int64_t suitable_merges(int64_t words);

// Applies merges to words given as the numbers of their symbols.
class BytePairs {
 public:
  // The merge after all others: `left` followed by `right` becomes `whole`. False where this pair
  // has one already.
  bool add(int64_t left, int64_t right, int64_t whole);

  // Merges what can be, the earliest learnt first and each from left to right.
  void apply(std::vector<int64_t>& parts) const;

 private:
  struct Known {
    int64_t rank, whole;
  };
  struct Hash {
    std::size_t operator()(const std::pair<int64_t, int64_t>& pair) const;
  };
  std::unordered_map<std::pair<int64_t, int64_t>, Known, Hash> known_;
};

}  // namespace regrad::example

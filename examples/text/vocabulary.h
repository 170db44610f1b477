// From text to the integers that a model reads, and back: tokenisers and a vocabulary.
// All text is UTF-8; a "character" is a Unicode code point.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "examples/text/bytepair.h"
#include "examples/text/unicode.h"

namespace regrad::example {

// character: every code point is a token.
// word: see words.h; the same words are the tokens of every text.
// bytepair: words in parts that were learnt, see bytepair.h; "</w>" ends a word.
enum class Tokeniser { character, word, bytepair };

std::string_view name_of(Tokeniser tokeniser);

// What suits texts with so many words that hold a letter, on average: byte pairs for sentences,
// from three words on; characters for shorter strings, such as dates, sums and names.
Tokeniser suitable_tokeniser(int64_t texts, int64_t words_with_letters);
int64_t words_with_letters(std::string_view text);

// Throws Error where text is not UTF-8. For bytepair: the whole words, see cut_for_bytepairs().
std::vector<std::string> tokenise(std::string_view text, Tokeniser tokeniser);

// The text of tokens: the opposite of tokenise(), but for runs of spaces.
std::string join(const std::vector<std::string>& tokens, Tokeniser tokeniser);

// How often each token occurs, one text after another: what a vocabulary is made from.
class TokenCounts {
 public:
  explicit TokenCounts(Tokeniser tokeniser) : tokeniser_(tokeniser) {}

  // Counts the tokens of a text and gives their numbers: 0, 1, .. in the order in which tokens
  // first came. With Vocabulary::ids_of() they become ids, so that a text is tokenised once. A
  // token of more than 1024 bytes is not counted; its number is -1. Throws Error where text is not
  // UTF-8.
  std::vector<int32_t> add(std::string_view text);

  Tokeniser tokeniser() const { return tokeniser_; }
  int64_t total() const { return total_; }
  // In code point order, which for UTF-8 is the order of bytes.
  std::map<std::string, int64_t> in_order() const;

 private:
  friend class Vocabulary;
  struct Entry {
    int32_t number;
    int64_t count;
  };
  Tokeniser tokeniser_;
  int64_t total_ = 0;
  std::unordered_map<std::string, Entry> entries_;
};

class Vocabulary {
 public:
  static constexpr int64_t pad = 0, bos = 1, eos = 2, unk = 3;
  static constexpr int64_t suitable = -1;  // as many merges as suitable_merges() says

  // The tokens that occur at least min_count times, the most frequent first and equals in code
  // point order, after <pad> <bos> <eos> <unk>. At most a million tokens, of at most 1024 bytes
  // each; others become <unk>. For bytepair: "</w>" and the characters in that order, then the
  // parts that at most `merges` merges make. Throws Error where min_count < 1 or merges < -1.
  explicit Vocabulary(const TokenCounts& counts, int64_t min_count = 1, int64_t merges = suitable);
  Vocabulary(const std::vector<std::string>& texts, Tokeniser tokeniser, int64_t min_count = 1,
             int64_t merges = suitable);

  int64_t size() const { return static_cast<int64_t>(tokens_.size()); }
  Tokeniser tokeniser() const { return tokeniser_; }
  const std::vector<Merge>& merges() const { return merges_; }

  // The ids of the tokens of text, <unk> for an unknown one. Adds neither <bos> nor <eos>. The
  // parts of a word are remembered: not for several threads at once.
  std::vector<int64_t> encode(std::string_view text) const;

  // The ids of each token that was counted, by its number: one, or those of its parts for bytepair.
  std::vector<std::vector<int64_t>> ids_of(const TokenCounts& counts) const;

  // The tokens that encode() finds, with the text itself in place of <unk>: as many as there are
  // ids.
  std::vector<std::string> tokenise(std::string_view text) const;

  // The text of ids up to the first <eos>, without <pad> and <bos>.
  // Throws Error where an id is outside [0, size()).
  std::string decode(const std::vector<int64_t>& ids) const;

  // The token of each id, special ones too. Throws Error where an id is outside [0, size()).
  std::vector<std::string> tokens(const std::vector<int64_t>& ids) const;

  // One line a token, "id <TAB> token", after a line that names the form and the tokeniser; then
  // one line a merge, "merge <TAB> left <TAB> right". A tab, newline, carriage return or backslash
  // within a token is escaped with a backslash.
  std::string to_string() const;

  // Reads what to_string() wrote, and nothing else. Trusts nothing: throws Error with the line for
  // a missing header, a repeated token, an id out of turn, a bad escape, a token that is not UTF-8,
  // a merge of tokens that are not there, or too much.
  static Vocabulary from_string(std::string_view text);

  bool operator==(const Vocabulary& other) const {
    return tokeniser_ == other.tokeniser_ && tokens_ == other.tokens_ && merges_ == other.merges_;
  }

 private:
  explicit Vocabulary(Tokeniser tokeniser);
  void add(std::string token);
  void add_frequent(const std::map<std::string, int64_t>& counts, int64_t min_count);
  void learn_parts(const std::map<std::string, int64_t>& words, int64_t merges);
  // False where a side or the whole is no token, or where the pair has a merge already.
  bool add_merge(Merge merge);
  const std::vector<int64_t>& parts_of(const std::string& word) const;
  int64_t id_of(const std::string& token) const;

  Tokeniser tokeniser_;
  std::vector<std::string> tokens_;
  std::unordered_map<std::string, int64_t> ids_;
  std::vector<Merge> merges_;
  BytePairs pairs_;
  mutable std::unordered_map<std::string, std::vector<int64_t>> remembered_;  // parts of words
};

}  // namespace regrad::example

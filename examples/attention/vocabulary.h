// From text to the integers that a model reads, and back: tokenisers and a vocabulary.
// All text is UTF-8; a "character" is a Unicode code point.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace regrad::example {

// The length in bytes of the code point that begins at text[position], or 0 where the bytes there
// are not UTF-8 (overlong, a surrogate, above U+10FFFF, cut off).
std::size_t code_point_length(std::string_view text, std::size_t position);

// The code points of text. Throws Error with the byte offset where text is not UTF-8.
std::vector<std::string_view> code_points(std::string_view text);

// The number of a code point, as cut out by code_points().
char32_t code_point_value(std::string_view code_point);

// character: every code point is a token.
// word: text is cut at spaces; punctuation and each Chinese or Japanese character stand alone. A
// hyphen begins a token ("est", "-ce") and an elided word keeps its apostrophe ("l'", "eau"). A
// space where English writes none, as the one before a French "!", stays with its punctuation.
enum class Tokeniser { character, word };

// Throws Error where text is not UTF-8.
std::vector<std::string> tokenise(std::string_view text, Tokeniser tokeniser);

// The text of tokens: the opposite of tokenise(), but for runs of spaces.
std::string join(const std::vector<std::string>& tokens, Tokeniser tokeniser);

class Vocabulary {
 public:
  static constexpr int64_t pad = 0, bos = 1, eos = 2, unk = 3;

  // The tokens that occur at least min_count times in texts, the most frequent first and equals in
  // code point order, after <pad> <bos> <eos> <unk>. At most a million tokens, of at most 1024
  // bytes each; others become <unk>. Throws Error where a text is not UTF-8 or min_count < 1.
  Vocabulary(const std::vector<std::string>& texts, Tokeniser tokeniser, int64_t min_count = 1);

  int64_t size() const { return static_cast<int64_t>(tokens_.size()); }
  Tokeniser tokeniser() const { return tokeniser_; }

  // The ids of the tokens of text, <unk> for an unknown one. Adds neither <bos> nor <eos>.
  std::vector<int64_t> encode(std::string_view text) const;

  // The text of ids up to the first <eos>, without <pad> and <bos>.
  // Throws Error where an id is outside [0, size()).
  std::string decode(const std::vector<int64_t>& ids) const;

  // The token of each id, special ones too. Throws Error where an id is outside [0, size()).
  std::vector<std::string> tokens(const std::vector<int64_t>& ids) const;

  // One line a token, "id <TAB> token", after a line that names the form and the tokeniser; a tab,
  // newline, carriage return or backslash within a token is escaped with a backslash.
  std::string to_string() const;

  // Reads what to_string() wrote. Trusts nothing: throws Error with the line for a missing header,
  // a repeated token, an id out of turn, a bad escape, a token that is not UTF-8, or too much.
  static Vocabulary from_string(std::string_view text);

  bool operator==(const Vocabulary& other) const {
    return tokeniser_ == other.tokeniser_ && tokens_ == other.tokens_;
  }

 private:
  explicit Vocabulary(Tokeniser tokeniser);
  void add(std::string token);

  Tokeniser tokeniser_;
  std::vector<std::string> tokens_;
  std::unordered_map<std::string, int64_t> ids_;
};

}  // namespace regrad::example

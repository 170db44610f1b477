#include "examples/attention/vocabulary.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "autograd/error.h"

namespace regrad::example {
namespace {

constexpr std::array<std::string_view, 4> special_tokens = {"<pad>", "<bos>", "<eos>", "<unk>"};
constexpr std::size_t most_tokens = 1'000'000;
constexpr std::size_t longest_token = 1024;  // bytes
constexpr std::string_view form_name = "regrad-vocabulary 1 ";

template <std::size_t N>
constexpr bool is_any(char32_t c, const std::array<char32_t, N>& set) {
  return c != 0 && std::find(set.begin(), set.end(), c) != set.end();  // sets end with 0
}

constexpr bool between(char32_t c, char32_t first, char32_t last) {
  return c >= first && c <= last;
}

constexpr bool is_space(char32_t c) {
  return c == U' ' || between(c, 0x09, 0x0D) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         between(c, 0x2000, 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

constexpr bool is_opening(char32_t c) { return is_any(c, std::to_array(U"([{¡¿«“„‚#$€£")); }
constexpr bool is_closing(char32_t c) { return is_any(c, std::to_array(U".,!?;:)]}%…»”°؟،؛।")); }

constexpr bool is_punctuation(char32_t c) {
  return between(c, 0x21, 0x2F) || between(c, 0x3A, 0x40) || between(c, 0x5B, 0x60) ||
         between(c, 0x7B, 0x7E) || is_any(c, std::to_array(U"§¶·־‹›")) ||
         between(c, 0x2010, 0x2027) || between(c, 0x2030, 0x205E) || is_opening(c) || is_closing(c);
}

// Chinese and Japanese characters and punctuation, which no space separates from their neighbours.
constexpr bool is_unspaced(char32_t c) {
  return between(c, 0x3001, 0x30FF) || between(c, 0x3400, 0x4DBF) || between(c, 0x4E00, 0x9FFF) ||
         between(c, 0xF900, 0xFAFF) || between(c, 0xFF01, 0xFF0F) || between(c, 0xFF1A, 0xFF20) ||
         between(c, 0xFF3B, 0xFF40) || between(c, 0xFF5B, 0xFF9F) || between(c, 0x20000, 0x3FFFD);
}

constexpr bool is_word(char32_t c) {
  return c != 0 && !is_space(c) && !is_punctuation(c) && !is_unspaced(c);
}
constexpr bool is_digit(char32_t c) { return between(c, U'0', U'9'); }
constexpr bool is_apostrophe(char32_t c) { return c == U'\'' || c == U'’'; }
constexpr bool is_hyphen(char32_t c) { return c == U'-' || c == U'‐' || c == U'‑'; }

// Punctuation that may stand anywhere, such as quotes, dashes and slashes.
constexpr bool is_neutral(char32_t c) {
  return is_punctuation(c) && !is_opening(c) && !is_closing(c);
}

// Reads one text from left to right into word tokens.
class WordReader {
 public:
  explicit WordReader(std::string_view text) : points_(code_points(text)) {}

  std::vector<std::string> read() {
    while (at_ < points_.size()) {
      const char32_t c = value(0);
      if (is_space(c)) {
        read_space();
      } else if (is_unspaced(c)) {
        take(1);
      } else if (is_punctuation(c)) {
        read_punctuation();
      } else {
        read_word();
      }
    }
    return std::move(tokens_);
  }

 private:
  // The code point `ahead` places on, 0 outside the text.
  char32_t value(std::ptrdiff_t ahead) const {
    const std::ptrdiff_t i = static_cast<std::ptrdiff_t>(at_) + ahead;
    if (i < 0 || i >= static_cast<std::ptrdiff_t>(points_.size())) return 0;
    return code_point_value(points_[static_cast<std::size_t>(i)]);
  }

  void append(std::size_t count) {
    for (; count > 0; --count) tokens_.back() += points_[at_++];
  }

  void take(std::size_t count) {
    tokens_.emplace_back();
    append(count);
  }

  // A space where none is expected belongs to the punctuation beside it: so it is not lost.
  void read_space() {
    const char32_t next = value(1);
    if (tokens_.empty() || !(is_closing(next) || is_neutral(next))) {
      ++at_;
    } else {
      take(1);
      finish_punctuation();
    }
  }

  void read_punctuation() {
    const char32_t c = value(0);
    if (is_hyphen(c) && is_word(value(-1)) && is_word(value(1))) return read_word();
    tokens_.emplace_back();
    finish_punctuation();
  }

  // A run of one mark, such as "...", and the space after it.
  void finish_punctuation() {
    const char32_t first = value(0);
    do append(1);
    while (value(0) == first);
    const bool is_last = value(1) == 0 || is_space(value(1));
    if (!is_closing(first) && is_space(value(0)) && !is_last) append(1);
  }

  // Letters and digits with what holds them together: "don't", "I.D", "12:30".
  void read_word() {
    take(1);
    while (at_ < points_.size()) {
      const char32_t c = value(0);
      if (is_word(c)) {
        append(1);
      } else if (is_apostrophe(c) && is_word(value(-1)) && is_word(value(1))) {
        append(1);
        if (!is_contraction()) return;
      } else if ((c == U'.' && is_word(value(-1)) && is_word(value(1))) ||
                 ((c == U',' || c == U':') && is_digit(value(-1)) && is_digit(value(1)))) {
        append(1);
      } else {
        return;
      }
    }
  }

  // Whether the letters ahead end an English contraction, as opposed to following an elided word.
  bool is_contraction() const {
    std::string ahead;
    for (std::size_t i = at_; i < points_.size() && ahead.size() < 3; ++i) {
      if (!is_word(code_point_value(points_[i]))) break;
      ahead += points_[i];
    }
    for (char& c : ahead) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    constexpr std::array<std::string_view, 7> endings = {"s", "t", "m", "d", "re", "ve", "ll"};
    return std::find(endings.begin(), endings.end(), ahead) != endings.end();
  }

  std::vector<std::string_view> points_;
  std::size_t at_ = 0;
  std::vector<std::string> tokens_;
};

// Whether no space is written between two tokens.
bool are_glued(std::string_view left, std::string_view right) {
  const auto edge = [](std::string_view token, bool back) -> char32_t {
    if (token.empty() || token == special_tokens[Vocabulary::unk]) return U'x';
    const std::vector<std::string_view> points = code_points(token);
    return code_point_value(back ? points.back() : points.front());
  };
  const auto glues = [](char32_t c) { return is_space(c) || is_neutral(c) || is_unspaced(c); };
  const char32_t last = edge(left, true), first = edge(right, false);
  return glues(last) || glues(first) || is_opening(last) || is_closing(first);
}

std::string join_words(const std::vector<std::string>& tokens) {
  std::string text;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (i > 0 && !are_glued(tokens[i - 1], tokens[i])) text += ' ';
    text += tokens[i];
  }
  return text;
}

constexpr std::string_view escape_names = "tnr\\", escape_meanings = "\t\n\r\\";

std::string escaped(std::string_view token) {
  std::string text;
  for (const char c : token) {
    const std::size_t which = escape_meanings.find(c);
    if (which != std::string_view::npos) text += '\\';
    text += which == std::string_view::npos ? c : escape_names[which];
  }
  return text;
}

[[noreturn]] void fail(std::size_t line, const std::string& what) {
  throw Error(fmt::format("vocabulary: line {}: {}", line, what));
}

std::string unescaped(std::string_view text, std::size_t line) {
  std::string token;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      if (escape_meanings.find(text[i]) != std::string_view::npos) {
        fail(line, "a tab or a carriage return stands without a backslash escape");
      }
      token += text[i];
      continue;
    }
    const std::size_t which =
        ++i < text.size() ? escape_names.find(text[i]) : std::string_view::npos;
    if (which == std::string_view::npos) {
      fail(line, "a backslash stands before neither t, n, r nor a backslash");
    }
    token += escape_meanings[which];
  }
  return token;
}

// Cuts the first line off text; the line's end must be there.
std::string_view next_line(std::string_view& text, std::size_t line) {
  const std::size_t end = text.find('\n');
  if (end == std::string_view::npos) fail(line, "the text is cut off; expected a line end");
  const std::string_view result = text.substr(0, end);
  text.remove_prefix(end + 1);
  return result;
}

Tokeniser tokeniser_named(std::string_view line) {
  if (line == fmt::format("{}character", form_name)) return Tokeniser::character;
  if (line == fmt::format("{}word", form_name)) return Tokeniser::word;
  fail(1, fmt::format("expected \"{0}character\" or \"{0}word\"", form_name));
}

void check_token(std::string_view token, std::size_t id, Tokeniser tokeniser, std::size_t line) {
  if (id < special_tokens.size()) {
    if (token != special_tokens[id]) fail(line, fmt::format("expected {}", special_tokens[id]));
    return;
  }
  if (id >= most_tokens + special_tokens.size()) fail(line, "more than a million tokens");
  if (token.empty()) fail(line, "the token is empty");
  if (token.size() > longest_token) {
    fail(line, fmt::format("the token has {} bytes; at most {} are allowed", token.size(),
                           longest_token));
  }
  std::size_t count = 0;
  for (std::size_t i = 0, length; i < token.size(); i += length, ++count) {
    length = code_point_length(token, i);
    if (length == 0) fail(line, "the token is not UTF-8");
  }
  if (tokeniser == Tokeniser::character && count != 1) {
    fail(line, fmt::format("the token has {} characters; expected 1", count));
  }
}

}  // namespace

std::size_t code_point_length(std::string_view text, std::size_t position) {
  const auto byte = [&](std::size_t i) -> unsigned {
    return position + i < text.size() ? static_cast<unsigned char>(text[position + i]) : 0u;
  };
  const auto follows = [&](std::size_t i) { return (byte(i) & 0xC0u) == 0x80u; };
  const unsigned first = byte(0), second = byte(1);
  if (position >= text.size()) return 0;
  if (first < 0x80) return 1;
  if (first < 0xC2 || first > 0xF4 || !follows(1)) return 0;
  if (first < 0xE0) return 2;
  if (first == 0xE0 && second < 0xA0) return 0;   // overlong
  if (first == 0xED && second >= 0xA0) return 0;  // a surrogate
  if (!follows(2)) return 0;
  if (first < 0xF0) return 3;
  if (first == 0xF0 && second < 0x90) return 0;   // overlong
  if (first == 0xF4 && second >= 0x90) return 0;  // above U+10FFFF
  return follows(3) ? 4 : 0;
}

std::vector<std::string_view> code_points(std::string_view text) {
  std::vector<std::string_view> result;
  result.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = code_point_length(text, i);
    if (length == 0) {
      throw Error(fmt::format("text: the byte at offset {} is not UTF-8; expected UTF-8 text", i));
    }
    result.push_back(text.substr(i, length));
    i += length;
  }
  return result;
}

char32_t code_point_value(std::string_view code_point) {
  if (code_point.empty()) return 0;
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(code_point[i]); };
  if (code_point.size() == 1) return byte(0);
  char32_t value = byte(0) & (0x7Fu >> code_point.size());
  for (std::size_t i = 1; i < code_point.size(); ++i) value = (value << 6) | (byte(i) & 0x3Fu);
  return value;
}

std::vector<std::string> tokenise(std::string_view text, Tokeniser tokeniser) {
  if (tokeniser == Tokeniser::word) return WordReader(text).read();
  const std::vector<std::string_view> points = code_points(text);
  return {points.begin(), points.end()};
}

std::string join(const std::vector<std::string>& tokens, Tokeniser tokeniser) {
  if (tokeniser == Tokeniser::word) return join_words(tokens);
  std::string text;
  for (const std::string& token : tokens) text += token;
  return text;
}

Vocabulary::Vocabulary(Tokeniser tokeniser) : tokeniser_(tokeniser) {
  for (const std::string_view token : special_tokens) add(std::string(token));
}

Vocabulary::Vocabulary(const std::vector<std::string>& texts, Tokeniser tokeniser,
                       int64_t min_count)
    : Vocabulary(tokeniser) {
  if (min_count < 1) {
    throw Error(fmt::format("Vocabulary: min_count is {}; it must be at least 1", min_count));
  }
  std::map<std::string, int64_t> counts;  // in byte order, which for UTF-8 is code point order
  for (const std::string& text : texts) {
    for (std::string& token : tokenise(text, tokeniser)) {
      if (token.size() <= longest_token) ++counts[std::move(token)];
    }
  }
  std::vector<std::pair<std::string, int64_t>> ranked(counts.begin(), counts.end());
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  for (auto& [token, count] : ranked) {
    if (count < min_count || tokens_.size() == most_tokens + special_tokens.size()) break;
    add(std::move(token));
  }
}

void Vocabulary::add(std::string token) {
  ids_.emplace(token, size());
  tokens_.push_back(std::move(token));
}

std::vector<int64_t> Vocabulary::encode(std::string_view text) const {
  std::vector<int64_t> ids;
  for (const std::string& token : tokenise(text, tokeniser_)) {
    const auto found = ids_.find(token);
    ids.push_back(found == ids_.end() ? unk : found->second);
  }
  return ids;
}

std::vector<std::string> Vocabulary::tokens(const std::vector<int64_t>& ids) const {
  std::vector<std::string> result;
  result.reserve(ids.size());
  for (const int64_t id : ids) {
    if (id < 0 || id >= size()) {
      throw Error(fmt::format("Vocabulary: id {} is outside [0, {})", id, size()));
    }
    result.push_back(tokens_[static_cast<std::size_t>(id)]);
  }
  return result;
}

std::string Vocabulary::decode(const std::vector<int64_t>& ids) const {
  const std::vector<std::string> all = tokens(ids);
  std::vector<std::string> shown;
  for (std::size_t i = 0; i < ids.size() && ids[i] != eos; ++i) {
    if (ids[i] != pad && ids[i] != bos) shown.push_back(all[i]);
  }
  return join(shown, tokeniser_);
}

std::string Vocabulary::to_string() const {
  std::string text(form_name);
  text += tokeniser_ == Tokeniser::word ? "word\n" : "character\n";
  for (std::size_t id = 0; id < tokens_.size(); ++id) {
    text += fmt::format("{}\t{}\n", id, escaped(tokens_[id]));
  }
  return text;
}

Vocabulary Vocabulary::from_string(std::string_view text) {
  Vocabulary result(tokeniser_named(next_line(text, 1)));
  std::size_t id = 0;
  for (; !text.empty(); ++id) {
    const std::size_t number = id + 2;
    std::string_view line = next_line(text, number);
    const std::string expected = fmt::format("{}\t", id);
    if (!line.starts_with(expected)) {
      fail(number, fmt::format("expected the token of id {} and a tab before it", id));
    }
    std::string token = unescaped(line.substr(expected.size()), number);
    check_token(token, id, result.tokeniser_, number);
    if (id < special_tokens.size()) continue;
    if (result.ids_.contains(token)) fail(number, "the token was there before");
    result.add(std::move(token));
  }
  if (id < special_tokens.size()) fail(id + 2, "a special token is missing");
  return result;
}

}  // namespace regrad::example

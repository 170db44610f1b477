#include "examples/text/words.h"

#include <algorithm>
#include <array>

#include "examples/text/unicode.h"

namespace regrad::example {
namespace {

template <std::size_t N>
constexpr bool is_any(char32_t c, const std::array<char32_t, N>& set) {
  return c != 0 && std::find(set.begin(), set.end(), c) != set.end();  // sets end with 0
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

// Reads one text from left to right into words.
class WordReader {
 public:
  explicit WordReader(std::string_view text) : points_(code_points(text)) {}

  std::vector<std::string_view> read() {
    while (next_ < points_.size()) {
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
    return std::move(words_);
  }

 private:
  // The code point `ahead` places on, 0 outside the text.
  char32_t value(std::ptrdiff_t ahead) const {
    const std::ptrdiff_t i = static_cast<std::ptrdiff_t>(next_) + ahead;
    if (i < 0 || i >= static_cast<std::ptrdiff_t>(points_.size())) return 0;
    return code_point_value(points_[static_cast<std::size_t>(i)]);
  }

  void append(std::size_t count) {
    std::string_view& last = words_.back();
    for (; count > 0; --count) last = {last.data(), last.size() + points_[next_++].size()};
  }

  void take(std::size_t count) {
    words_.emplace_back(points_[next_].data(), 0);
    append(count);
  }

  // A space where none is expected belongs to the punctuation beside it: so it is not lost.
  void read_space() {
    const char32_t next = value(1);
    if (words_.empty() || !(is_closing(next) || is_neutral(next))) {
      ++next_;
    } else {
      take(1);
      finish_punctuation();
    }
  }

  void read_punctuation() {
    const char32_t c = value(0);
    if (is_hyphen(c) && is_word(value(-1)) && is_word(value(1))) return read_word();
    take(0);
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
    while (next_ < points_.size()) {
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
    for (std::size_t i = next_; i < points_.size() && ahead.size() < 3; ++i) {
      if (!is_word(code_point_value(points_[i]))) break;
      ahead += points_[i];
    }
    for (char& c : ahead) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    constexpr std::array<std::string_view, 7> endings = {"s", "t", "m", "d", "re", "ve", "ll"};
    return std::find(endings.begin(), endings.end(), ahead) != endings.end();
  }

  std::vector<std::string_view> points_;
  std::size_t next_ = 0;
  std::vector<std::string_view> words_;
};

// The first or last character of a word.
char32_t edge(std::string_view word, bool back) {
  std::size_t begin = 0;
  if (back) {
    begin = word.size() - 1;
    while (begin > 0 && (static_cast<unsigned char>(word[begin]) & 0xC0u) == 0x80u) --begin;
  }
  return code_point_value(word.substr(begin, code_point_length(word, begin)));
}

}  // namespace

std::vector<std::string_view> cut_words(std::string_view text) { return WordReader(text).read(); }

bool are_glued(std::string_view left, std::string_view right, std::string_view unknown) {
  const auto glues = [](char32_t c) { return is_space(c) || is_neutral(c) || is_unspaced(c); };
  const char32_t last = left.empty() || left == unknown ? U'x' : edge(left, true);
  const char32_t first = right.empty() || right == unknown ? U'x' : edge(right, false);
  return glues(last) || glues(first) || is_opening(last) || is_closing(first);
}

bool has_letter(std::string_view word) {
  const std::vector<std::string_view> points = code_points(word);
  return std::any_of(points.begin(), points.end(), [](std::string_view point) {
    const char32_t c = code_point_value(point);
    return (is_word(c) && !is_digit(c)) || is_unspaced(c);
  });
}

}  // namespace regrad::example

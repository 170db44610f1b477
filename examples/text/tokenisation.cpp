#include "examples/text/tokenisation.h"

#include <algorithm>

#include "examples/text/unicode.h"

namespace regrad::example {
namespace {

// What str.split() of Python splits at.
constexpr bool is_space(char32_t c) {
  return c == U' ' || between(c, 0x09, 0x0D) || between(c, 0x1C, 0x1F) || c == 0x85 || c == 0xA0 ||
         c == 0x1680 || between(c, 0x2000, 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
         c == 0x205F || c == 0x3000;
}

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_stop(char c) { return c == '.' || c == ','; }
constexpr bool stands_alone(char c) {
  return (c >= '{' && c <= '~') || (c >= '[' && c <= '`') || (c >= ' ' && c <= '&') ||
         (c >= '(' && c <= '+') || (c >= ':' && c <= '@') || c == '/';
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (size_t i = 0; (i = text.find(from, i)) != text.npos; i += to.size()) {
    text.replace(i, from.size(), to);
  }
}

// Puts spaces where `first` and `second` accept neighbours: before, between and after them as asked
// for. From left to right; no character is in two such pairs.
template <class First, class Second>
std::string spread(const std::string& text, First first, Second second, bool before, bool after) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    if (i + 1 == text.size() || !first(text[i]) || !second(text[i + 1])) {
      result += text[i];
      continue;
    }
    if (before) result += ' ';
    result += text[i];
    result += ' ';
    result += text[++i];
    if (after) result += ' ';
  }
  return result;
}

// text without the spaces at its end, or at both ends.
std::string_view with_end_trimmed(std::string_view text, bool both_ends = false) {
  size_t begin = text.size(), end = 0, offset = 0;
  for (const std::string_view point : code_points(text)) {
    const bool is_blank = is_space(code_point_value(point));
    if (!is_blank) begin = std::min(begin, offset);
    offset += point.size();
    if (!is_blank) end = offset;
  }
  return both_ends ? text.substr(std::min(begin, end), end - std::min(begin, end))
                   : text.substr(0, end);
}

// What sacrebleu applies to the text of 13a, and to that of zh.
std::string with_marks_apart(const std::string& text) {
  std::string apart;
  for (const char c : text) {
    if (stands_alone(c)) {
      apart.append({' ', c, ' '});
    } else {
      apart += c;
    }
  }
  const auto is_other = [](char c) { return !is_digit(c); };
  apart = spread(apart, is_other, is_stop, false, true);
  apart = spread(apart, is_stop, is_other, true, false);
  apart = spread(
      apart, is_digit, [](char c) { return c == '-'; }, false, true);
  return with_words_only(apart, " ");
}

// What sacrebleu 2 takes for Chinese. Its table means U+20000 to U+2A6D6, but says U+2001 to U+2A6D
// to Python: so quotes, dashes and arrows stand alone, and the rare characters do not.
bool is_chinese_to_sacrebleu(char32_t c) {
  constexpr Range ranges[] = {
      {0x3400, 0x4DB5}, {0x4E00, 0x9FBB}, {0xF900, 0xFA2D}, {0xFA30, 0xFA6A}, {0xFA70, 0xFAD9},
      {0x2001, 0x2A6D}, {0xFF00, 0xFFEF}, {0x2E80, 0x2EFF}, {0x3000, 0x303F}, {0x31C0, 0x31EF},
      {0x2F00, 0x2FDF}, {0x2FF0, 0x2FFF}, {0x3100, 0x312F}, {0x31A0, 0x31BF}, {0xFE10, 0xFE1F},
      {0xFE30, 0xFE4F}, {0x3200, 0x33FF}};
  return is_in(c, ranges);
}

bool is_han(char32_t c) {
  constexpr Range ranges[] = {
      {0x3005, 0x3007}, {0x3400, 0x4DBF}, {0x4E00, 0x9FFF}, {0xF900, 0xFAFF}, {0x20000, 0x3FFFD}};
  return is_in(c, ranges);
}

bool is_kana(char32_t c) {
  constexpr Range ranges[] = {
      {0x3041, 0x30FA}, {0x30FC, 0x30FF}, {0x31F0, 0x31FF}, {0xFF66, 0xFF9F}};
  return is_in(c, ranges);
}

// Thai, Lao, Tibetan, Burmese, Khmer and their like: no space between words either.
bool is_other_unspaced(char32_t c) {
  constexpr Range ranges[] = {{0x0E01, 0x0E3A}, {0x0E40, 0x0E4E}, {0x0E81, 0x0ECF},
                              {0x0F00, 0x0FFF}, {0x1000, 0x109F}, {0x1780, 0x17D3},
                              {0x1950, 0x19DF}, {0x1A20, 0x1AAF}, {0x1B00, 0x1B4B},
                              {0xA980, 0xA9CF}, {0xA9E0, 0xA9FF}, {0xAA60, 0xAADF}};
  return is_in(c, ranges);
}

bool is_spaced_letter(char32_t c) {
  const bool is_ascii = between(c, 'a', 'z') || between(c, 'A', 'Z');
  return is_ascii || (c >= 0xC0 && c != 0xD7 && c != 0xF7 && !between(c, 0x2000, 0x2BFF) &&
                      !between(c, 0x3000, 0x303F) && !between(c, 0xFF00, 0xFF65) && !is_space(c));
}

}  // namespace

// The words of text and nothing but `between_words` between them.
std::string with_words_only(std::string_view text, std::string_view between_words) {
  std::string result;
  bool is_inside = false;
  for (const std::string_view point : code_points(text)) {
    const bool is_blank = is_space(code_point_value(point));
    if (!is_blank && !is_inside && !result.empty()) result += between_words;
    if (!is_blank) result += point;
    is_inside = !is_blank;
  }
  return result;
}

std::string_view name_of(Tokenisation tokenisation) {
  if (tokenisation == Tokenisation::mteval_13a) return "13a";
  return tokenisation == Tokenisation::chinese ? "zh" : "char";
}

std::string tokenised_13a(std::string text) {
  // sacrebleu drops spaces at the end first, which matters to "-" before a line end alone.
  text.resize(with_end_trimmed(text).size());
  replace_all(text, "<skipped>", "");
  replace_all(text, "-\n", "");
  replace_all(text, "\n", " ");
  replace_all(text, "&quot;", "\"");
  replace_all(text, "&amp;", "&");
  replace_all(text, "&lt;", "<");
  replace_all(text, "&gt;", ">");
  return with_words_only(with_marks_apart(" " + text + " "), " ");
}

std::string tokenised_zh(const std::string& text) {
  std::string apart;
  for (const std::string_view point : code_points(with_end_trimmed(text, true))) {
    const char* space = is_chinese_to_sacrebleu(code_point_value(point)) ? " " : "";
    (apart += space).append(point) += space;
  }
  return with_words_only(with_marks_apart(apart), " ");
}

Tokenisation suitable_tokenisation(const std::vector<std::vector<std::string>>& references) {
  int64_t han = 0, kana = 0, others = 0, spaced_words = 0;
  for (const std::vector<std::string>& texts : references) {
    for (const std::string& text : texts) {
      bool is_inside = false;
      for (const std::string_view point : code_points(text)) {
        const char32_t c = code_point_value(point);
        const bool unspaced = is_han(c) || is_kana(c) || is_other_unspaced(c);
        const bool is_letter = !unspaced && is_spaced_letter(c);
        han += is_han(c) ? 1 : 0;
        kana += is_kana(c) ? 1 : 0;
        others += is_other_unspaced(c) ? 1 : 0;
        spaced_words += is_letter && !is_inside ? 1 : 0;
        is_inside = is_letter;
      }
    }
  }
  constexpr int64_t characters_per_kana = 10;  // of Japanese, at most
  if (han + kana + others <= spaced_words) return Tokenisation::mteval_13a;
  if (others > han + kana || characters_per_kana * kana > han + kana)
    return Tokenisation::characters;
  return Tokenisation::chinese;
}

}  // namespace regrad::example

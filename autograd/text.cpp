#include "autograd/text.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "autograd/check.h"

namespace regrad {
namespace {

// Code points to escape (Unicode 15): C1 controls, those with the property Bidi_Control, line and
// paragraph separators, deprecated format characters, the byte order mark, interlinear annotation
// marks, U+FFFE and U+FFFF.
bool is_unsafe(char32_t c) {
  constexpr std::pair<char32_t, char32_t> unsafe[] = {
      {0x80, 0x9F},     {0x61C, 0x61C},   {0x200E, 0x200F}, {0x2028, 0x202E},
      {0x2066, 0x206F}, {0xFEFF, 0xFEFF}, {0xFFF9, 0xFFFB}, {0xFFFE, 0xFFFF}};
  return std::any_of(std::begin(unsafe), std::end(unsafe),
                     [c](const auto& range) { return c >= range.first && c <= range.second; });
}

}  // namespace

size_t code_point_length(std::string_view text, size_t position) {
  const auto byte = [&](size_t i) -> unsigned {
    return position + i < text.size() ? static_cast<unsigned char>(text[position + i]) : 0u;
  };
  const auto follows = [&](size_t i) { return (byte(i) & 0xC0u) == 0x80u; };
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

char32_t code_point_value(std::string_view code_point) {
  if (code_point.empty()) return 0;
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(code_point[i]); };
  if (code_point.size() == 1) return byte(0);
  char32_t value = byte(0) & (0x7Fu >> code_point.size());
  for (size_t i = 1; i < code_point.size(); ++i) value = (value << 6) | (byte(i) & 0x3Fu);
  return value;
}

std::string printable(std::string_view text) {
  std::string result;
  for (size_t i = 0, length; i < text.size(); i += std::max<size_t>(1, length)) {
    length = code_point_length(text, i);
    const std::string_view point = text.substr(i, length);
    const char32_t c = code_point_value(point);
    if (length == 0 || c < 0x20 || c == 0x7F) {
      result += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[i]));
    } else if (is_unsafe(c)) {
      result += fmt::format("\\u{:04x}", static_cast<uint32_t>(c));
    } else {
      result += point;
    }
  }
  return result;
}

std::string short_number(double x) { return std::isnan(x) ? "nan" : fmt::format("{:.4g}", x); }

std::string shortened(std::string_view text, size_t max_bytes) {
  if (text.size() <= max_bytes) return printable(text);
  size_t end = 0;  // between characters
  for (size_t length; end < max_bytes; end += std::max<size_t>(1, length)) {
    length = code_point_length(text, end);
    if (end + length > max_bytes) break;
  }
  return printable(text.substr(0, end)) + "..";
}

void FirstLines::add(std::string_view line) {
  if (count_ < max_lines) text_ += fmt::format("\n  {}", line);
  ++count_;
}

std::string FirstLines::text() const {
  return count_ <= max_lines ? text_ : fmt::format("{}\n  and {} more", text_, count_ - max_lines);
}

}  // namespace regrad

#include "examples/attention/unicode.h"

#include <fmt/format.h>

#include "autograd/error.h"

namespace regrad::example {

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

}  // namespace regrad::example

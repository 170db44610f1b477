// UTF-8, read strictly. A "character" is a Unicode code point.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "autograd/text.h"

namespace regrad::example {

// What some editors write before the first line of a text.
inline constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

constexpr bool between(char32_t c, char32_t first, char32_t last) {
  return c >= first && c <= last;
}

struct Range {
  char32_t first, last;
};

template <std::size_t N>
constexpr bool is_in(char32_t c, const Range (&ranges)[N]) {
  for (const Range& range : ranges) {
    if (between(c, range.first, range.last)) return true;
  }
  return false;
}

// The code points of text. Throws Error with the byte offset where text is not UTF-8.
std::vector<std::string_view> code_points(std::string_view text);

}  // namespace regrad::example

// UTF-8, read strictly. A "character" is a Unicode code point.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace regrad::example {

// The length in bytes of the code point that begins at text[position], or 0 where the bytes there
// are not UTF-8 (overlong, a surrogate, above U+10FFFF, cut off).
std::size_t code_point_length(std::string_view text, std::size_t position);

// The code points of text. Throws Error with the byte offset where text is not UTF-8.
std::vector<std::string_view> code_points(std::string_view text);

// The number of a code point, as cut out by code_points().
char32_t code_point_value(std::string_view code_point);

}  // namespace regrad::example

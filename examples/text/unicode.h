// UTF-8, read strictly. A "character" is a Unicode code point.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "autograd/text.h"

namespace regrad::example {

// What some editors write before the first line of a text.
inline constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

// The code points of text. Throws Error with the byte offset where text is not UTF-8.
std::vector<std::string_view> code_points(std::string_view text);

}  // namespace regrad::example

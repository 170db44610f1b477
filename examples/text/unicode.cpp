#include "examples/text/unicode.h"

#include <fmt/format.h>

#include "autograd/error.h"

namespace regrad::example {

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

}  // namespace regrad::example

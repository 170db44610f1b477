// Text of unknown origin, such as names from files, made fit for messages and terminals.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace regrad {

// The length in bytes of the code point that begins at text[position], or 0 where the bytes there
// are not UTF-8 (overlong, a surrogate, above U+10FFFF, cut off).
size_t code_point_length(std::string_view text, size_t position);

// The number of a code point of such a length.
char32_t code_point_value(std::string_view code_point);

// text with all written out that a terminal would obey and not show: control characters and bytes
// that are not UTF-8 as \x1b, marks that break a line or turn it round as \u202e.
std::string printable(std::string_view text);

// The same of its first bytes, "..", for a message that quotes it.
std::string shortened(std::string_view text, size_t most = 80);

// Lines of a message that may be many: the first thirty, and how many there are besides.
class FirstLines {
 public:
  void add(std::string_view line);
  bool empty() const { return count_ == 0; }
  std::string text() const;  // a line end before each

 private:
  static constexpr size_t most = 30;
  size_t count_ = 0;
  std::string text_;
};

}  // namespace regrad

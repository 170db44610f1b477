// Text of unknown origin, such as names from files, made safe for messages and terminals.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace regrad {

// The length in bytes of the code point that begins at text[position], or 0 where the bytes there
// are not UTF-8 (overlong, a surrogate, above U+10FFFF, cut off).
size_t code_point_length(std::string_view text, size_t position);

// The code point at text[position], given its length.
char32_t code_point_value(std::string_view code_point);

// text with everything escaped that a terminal would act on instead of showing it: control
// characters and bytes that are not UTF-8 as \x1b, line separators and bidirectional controls as
// \u202e.
std::string printable(std::string_view text);

// The same for at most the first `max_bytes`, then "..", for quoting in a message.
std::string shortened(std::string_view text, size_t max_bytes = 80);

// A number in four significant digits, "nan" whatever its sign bit.
std::string short_number(double x);

// Collects the lines of a message: shows the first thirty, and the number of the others.
class FirstLines {
 public:
  void add(std::string_view line);
  bool empty() const { return count_ == 0; }
  std::string text() const;  // a line end before each

 private:
  static constexpr size_t max_lines = 30;
  size_t count_ = 0;
  std::string text_;
};

}  // namespace regrad

#include "examples/runs/terminal.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <iostream>
#include <iterator>
#include <utility>
#include <vector>

namespace regrad::example {
namespace {

std::vector<std::string> remarks;

// "these do not fit:\n  a\n  b" as "these do not fit: a; b".
std::string in_one_line(std::string_view message) {
  std::string line;
  for (size_t end; (end = message.find("\n  ")) != message.npos; message.remove_prefix(end + 3)) {
    line += message.substr(0, end);
    line += line.ends_with(':') ? " " : "; ";
  }
  line += message;
  return line;
}

using Range = std::pair<char32_t, char32_t>;

template <std::size_t N>
bool is_in(char32_t c, const Range (&ranges)[N]) {
  return std::any_of(std::begin(ranges), std::end(ranges),
                     [c](const Range& range) { return c >= range.first && c <= range.second; });
}

int columns_of(char32_t c) {
  static constexpr Range marks[] = {
      {0x0300, 0x036F}, {0x0483, 0x0489}, {0x0591, 0x05BD}, {0x05BF, 0x05C7},
      {0x0610, 0x061A}, {0x064B, 0x065F}, {0x0670, 0x0670}, {0x06D6, 0x06DC},
      {0x0941, 0x094D}, {0x1AB0, 0x1AFF}, {0x1DC0, 0x1DFF}, {0x200B, 0x200F},
      {0x2060, 0x2064}, {0x20D0, 0x20FF}, {0xFE00, 0xFE0F}, {0xFE20, 0xFE2F}};
  static constexpr Range wide[] = {{0x1100, 0x115F},   {0x2E80, 0x303E},   {0x3041, 0xA4CF},
                                   {0xA960, 0xA97F},   {0xAC00, 0xD7A3},   {0xF900, 0xFAFF},
                                   {0xFE30, 0xFE6F},   {0xFF00, 0xFF60},   {0xFFE0, 0xFFE6},
                                   {0x1F300, 0x1F64F}, {0x1F680, 0x1F6FF}, {0x1F900, 0x1FAFF},
                                   {0x20000, 0x3FFFD}};
  return is_in(c, marks) ? 0 : is_in(c, wide) ? 2 : 1;
}

}  // namespace

void say(std::string_view message) {
  std::cerr << "attention: " << printable(in_one_line(message)) << "\n";
}

void remark(std::string message) { remarks.push_back(std::move(message)); }

void say_remarks() {
  for (const std::string& message : std::exchange(remarks, {})) say(message);
}

std::string printable_lines(std::string_view text) {
  std::string result;
  for (size_t end; (end = text.find('\n')) != text.npos; text.remove_prefix(end + 1)) {
    result += printable(text.substr(0, end)) + "\n";
  }
  return result + printable(text);
}

std::string exact_or_printable(std::string_view text) {
  static const bool is_terminal = isatty(STDOUT_FILENO) == 1;
  return is_terminal ? printable(text) : std::string(text);
}

bool obeys_escapes(int stream) {
  const char* terminal = std::getenv("TERM");
  return isatty(stream) == 1 && terminal != nullptr && std::string_view(terminal) != "dumb";
}

bool wants_colour() {
  const char* no_colour = std::getenv("NO_COLOR");
  return no_colour == nullptr || *no_colour == '\0';
}

int columns_of_terminal(int stream, int otherwise) {
  winsize size{};
  const bool known = ioctl(stream, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return known ? size.ws_col : otherwise;
}

int display_columns(std::string_view text) {
  int columns = 0;
  for (std::size_t i = 0, length; i < text.size(); i += std::max<std::size_t>(1, length)) {
    length = code_point_length(text, i);
    columns += columns_of(code_point_value(text.substr(i, length)));
  }
  return columns;
}

void reserve_standard_streams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(stream, F_GETFD) >= 0 || errno != EBADF) continue;
    // The lowest free number is this one. Opened the wrong way round, so that using it fails.
    const int file = open("/dev/null", stream == STDIN_FILENO ? O_WRONLY : O_RDONLY);
    if (file != stream) std::_Exit(1);
  }
}

}  // namespace regrad::example

#include "examples/runs/terminal.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <iostream>
#include <utility>
#include <vector>

namespace regrad::example {
namespace {

std::vector<std::string> remarks;

// "these do not fit:\n  a\n  b" as "these do not fit: a; b".
std::string in_one_line(std::string_view message) {
  std::string line;
  for (size_t at; (at = message.find("\n  ")) != message.npos; message.remove_prefix(at + 3)) {
    line += message.substr(0, at);
    line += line.ends_with(':') ? " " : "; ";
  }
  line += message;
  return line;
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

std::string answer(std::string_view text) {
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

void reserve_standard_streams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(stream, F_GETFD) >= 0 || errno != EBADF) continue;
    // The lowest free number is this one. Opened the wrong way round, so that using it fails.
    const int file = open("/dev/null", stream == STDIN_FILENO ? O_WRONLY : O_RDONLY);
    if (file != stream) std::_Exit(1);
  }
}

}  // namespace regrad::example

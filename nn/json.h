// Reads the JSON of a file's header through a small window: objects, lists of integers, and
// strings, each where the caller expects it. Anything else is an Error, at once.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "nn/files.h"

namespace regrad::nn {

class JsonReader {
 public:
  // The text is the bytes from `begin` to `end` of the file.
  JsonReader(const files::Input& file, int64_t begin, int64_t end)
      : file_(file), begin_(begin), position_(begin), end_(end) {}

  // each(name), which reads the value, for every member of an object.
  template <class F>
  void members(F each) {
    open('{');
    if (closes('}')) return;
    do {
      std::string name = next_name();
      each(name);
    } while (goes_on('}'));
  }
  // each(number) for every element of a list.
  template <class F>
  void numbers(F each) {
    open('[');
    if (closes(']')) return;
    do each(number());
    while (goes_on(']'));
  }
  std::string string(int64_t max_bytes);  // an Error where it is longer, as written
  void end();                             // an Error where more than spaces follow

  int64_t position() const { return position_; }   // in the file, bytes
  [[noreturn]] void stop(const char* what) const;  // an Error: `what` does not belong here

 private:
  [[noreturn]] void not_json() const;
  [[noreturn]] void stop_at_value();
  int byte_at(int64_t position);  // -1 at the end
  int peek() { return byte_at(position_); }
  bool take(char c);
  void need(char c);
  void skip();
  void open(char c);
  bool closes(char c);
  bool goes_on(char close);
  std::string next_name();
  uint64_t number();
  std::string rest_of_string(int64_t max_bytes);
  void escape(std::string& text);
  uint32_t code_point();
  uint32_t four_digits();

  const files::Input& file_;
  int64_t begin_, position_, end_, window_begin_ = 0;
  std::string window_, name_;
};

// text as a JSON string. An Error where it is not UTF-8.
std::string json_string(std::string_view text);

}  // namespace regrad::nn

#include "nn/json.h"

#include <algorithm>
#include <limits>

#include "autograd/check.h"
#include "autograd/text.h"

namespace regrad::nn {
namespace {

constexpr int64_t window_size = 1 << 16, max_name = 1 << 16;

bool is_utf8(std::string_view text) {
  for (size_t i = 0, size; i < text.size(); i += size) {
    size = code_point_length(text, i);
    if (size == 0) return false;
  }
  return true;
}

void add_utf8(std::string& text, uint32_t c) {
  const auto add = [&](uint32_t byte) { text += static_cast<char>(byte); };
  if (c < 0x80) return add(c);
  if (c < 0x800) {
    add(0xC0 | c >> 6);
  } else {
    if (c < 0x10000) {
      add(0xE0 | c >> 12);
    } else {
      add(0xF0 | c >> 18);
      add(0x80 | (c >> 12 & 63));
    }
    add(0x80 | (c >> 6 & 63));
  }
  add(0x80 | (c & 63));
}

constexpr std::string_view escape_names = "bfnrt\"\\/", escaped = "\b\f\n\r\t\"\\/";

}  // namespace

void JsonReader::not_json() const {
  fail("the header is not JSON at its byte {}", position_ - begin_ + 1);
}

void JsonReader::stop(const char* what) const {
  fail("the header has {} where none belongs, at \"{}\"", what, shortened(name_));
}

void JsonReader::stop_at_value() {
  const int c = peek();
  if (c == '-') stop("a negative number");
  if (c >= '0' && c <= '9') stop("a number");
  if (c == '{') stop("an object");
  if (c == '[') stop("a list");
  if (c == '"') stop("a string");
  if (c == 't' || c == 'f') stop("true or false");
  if (c == 'n') stop("null");
  not_json();
}

int JsonReader::byte_at(int64_t position) {
  if (position >= end_) return -1;
  if (position < window_begin_ ||
      position >= window_begin_ + static_cast<int64_t>(window_.size())) {
    window_ = file_.text(position, std::min(window_size, end_ - position));
    window_begin_ = position;
  }
  return static_cast<unsigned char>(window_[static_cast<size_t>(position - window_begin_)]);
}

bool JsonReader::take(char c) {
  if (peek() != static_cast<unsigned char>(c)) return false;
  ++position_;
  return true;
}

void JsonReader::need(char c) {
  if (!take(c)) not_json();
}

void JsonReader::skip() {
  while (take(' ') || take('\n') || take('\t') || take('\r')) {
  }
}

void JsonReader::open(char c) {
  skip();
  if (!take(c)) stop_at_value();
}

bool JsonReader::closes(char c) {
  skip();
  return take(c);
}

bool JsonReader::goes_on(char close) {
  skip();
  if (take(',')) return true;
  need(close);
  return false;
}

std::string JsonReader::next_name() {
  skip();
  need('"');
  name_ = rest_of_string(max_name);
  skip();
  need(':');
  return name_;
}

uint64_t JsonReader::number() {
  skip();
  const int first = peek();
  if (first < '0' || first > '9') stop_at_value();
  uint64_t value = 0;
  int64_t digits = 0;
  for (int c = first; c >= '0' && c <= '9'; c = peek(), ++digits) {
    const auto digit = static_cast<uint64_t>(c - '0');
    if (value > (std::numeric_limits<uint64_t>::max() - digit) / 10) stop("a number above 2^64");
    value = 10 * value + digit;
    ++position_;
  }
  if (first == '0' && digits > 1) not_json();
  if (peek() == '.' || peek() == 'e' || peek() == 'E') stop("a fraction");
  return value;
}

std::string JsonReader::string(int64_t max_bytes) {
  open('"');
  return rest_of_string(max_bytes);
}

// What follows the first quote. Finds its end first, to allocate once.
std::string JsonReader::rest_of_string(int64_t max_bytes) {
  int64_t close = position_;
  for (int c = byte_at(close); c != '"'; c = byte_at(++close)) {
    if (c < 0x20) {
      position_ = close;
      not_json();
    }
    if (c == '\\') ++close;
  }
  check(close - position_ <= max_bytes, "the header has a name of {} bytes; at most {} are read",
        close - position_, max_bytes);
  std::string text;
  text.reserve(static_cast<size_t>(close - position_));
  while (position_ < close) {
    const int c = peek();
    ++position_;
    if (c == '\\') {
      escape(text);
    } else {
      text += static_cast<char>(c);
    }
  }
  need('"');
  if (!is_utf8(text)) not_json();
  return text;
}

void JsonReader::escape(std::string& text) {
  const int c = peek();
  ++position_;
  if (c == 'u') return add_utf8(text, code_point());
  const size_t which = escape_names.find(static_cast<char>(c));
  if (c < 0 || which == std::string_view::npos) not_json();
  text += escaped[which];
}

uint32_t JsonReader::code_point() {
  const uint32_t first = four_digits();
  if (first < 0xD800 || first > 0xDFFF) return first;
  if (first > 0xDBFF) not_json();  // the second half of a pair, alone
  need('\\');
  need('u');
  const uint32_t second = four_digits();
  if (second < 0xDC00 || second > 0xDFFF) not_json();
  return 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
}

uint32_t JsonReader::four_digits() {
  uint32_t value = 0;
  for (int i = 0; i < 4; ++i) {
    const int c = peek(), lower = c | 0x20;
    const bool is_digit = c >= '0' && c <= '9';
    if (!is_digit && (lower < 'a' || lower > 'f')) not_json();
    value = value << 4 | static_cast<uint32_t>(is_digit ? c - '0' : lower - 'a' + 10);
    ++position_;
  }
  return value;
}

void JsonReader::end() {
  skip();
  if (position_ != end_) not_json();
}

std::string json_string(std::string_view text) {
  check(is_utf8(text), "\"{}\" is not UTF-8", shortened(text));
  std::string quoted = "\"";
  for (const char c : text) {
    const size_t which = c == '/' ? std::string_view::npos : escaped.find(c);
    if (which != std::string_view::npos) {
      quoted += '\\';
      quoted += escape_names[which];
    } else if (static_cast<unsigned char>(c) < 0x20) {
      quoted += fmt::format("\\u{:04x}", static_cast<int>(c));
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

}  // namespace regrad::nn

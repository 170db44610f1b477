// NumPy's .npy: "\x93NUMPY", version, header length, then a Python dictionary as text and the data:
//   {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }
#include <cstring>
#include <limits>
#include <optional>

#include "autograd/check.h"
#include "nn/checkpoint.h"
#include "nn/files.h"
#include "ops/ops.h"

namespace regrad::nn {
namespace {

using Kind = files::Element::Kind;

constexpr std::string_view magic = "\x93NUMPY";
constexpr int64_t header_limit = 10'000;  // NumPy's

// Reads the dictionary, whose fields may come in any order and nothing else may come at all.
class HeaderReader {
 public:
  explicit HeaderReader(std::string_view text) : rest_(text) {}

  void read() {
    expect('{');
    while (!take('}')) {
      const std::string_view field = string();
      expect(':');
      if (field == "descr" && !descr) {
        descr = string();
      } else if (field == "fortran_order" && !fortran) {
        fortran = boolean();
      } else if (field == "shape" && !shape) {
        shape = sizes();
      } else {
        fail("its header has a field \"{}\" that is unknown or came before", shortened(field));
      }
      if (!take(',')) {
        expect('}');
        break;
      }
    }
    skip();
    check(rest_.empty(), "its header goes on after the dictionary: {}", shortened(rest_));
    check(descr && fortran && shape, "its header lacks descr, fortran_order or shape");
  }

  std::optional<std::string_view> descr;
  std::optional<bool> fortran;
  std::optional<Shape> shape;

 private:
  void skip() {
    const size_t spaces = rest_.find_first_not_of(" \t\n\r\f");
    rest_.remove_prefix(std::min(spaces, rest_.size()));
  }
  bool take(char c) {
    skip();
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void expect(char c) { check(take(c), "its header should have '{}' at: {}", c, shortened(rest_)); }
  std::string_view string() {
    skip();
    const char quote = rest_.empty() ? '\0' : rest_[0];
    const size_t end = quote == '\'' || quote == '"' ? rest_.find(quote, 1) : std::string::npos;
    check(end != std::string::npos, "its header should have a string at: {}", shortened(rest_));
    const std::string_view text = rest_.substr(1, end - 1);
    rest_.remove_prefix(end + 1);
    return text;
  }
  bool boolean() {
    skip();
    for (const auto& [word, value] : {std::pair<std::string_view, bool>{"True", true},
                                      std::pair<std::string_view, bool>{"False", false}}) {
      if (rest_.starts_with(word)) {
        rest_.remove_prefix(word.size());
        return value;
      }
    }
    fail("its header should have True or False at: {}", shortened(rest_));
  }
  int64_t integer() {
    skip();
    int64_t value = 0;
    size_t digits = 0;
    for (; digits < rest_.size() && rest_[digits] >= '0' && rest_[digits] <= '9'; ++digits) {
      value = checked_add(checked_mul(value, 10), rest_[digits] - '0');
    }
    const bool padded = digits > 1 && rest_[0] == '0';  // which Python refuses
    check(digits > 0 && !padded, "its header should have a size at: {}", shortened(rest_));
    rest_.remove_prefix(digits);
    take('L');  // of Python 2's long integers
    return value;
  }
  Shape sizes() {
    Shape result;
    expect('(');
    while (!take(')')) {
      check(result.rank() < Shape::max_rank, "it has more than {} dimensions", Shape::max_rank);
      result.push_back(integer());
      if (!take(',')) {
        check(result.rank() > 1, "its shape lacks the comma of a tuple with one element");
        expect(')');
        break;
      }
    }
    return result;
  }

  std::string_view rest_;
};

files::Element element_of(std::string_view descr) {
  const auto unsupported = [&]() {
    fail("it has the dtype '{}'; bool, integers and floats of 2, 4 and 8 bytes are supported",
         shortened(descr));
  };
  if (descr.size() != 3 || std::string_view("<>|=").find(descr[0]) == std::string::npos) {
    unsupported();
  }
  const int64_t size = descr[2] - '0';
  const bool is_integer_size = size == 1 || size == 2 || size == 4 || size == 8;
  const bool big = descr[0] == '>';
  if (descr[1] == 'b' && size == 1) return {Kind::boolean, 1};
  if (descr[1] == 'i' && is_integer_size) return {Kind::integer, size, big};
  if (descr[1] == 'u' && is_integer_size) return {Kind::unsigned_integer, size, big};
  if (descr[1] != 'f' || !is_integer_size || size == 1) unsupported();
  return {Kind::real, size, big};
}

Tensor read(const std::string& path) {
  const files::Input file(path);
  check(file.size() >= 10 && file.text(0, 6) == magic, "is not an .npy file");
  const std::string version = file.text(6, 2);
  const int major = static_cast<unsigned char>(version[0]);
  check(major >= 1 && major <= 3 && version[1] == 0, "has version {}.{}; 1.0, 2.0 and 3.0 are read",
        major, static_cast<int>(static_cast<unsigned char>(version[1])));
  const int64_t width = major == 1 ? 2 : 4;
  check(file.size() >= 8 + width, "ends within its first {} bytes", 8 + width);
  uint32_t length = 0;
  file.read(8, &length, width);
  check(length <= header_limit, "announces a header of {} bytes; at most {} are allowed", length,
        header_limit);
  const int64_t data = 8 + width + length;
  check(data <= file.size(), "announces a header of {} bytes, and has {} after the first {}",
        length, file.size() - 8 - width, 8 + width);
  const std::string text = file.text(8 + width, length);
  HeaderReader header(text);
  header.read();
  const files::Element element = element_of(*header.descr);
  const int64_t bytes = checked_mul(header.shape->numel(), element.size);
  check(bytes == file.size() - data, "its shape {} and dtype need {} bytes, and it has {}",
        header.shape->str(), bytes, file.size() - data);
  if (!*header.fortran) return files::read_tensor(file, data, *header.shape, element);
  Dims order;
  Shape reversed;
  for (int64_t d = header.shape->rank() - 1; d >= 0; --d) {
    order.push_back(d);
    reversed.push_back((*header.shape)[d]);
  }
  const NoGrad guard;
  return permute(files::read_tensor(file, data, reversed, element), order).contiguous();
}

const char* descr_of(DType dtype) {
  switch (dtype) {
    case DType::float32:
      return "<f4";
    case DType::float64:
      return "<f8";
    case DType::int64:
      return "<i8";
    case DType::boolean:
      return "|b1";
  }
  return "";
}

// The bytes that NumPy writes: room for the first size to grow to 21 digits, then up to 64 bytes.
std::string header_of(const Tensor& x) {
  const Shape& shape = x.shape();
  std::string text = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}{}), }}",
                                 descr_of(x.dtype()), fmt::join(shape.begin(), shape.end(), ", "),
                                 shape.rank() == 1 ? "," : "");
  if (shape.rank() > 0) text.resize(text.size() + 21 - std::to_string(shape[0]).size(), ' ');
  text.resize((10 + text.size() + 1 + 63) / 64 * 64 - 11, ' ');
  return text + "\n";
}

}  // namespace

void save_npy(const std::string& path, const Tensor& x) {
  files::in_file("save_npy: " + path, [&] {
    const std::string header = header_of(x);
    const auto length = static_cast<uint16_t>(header.size());
    files::Output file(path);
    file.write(magic);
    file.write(std::string_view("\x01\x00", 2));
    file.write(&length, 2);
    file.write(header);
    file.write(x);
    file.commit();
  });
}

Tensor load_npy(const std::string& path) {
  return files::in_file("load_npy: " + path, [&] { return read(path); });
}

}  // namespace regrad::nn

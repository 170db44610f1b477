#include "nn/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <limits>

#include "autograd/check.h"

namespace regrad::nn::files {
namespace {

static_assert(std::endian::native == std::endian::little);

void close_file(int file) {
  if (file >= 0) ::close(file);
}

}  // namespace

void check_done(bool done, std::string_view failure) {
  if (!done) fail("{}: {}", failure, std::strerror(errno));
}

std::string_view bytes_of(const Tensor& x) {
  const auto bytes = [&]<class T>(const T* data) {
    return std::string_view(reinterpret_cast<const char*>(data),
                            static_cast<size_t>(x.numel()) * sizeof(T));
  };
  switch (x.dtype()) {
    case DType::float32:
      return bytes(x.data<float>());
    case DType::float64:
      return bytes(x.data<double>());
    case DType::int64:
      return bytes(x.data<int64_t>());
    case DType::boolean:
      return bytes(x.data<bool>());
  }
  return {};
}

Input::Input(const std::string& path)
    : file_(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC)) {
  check_done(file_ >= 0, "cannot open");
  struct stat status {};
  const bool known = ::fstat(file_, &status) == 0;
  if (known && S_ISREG(status.st_mode)) {
    size_ = status.st_size;
    return;
  }
  close_file(file_);
  fail("{}", known ? "not a regular file" : "cannot find out its size");
}

Input::~Input() { close_file(file_); }

void Input::read(int64_t offset, void* to, int64_t count) const {
  char* out = static_cast<char*>(to);
  while (count > 0) {
    const ssize_t got = ::pread(file_, out, static_cast<size_t>(count), offset);
    if (got < 0 && errno == EINTR) continue;
    check_done(got >= 0, "cannot read");
    check(got > 0, "ends after {} bytes, {} before what it announces", offset, count);
    out += got;
    offset += got;
    count -= got;
  }
}

std::string Input::text(int64_t offset, int64_t count) const {
  std::string text(static_cast<size_t>(count), '\0');
  read(offset, text.data(), count);
  return text;
}

uint32_t Input::sum(int64_t begin, int64_t end, uint32_t before) const {
  constexpr int64_t block = 1 << 16;
  std::string bytes;
  for (; begin < end; begin += block) {
    bytes.resize(static_cast<size_t>(std::min(block, end - begin)));
    read(begin, bytes.data(), static_cast<int64_t>(bytes.size()));
    before = crc32c(bytes, before);
  }
  return before;
}

std::string read_text(const std::string& path, int64_t max_bytes) {
  const Input file(path);
  check(file.size() <= max_bytes, "has {} bytes; at most {} are read", file.size(), max_bytes);
  return file.text(0, file.size());
}

DType dtype_of(const Element& element) {
  switch (element.kind) {
    case Element::Kind::boolean:
      return bool_;
    case Element::Kind::integer:
    case Element::Kind::unsigned_integer:
      return int64;
    case Element::Kind::real:
      return element.size == 8 ? float64 : float32;
    case Element::Kind::bfloat16:
      return float32;
  }
  return float32;
}

namespace {

float from_half(uint16_t half) {
  const int exponent = half >> 10 & 31, fraction = half & 1023;
  float value = 0;
  if (exponent == 31) {
    value = std::bit_cast<float>(0x7f800000u | static_cast<uint32_t>(fraction) << 13);
  } else if (exponent == 0) {
    value = static_cast<float>(fraction) * 0x1p-24f;
  } else {
    value = std::bit_cast<float>(static_cast<uint32_t>(exponent + 112) << 23 |
                                 static_cast<uint32_t>(fraction) << 13);
  }
  return (half & 0x8000) != 0 ? -value : value;
}

uint64_t bits_of(const unsigned char* bytes, const Element& element) {
  uint64_t bits = 0;
  for (int64_t i = 0; i < element.size; ++i) {
    const int64_t byte = element.big_endian ? element.size - 1 - i : i;
    bits |= static_cast<uint64_t>(bytes[i]) << (8 * byte);
  }
  return bits;
}

int64_t integer_of(uint64_t bits, const Element& element) {
  if (element.kind == Element::Kind::unsigned_integer) {
    check(bits <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max()),
          "holds the integer {}, which is too large for int64", bits);
    return static_cast<int64_t>(bits);
  }
  const int unused = static_cast<int>(64 - 8 * element.size);
  return static_cast<int64_t>(bits << unused) >> unused;  // extends the sign
}

template <class T>
T number_of(uint64_t bits, const Element& element) {
  if constexpr (std::same_as<T, bool>) {
    return bits != 0;
  } else if constexpr (std::same_as<T, int64_t>) {
    return integer_of(bits, element);
  } else if constexpr (std::same_as<T, double>) {
    return std::bit_cast<double>(bits);
  } else {
    const auto low = static_cast<uint32_t>(bits);
    if (element.kind == Element::Kind::bfloat16) return std::bit_cast<float>(low << 16);
    return element.size == 2 ? from_half(static_cast<uint16_t>(low)) : std::bit_cast<float>(low);
  }
}

template <class T>
Tensor read_as(const Input& file, int64_t offset, const Shape& shape, const Element& element) {
  Tensor x = empty(shape, regrad::dtype_of<T>, cpu);
  T* out = x.mutable_data<T>();
  const int64_t count = x.numel();
  const bool same_layout = sizeof(T) == static_cast<size_t>(element.size) && !element.big_endian &&
                           element.kind != Element::Kind::boolean &&
                           element.kind != Element::Kind::unsigned_integer;
  if (same_layout) {
    file.read(offset, out, count * element.size);
    return x;
  }
  constexpr int64_t chunk = 8192;
  unsigned char bytes[chunk * 8];
  for (int64_t done = 0; done < count; done += chunk) {
    const int64_t size = std::min(chunk, count - done);
    file.read(offset + done * element.size, bytes, size * element.size);
    for (int64_t i = 0; i < size; ++i) {
      out[done + i] = number_of<T>(bits_of(bytes + i * element.size, element), element);
    }
  }
  return x;
}

}  // namespace

Tensor read_tensor(const Input& file, int64_t offset, const Shape& shape, const Element& element) {
  switch (dtype_of(element)) {
    case DType::float32:
      return read_as<float>(file, offset, shape, element);
    case DType::float64:
      return read_as<double>(file, offset, shape, element);
    case DType::int64:
      return read_as<int64_t>(file, offset, shape, element);
    case DType::boolean:
      return read_as<bool>(file, offset, shape, element);
  }
  return {};
}

}  // namespace regrad::nn::files

#include "examples/attention/checksum.h"

#include <array>

namespace regrad::example {
namespace {

constexpr std::array<uint32_t, 256> make_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t bits = i;
    for (int k = 0; k < 8; ++k) bits = (bits >> 1) ^ ((bits & 1) != 0 ? 0x82F63B78u : 0u);
    table[i] = bits;
  }
  return table;
}

constexpr std::array<uint32_t, 256> table = make_table();

template <class T>
std::string_view bytes_of(const Tensor& x) {
  return {reinterpret_cast<const char*>(x.data<T>()), static_cast<size_t>(x.numel()) * sizeof(T)};
}

}  // namespace

uint32_t crc32c(std::string_view bytes, uint32_t before) {
  uint32_t sum = ~before;
  for (const char c : bytes) sum = (sum >> 8) ^ table[(sum ^ static_cast<unsigned char>(c)) & 255];
  return ~sum;
}

uint32_t crc32c(const Tensor& x) {
  const NoGrad guard;
  const Tensor plain = x.detach().to(cpu).contiguous();
  switch (plain.dtype()) {
    case DType::float32:
      return crc32c(bytes_of<float>(plain));
    case DType::float64:
      return crc32c(bytes_of<double>(plain));
    case DType::int64:
      return crc32c(bytes_of<int64_t>(plain));
    case DType::boolean:
      return crc32c(bytes_of<bool>(plain));
  }
  return 0;
}

}  // namespace regrad::example

#include <array>
#include <cstring>

#include "nn/files.h"

namespace regrad::nn::files {
namespace {

// tables[k][b]: what byte b does to the sum when k bytes follow it, so that eight are taken at once
// (Kounavis and Berry, 2005).
using Tables = std::array<std::array<uint32_t, 256>, 8>;

Tables make_tables() {
  Tables tables{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t bits = i;
    for (int k = 0; k < 8; ++k) bits = (bits >> 1) ^ ((bits & 1) != 0 ? 0x82F63B78u : 0u);
    tables[0][i] = bits;
  }
  for (size_t k = 1; k < 8; ++k) {
    for (size_t i = 0; i < 256; ++i) {
      const uint32_t before = tables[k - 1][i];
      tables[k][i] = (before >> 8) ^ tables[0][before & 255];
    }
  }
  return tables;
}

}  // namespace

uint32_t crc32c(std::string_view bytes, uint32_t before) {
  static const Tables tables = make_tables();
  uint32_t sum = ~before;
  while (bytes.size() >= 8) {
    uint64_t eight = 0;
    std::memcpy(&eight, bytes.data(), 8);
    eight ^= sum;
    sum = 0;
    for (size_t k = 0; k < 8; ++k) sum ^= tables[7 - k][eight >> (8 * k) & 255];
    bytes.remove_prefix(8);
  }
  for (const char c : bytes) {
    sum = (sum >> 8) ^ tables[0][(sum ^ static_cast<unsigned char>(c)) & 255];
  }
  return ~sum;
}

}  // namespace regrad::nn::files

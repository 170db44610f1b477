// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011), whose blocks
// of 128 bits serve two positions each, and numbers made of its bits: written once for vectors of
// whole numbers (ops/cpu/random.h) and plain ones, so that every backend draws the same.
#pragma once

#include <cstdint>

namespace regrad::random_bits {

// The bits of positions 2 b and 2 b + 1 from b in `even`. Multiply::of(a, b) is the product of the
// lower halves of a and b, which are 64-bit numbers.
template <class Multiply, class W>
[[gnu::always_inline]] constexpr void philox_block(uint64_t seed, W& even, W& odd) {
  constexpr uint64_t low = 0xffffffff;
  const W zero = even ^ even, x_factor = zero + 0xD2511F53, y_factor = zero + 0xCD9E8D57;
  W a = even & low, b = even >> 32, c = zero, d = zero;
  uint64_t key = seed & low, second_key = seed >> 32;
  for (int round = 0; round < 10; ++round) {
    const W x = Multiply::of(a, x_factor), y = Multiply::of(c, y_factor);
    a = (y >> 32) ^ b ^ key;
    b = y & low;
    c = (x >> 32) ^ d ^ second_key;
    d = x & low;
    key = (key + 0x9E3779B9) & low;
    second_key = (second_key + 0xBB67AE85) & low;
  }
  even = a | b << 32;
  odd = c | d << 32;
}

// [0, 1) in 24 bits, or 53.
[[gnu::always_inline]] constexpr void to_fraction(uint64_t bits, float* to) {
  *to = static_cast<float>(static_cast<int32_t>(bits >> 40)) * 0x1p-24f;
}
[[gnu::always_inline]] constexpr void to_fraction(uint64_t bits, double* to) {
  *to = static_cast<double>(static_cast<int64_t>(bits >> 11)) * 0x1p-53;
}

// (0, 1]: a logarithm's argument is never 0. float takes 32 bits, for its tails.
[[gnu::always_inline]] constexpr void to_radius(uint64_t bits, float* to) {
  *to = (static_cast<float>(bits >> 32) + 0.5f) * 0x1p-32f;
}
[[gnu::always_inline]] constexpr void to_radius(uint64_t bits, double* to) {
  *to = (static_cast<double>(bits >> 11) + 0.5) * 0x1p-53;
}

}  // namespace regrad::random_bits

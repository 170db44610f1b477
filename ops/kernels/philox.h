// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011), whose blocks
// of 128 bits serve two positions each, and numbers made of its bits: written once for vectors of
// whole numbers (ops/cpu/random.h) and plain ones, so that every backend draws the same.
#pragma once

#include <cstdint>

namespace regrad::random_bits {

// Multiply::of(a, b) is the product of the lower halves of a and b, which are 64-bit numbers; so
// upper halves hold anything.
template <int rounds, class Multiply, class W>
[[gnu::always_inline]] constexpr void philox_rounds(W& a, W& b, W& c, W& d, uint64_t key,
                                                    uint64_t second_key) {
  const W zero = a ^ a, x_factor = zero + 0xD2511F53, y_factor = zero + 0xCD9E8D57;
  const W x = Multiply::of(a, x_factor), y = Multiply::of(c, y_factor);
  a = (y >> 32) ^ b ^ key;
  b = y;
  c = (x >> 32) ^ d ^ second_key;
  d = x;
  if constexpr (rounds > 1) {
    philox_rounds<rounds - 1, Multiply>(a, b, c, d, key + 0x9E3779B9, second_key + 0xBB67AE85);
  }
}

// The bits of positions 2 b and 2 b + 1 from b in `even`.
template <class Multiply, class W>
[[gnu::always_inline]] constexpr void philox_block(uint64_t seed, W& even, W& odd) {
  constexpr uint64_t low = 0xffffffff;
  W a = even, b = even >> 32, c = even ^ even, d = c;
  philox_rounds<10, Multiply>(a, b, c, d, seed & low, seed >> 32);
  even = (a & low) | b << 32;
  odd = (c & low) | d << 32;
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

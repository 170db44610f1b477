// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011) and the
// conversion of its bits to floats. A block of 128 bits gives the numbers of two positions. Written
// once for vectors of integers (ops/cpu/random.h) and for scalars, so that every backend draws the
// same numbers.
#pragma once

#include <cstdint>

namespace regrad::random_bits {

// The four 32-bit words of the state, each in the lower half of a 64-bit W; the upper halves are
// ignored. Multiply::product(a, b) is the 64-bit product of the lower halves of a and b.
template <int rounds, class Multiply, class W>
[[gnu::always_inline]] constexpr void philox_rounds(W& a, W& b, W& c, W& d, uint64_t key,
                                                    uint64_t second_key) {
  const W zero = a ^ a, x_factor = zero + 0xD2511F53, y_factor = zero + 0xCD9E8D57;
  const W x = Multiply::product(a, x_factor), y = Multiply::product(c, y_factor);
  a = (y >> 32) ^ b ^ key;
  b = y;
  c = (x >> 32) ^ d ^ second_key;
  d = x;
  if constexpr (rounds > 1) {
    philox_rounds<rounds - 1, Multiply>(a, b, c, d, key + 0x9E3779B9, second_key + 0xBB67AE85);
  }
}

// On entry `even` holds the block's index b; on return `even` and `odd` hold the 64 random bits of
// positions 2 b and 2 b + 1.
template <class Multiply, class W>
[[gnu::always_inline]] constexpr void philox_block(uint64_t seed, W& even, W& odd) {
  constexpr uint64_t low = 0xffffffff;
  W a = even, b = even >> 32, c = even ^ even, d = c;
  philox_rounds<10, Multiply>(a, b, c, d, seed & low, seed >> 32);
  even = (a & low) | b << 32;
  odd = (c & low) | d << 32;
}

// Uniform in [0, 1), from 24 bits (float) or 53 (double).
[[gnu::always_inline]] constexpr void to_uniform(uint64_t bits, float* out) {
  *out = static_cast<float>(static_cast<int32_t>(bits >> 40)) * 0x1p-24f;
}
[[gnu::always_inline]] constexpr void to_uniform(uint64_t bits, double* out) {
  *out = static_cast<double>(static_cast<int64_t>(bits >> 11)) * 0x1p-53;
}

// Uniform in (0, 1], so that its logarithm is finite. float uses 32 bits, for the tails of the
// normal distribution.
[[gnu::always_inline]] constexpr void to_uniform_positive(uint64_t bits, float* out) {
  *out = (static_cast<float>(bits >> 32) + 0.5f) * 0x1p-32f;
}
[[gnu::always_inline]] constexpr void to_uniform_positive(uint64_t bits, double* out) {
  *out = (static_cast<double>(bits >> 11) + 0.5) * 0x1p-53;
}

}  // namespace regrad::random_bits

// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011) and
// the transform of Box and Muller (1958). A block of 128 bits serves two positions.
#include "ops/cpu/random.h"

#include "ops/cpu/vector.h"
#include "ops/random.h"

namespace regrad::simd {
namespace {

using Baseline = xsimd::sse2;
constexpr int64_t batch = 64;  // blocks at once

// out[2 i] and out[2 i + 1]: the bits of positions 2 b and 2 b + 1 with b = first + i.
void philox_blocks(int64_t count, uint64_t seed, uint64_t first, uint64_t* out) {
  constexpr uint64_t low = 0xffffffff;
  for (int64_t i = 0; i < count; ++i) {
    const uint64_t block = first + static_cast<uint64_t>(i);
    uint64_t a = block & low, b = block >> 32, c = 0, d = 0;
    uint64_t key = seed & low, second_key = seed >> 32;
    for (int round = 0; round < 10; ++round) {
      const uint64_t x = a * 0xD2511F53, y = c * 0xCD9E8D57;
      a = (y >> 32) ^ b ^ key;
      b = y & low;
      c = (x >> 32) ^ d ^ second_key;
      d = x & low;
      key = (key + 0x9E3779B9) & low;
      second_key = (second_key + 0xBB67AE85) & low;
    }
    out[2 * i] = a | b << 32;
    out[2 * i + 1] = c | d << 32;
  }
}

float fraction(uint64_t bits, float) { return static_cast<float>(bits >> 40) * 0x1p-24f; }
double fraction(uint64_t bits, double) { return static_cast<double>(bits >> 11) * 0x1p-53; }

// The logarithm's argument is never 0: (0, 1]; the angle is in [-pi, pi).
struct Polar {
  static float radius(uint64_t bits, float) {
    return (static_cast<float>(bits >> 32) + 0.5f) * 0x1p-32f;
  }
  static double radius(uint64_t bits, double) {
    return (static_cast<double>(bits >> 11) + 0.5) * 0x1p-53;
  }
  template <class T>
  static T angle(uint64_t bits) {
    return (fraction(bits, T()) - T(0.5)) * T(6.28318530717958647692);
  }
};

// body(values, i, skip, count): `count` positions from offset + i on are the values after `skip`.
template <class T, class Make>
void draw(int64_t n, T* out, uint64_t seed, uint64_t offset, const Make& make) {
  for_elements(n, [&](int64_t begin, int64_t end) {
    alignas(64) uint64_t bits[2 * batch];
    alignas(64) T values[2 * batch];
    while (begin < end) {
      const uint64_t position = offset + static_cast<uint64_t>(begin);
      const auto skip = static_cast<int64_t>(position % 2);
      const int64_t count = smaller(2 * batch - skip, end - begin);
      // Always whole vectors of blocks; a batch goes no further than the last one needed.
      const int64_t blocks = pieces_of(skip + count, 8) * 4;
      philox_blocks(blocks, seed, position / 2, bits);
      make(blocks, bits, values);
      for (int64_t i = 0; i < count; ++i) out[begin + i] = values[skip + i];
      begin += count;
    }
  });
}

template <class T>
void draw_uniform(int64_t n, T* out, uint64_t seed, uint64_t offset) {
  draw(n, out, seed, offset, [](int64_t blocks, const uint64_t* bits, T* values) {
    for (int64_t i = 0; i < 2 * blocks; ++i) values[i] = fraction(bits[i], T());
  });
}

template <class T>
void draw_normal(int64_t n, T* out, uint64_t seed, uint64_t offset) {
  using V = Vec<T, Baseline>;
  draw(n, out, seed, offset, [](int64_t blocks, const uint64_t* bits, T* values) {
    alignas(64) T radius[batch], angle[batch], sine[batch];
    for (int64_t i = 0; i < blocks; ++i) {
      radius[i] = Polar::radius(bits[2 * i], T());
      angle[i] = Polar::angle<T>(bits[2 * i + 1]);
    }
    for (int64_t i = 0; i < blocks; i += lanes_of<T, Baseline>) {
      const V length = v_sqrt(v_log(V::load_unaligned(radius + i)) * V(T(-2)));
      const V around = V::load_unaligned(angle + i);
      (length * v_cos(around)).store_unaligned(radius + i);
      (length * v_sin(around)).store_unaligned(sine + i);
    }
    for (int64_t i = 0; i < blocks; ++i) {
      values[2 * i] = radius[i];
      values[2 * i + 1] = sine[i];
    }
  });
}

}  // namespace

void uniform(int64_t n, float* out, uint64_t seed, uint64_t offset) {
  draw_uniform(n, out, seed, offset);
}
void uniform(int64_t n, double* out, uint64_t seed, uint64_t offset) {
  draw_uniform(n, out, seed, offset);
}
void normal(int64_t n, float* out, uint64_t seed, uint64_t offset) {
  draw_normal(n, out, seed, offset);
}
void normal(int64_t n, double* out, uint64_t seed, uint64_t offset) {
  draw_normal(n, out, seed, offset);
}

}  // namespace regrad::simd

namespace regrad {

uint64_t philox(uint64_t seed, uint64_t counter) {
  uint64_t bits[2];
  simd::philox_blocks(1, seed, counter / 2, bits);
  return bits[counter % 2];
}

}  // namespace regrad

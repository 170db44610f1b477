// Random numbers, each a function of (seed, position) alone (ops/kernels/philox.h).
// The bits and the uniform numbers are the same on every instruction set. The transform to normal
// numbers would differ in its rounding, and is therefore compiled only once, in random.cpp.
#pragma once

#include "ops/cpu/chunks.h"
#include "ops/cpu/math.h"
#include "ops/kernels/philox.h"

namespace regrad::simd {

template <class Arch>
using Words = typename Bits<double, Arch>::Words;  // vectors of uint64_t

// The 64-bit products of the lower 32 bits of every lane.
template <class Arch>
struct LowHalfProduct {
  static REGRAD_INLINE Words<Arch> product(Words<Arch> a, Words<Arch> b) {
#if XSIMD_WITH_SSE2
    if constexpr (sizeof(a) == 16) return (Words<Arch>)_mm_mul_epu32((__m128i)a, (__m128i)b);
#endif
#if XSIMD_WITH_AVX2
    if constexpr (sizeof(a) == 32) return (Words<Arch>)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#endif
#if XSIMD_WITH_AVX512F
    if constexpr (sizeof(a) == 64) {
      return (Words<Arch>)_mm512_maskz_mul_epu32(0xff, (__m512i)a, (__m512i)b);
    }
#endif
    constexpr uint64_t low = 0xffffffff;
    return (a & low) * (b & low);
  }
};

// even[i] and odd[i] are the bits of positions 2 b and 2 b + 1, where b = first + i. `count` is a
// multiple of the number of lanes.
template <class Arch>
void philox_blocks(int64_t count, uint64_t seed, uint64_t first, uint64_t* even, uint64_t* odd) {
  using W = Words<Arch>;
  constexpr int64_t lanes = sizeof(W) / sizeof(uint64_t);
  W block;
  for (int64_t i = 0; i < lanes; ++i) block[i] = first + static_cast<uint64_t>(i);
  for (int64_t i = 0; i < count; i += lanes, block += static_cast<uint64_t>(lanes)) {
    W a = block, b;
    random_bits::philox_block<LowHalfProduct<Arch>>(seed, a, b);
    __builtin_memcpy(even + i, &a, sizeof a);
    __builtin_memcpy(odd + i, &b, sizeof b);
  }
}

// values[2 i] and values[2 i + 1] are computed from even[i] and odd[i]; `blocks` is a multiple
// of 8.
void to_normal(int64_t blocks, float* values, const uint64_t* even, const uint64_t* odd);
void to_normal(int64_t blocks, double* values, const uint64_t* even, const uint64_t* odd);

template <class Arch, class T>
void to_uniforms(int64_t blocks, T* values, const uint64_t* even, const uint64_t* odd) {
  for (int64_t i = 0; i < blocks; ++i) {
    random_bits::to_uniform(even[i], values + 2 * i);
    random_bits::to_uniform(odd[i], values + 2 * i + 1);
  }
}

// The 24 bits of a float's two positions are packed into one 64-bit word, in memory order.
template <class Arch>
void to_uniforms(int64_t blocks, float* values, const uint64_t* even, const uint64_t* odd) {
  using W = Words<Arch>;
  using Fractions = typename Lanes<float, Arch>::Vector;
  typedef int32_t Integers __attribute__((vector_size(sizeof(W))));
  constexpr int64_t lanes = sizeof(W) / sizeof(uint64_t);
  for (int64_t i = 0; i < blocks; i += lanes) {
    W first_word, second_word;
    __builtin_memcpy(&first_word, even + i, sizeof first_word);
    __builtin_memcpy(&second_word, odd + i, sizeof second_word);
    first_word = first_word >> 40 | second_word >> 40 << 32;
    Integers both;
    __builtin_memcpy(&both, &first_word, sizeof both);
    const Fractions fractions = __builtin_convertvector(both, Fractions) * 0x1p-24f;
    __builtin_memcpy(values + 2 * i, &fractions, sizeof fractions);
  }
}

// Calls store(first, count, values) with the numbers of `count` positions from offset + first on,
// until all of [0, n) are drawn.
template <bool is_normal, class T, class Arch, class Store>
REGRAD_INLINE void draw_each(int64_t n, uint64_t seed, uint64_t offset, const Store& store) {
  constexpr int64_t batch = 64;  // Philox blocks at a time
  for_elements(n, [&](int64_t begin, int64_t end) {
    alignas(64) uint64_t even[batch], odd[batch];
    alignas(64) T values[2 * batch];
    while (begin < end) {
      const uint64_t position = offset + static_cast<uint64_t>(begin);
      const auto skipped = static_cast<int64_t>(position % 2);
      const int64_t count = min(2 * batch - skipped, end - begin);
      const int64_t blocks = ceil_div(skipped + count, 16) * 8;  // a multiple of the vector size
      philox_blocks<Arch>(blocks, seed, position / 2, even, odd);
      if constexpr (is_normal) {
        to_normal(blocks, values, even, odd);
      } else {
        to_uniforms<Arch>(blocks, values, even, odd);
      }
      store(begin, count, values + skipped);
      begin += count;
    }
  });
}

template <bool is_normal, class T, class Arch>
void draw(int64_t n, T* out, uint64_t seed, uint64_t offset) {
  draw_each<is_normal, T, Arch>(
      n, seed, offset, [&](int64_t first, int64_t count, const T* values) {
        __builtin_memcpy(out + first, values, static_cast<std::size_t>(count) * sizeof(T));
      });
}

template <class T, class Arch>
void dropout(int64_t n, T* out, const T* x, T p, T scale, uint64_t seed, uint64_t offset) {
  using V = Vec<T, Arch>;
  draw_each<false, T, Arch>(
      n, seed, offset, [&](int64_t first, int64_t count, const T* values) REGRAD_LAMBDA {
        for (int64_t i = 0; i < count; i += lanes_of<T, Arch>) {
          const int64_t left = count - i;
          const V scaled = load<T, Arch>(x + first + i, left) * V(scale);
          store<T, Arch>(out + first + i, left,
                         v_select(load<T, Arch>(values + i, left) < V(p), V(T(0)), scaled));
        }
      });
}

}  // namespace regrad::simd

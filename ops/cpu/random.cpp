// The Box-Muller transform (1958), and single Philox numbers for code that is not a kernel.
#include "ops/random.h"

#include "ops/cpu/random.h"

namespace regrad::simd {
namespace {

using Baseline = xsimd::sse2;

template <class T>
void transform(int64_t blocks, T* values, const uint64_t* even, const uint64_t* odd) {
  using V = Vec<T, Baseline>;
  constexpr int64_t lanes = lanes_of<T, Baseline>;
  for (int64_t i = 0; i < blocks; i += lanes) {
    alignas(16) T radius[lanes], angle[lanes], sine[lanes];
    for (int64_t j = 0; j < lanes; ++j) {
      random_bits::to_uniform_positive(even[i + j], radius + j);
      random_bits::to_uniform(odd[i + j], angle + j);
    }
    const V radii = v_sqrt(v_log(V::load_unaligned(radius)) * V(T(-2)));
    const V angles = (V::load_unaligned(angle) - V(T(0.5))) * V(T(6.28318530717958647692));
    (radii * v_cos(angles)).store_unaligned(radius);
    (radii * v_sin(angles)).store_unaligned(sine);
    for (int64_t j = 0; j < lanes; ++j) {
      values[2 * (i + j)] = radius[j];
      values[2 * (i + j) + 1] = sine[j];
    }
  }
}

}  // namespace

void to_normal(int64_t blocks, float* values, const uint64_t* even, const uint64_t* odd) {
  transform(blocks, values, even, odd);
}
void to_normal(int64_t blocks, double* values, const uint64_t* even, const uint64_t* odd) {
  transform(blocks, values, even, odd);
}

}  // namespace regrad::simd

namespace regrad {

uint64_t philox(uint64_t seed, uint64_t counter) {
  constexpr int64_t lanes = simd::lanes_of<double, simd::Baseline>;
  uint64_t even[lanes], odd[lanes];
  simd::philox_blocks<simd::Baseline>(lanes, seed, counter / 2, even, odd);
  return counter % 2 == 0 ? even[0] : odd[0];
}

}  // namespace regrad

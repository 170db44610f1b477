// Random numbers, each from (seed, position) alone. Not templates: compiled once, without flags of
// an instruction set, so that every table gives the same bits.
#pragma once

#include <cstdint>

namespace regrad::simd {

void uniform(int64_t n, float* out, uint64_t seed, uint64_t offset);   // 24 bits, [0, 1)
void uniform(int64_t n, double* out, uint64_t seed, uint64_t offset);  // 53 bits
void normal(int64_t n, float* out, uint64_t seed, uint64_t offset);
void normal(int64_t n, double* out, uint64_t seed, uint64_t offset);

}  // namespace regrad::simd

// The matrix product of int64, which no instruction set multiplies well: a plain loop over rows of
// B, which the compiler vectorises.
#pragma once

#include "ops/cpu/chunks.h"
#include "ops/kernels/table.h"

namespace regrad::simd {

// c[j] += factor * b[j b_stride], wrapping around.
template <class Arch>
void add_integer_row(int64_t n, int64_t* c, int64_t factor, const int64_t* b, int64_t b_stride) {
  const auto a = static_cast<uint64_t>(factor);
  if (b_stride == 1) {
    for (int64_t j = 0; j < n; ++j) {
      c[j] = static_cast<int64_t>(static_cast<uint64_t>(c[j]) + a * static_cast<uint64_t>(b[j]));
    }
  } else {
    for (int64_t j = 0; j < n; ++j) {
      c[j] = static_cast<int64_t>(static_cast<uint64_t>(c[j]) +
                                  a * static_cast<uint64_t>(b[j * b_stride]));
    }
  }
}

template <class Arch>
void integer_gemm(const Gemm<int64_t>& g) {
  int64_t batches = 1;
  for (int d = 0; d < g.batch_rank; ++d) batches *= g.batch_sizes[d];
  for_ranges(batches * g.m, max(g.n * g.k, 1), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      int64_t batch = r / g.m;
      const int64_t i = r - batch * g.m;
      const int64_t* a = g.a + i * g.a_row;
      const int64_t* b = g.b;
      int64_t* c = g.c + i * g.c_row;
      for (int d = g.batch_rank - 1; d >= 0; --d) {
        const int64_t place = batch % g.batch_sizes[d];
        batch /= g.batch_sizes[d];
        a += place * g.a_batch[d], b += place * g.b_batch[d], c += place * g.c_batch[d];
      }
      if (!g.accumulate) {
        for (int64_t j = 0; j < g.n; ++j) c[j] = g.bias == nullptr ? 0 : g.bias[j];
      }
      for (int64_t p = 0; p < g.k; ++p) {
        add_integer_row<Arch>(g.n, c, a[p * g.a_col], b + p * g.b_row, g.b_col);
      }
    }
  });
}

}  // namespace regrad::simd

// Maxima over windows of planes.
#pragma once

#include "ops/cpu/chunks.h"
#include "ops/kernels/conv.h"

namespace regrad::simd {

// The taps of output i that lie in x: [first, end), and where the first of all lies.
struct PoolTaps {
  int64_t begin, first, end;
  REGRAD_INLINE PoolTaps(const Pool& p, int d, int64_t i)
      : begin(i * p.stride[d] - p.padding[d]),
        first(begin < 0 ? ceil_div(-begin, p.dilation[d]) : 0),
        end(min(ceil_div(p.size[d] - begin, p.dilation[d]), p.kernel[d])) {}
};

template <class T>
REGRAD_INLINE void max_pool_row(const Pool& p, int64_t row, T* y, int64_t* index, const T* x) {
  const PoolTaps rows(p, 0, row);
  for (int64_t column = 0; column < p.out_size[1]; ++column) {
    const PoolTaps columns(p, 1, column);
    int64_t best = (rows.begin + rows.first * p.dilation[0]) * p.size[1] + columns.begin +
                   columns.first * p.dilation[1];
    T greatest = x[best];
    for (int64_t a = rows.first; a < rows.end; ++a) {
      const int64_t line = (rows.begin + a * p.dilation[0]) * p.size[1] + columns.begin;
      for (int64_t b = columns.first; b < columns.end; ++b) {
        const int64_t at = line + b * p.dilation[1];
        const bool wins = x[at] > greatest || (is_nan(x[at]) && !is_nan(greatest));
        best = wins ? at : best;
        greatest = wins ? x[at] : greatest;
      }
    }
    y[column] = greatest, index[column] = best;
  }
}

template <class T, class Arch>
void max_pool(const Pool& p, T* y, int64_t* index, const T* x) {
  const int64_t outputs = p.out_size[0] * p.out_size[1];
  for_ranges(p.planes, 2 * outputs * p.kernel[0] * p.kernel[1], [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      for (int64_t row = 0; row < p.out_size[0]; ++row) {
        const int64_t to = i * outputs + row * p.out_size[1];
        max_pool_row(p, row, y + to, index + to, x + i * p.size[0] * p.size[1]);
      }
    }
  });
}

}  // namespace regrad::simd

// Division by the root of the mean square: y = x rstd weight over contiguous rows.
#pragma once

#include "ops/cpu/chunks.h"
#include "ops/cpu/row_sums.h"
#include "ops/kernels/table.h"

namespace regrad::simd {

template <class T, class Arch>
void rms_norm(Rows rows, T* y, T* rstd, const T* x, const T* weight, T eps) {
  using Vector = Vec<T, Arch>;
  const int64_t n = rows.n;
  for_ranges(rows.outer, n, [&](int64_t begin, int64_t end) {
    for (int64_t o = begin; o < end; ++o) {
      const T* row = x + o * n;
      const double squares = sum_terms<T, Arch>(n, [&](int64_t i, int64_t left) REGRAD_LAMBDA {
        const Vector v = load<T, Arch>(row + i, left);
        return v * v;
      });
      const double mean = squares / static_cast<double>(n);
      rstd[o] = static_cast<T>(1 / __builtin_sqrt(mean + static_cast<double>(eps)));
      for (int64_t i = 0; i < n; i += lanes_of<T, Arch>) {
        Vector v = load<T, Arch>(row + i, n - i) * Vector(rstd[o]);
        if (weight) v *= load<T, Arch>(weight + i, n - i);
        store<T, Arch>(y + o * n + i, n - i, v);
      }
    }
  });
}

template <class T, class Arch>
void rms_norm_backward(Rows rows, T* dx, const T* g, const T* x, const T* rstd, const T* weight) {
  using Vector = Vec<T, Arch>;
  const int64_t n = rows.n;
  for_ranges(rows.outer, 2 * n, [&](int64_t begin, int64_t end) {
    for (int64_t o = begin; o < end; ++o) {
      const auto u = [&](int64_t i, int64_t left) REGRAD_LAMBDA {
        const Vector v = load<T, Arch>(g + o * n + i, left);
        return weight ? v * load<T, Arch>(weight + i, left) : v;
      };
      const auto z = [&](int64_t i, int64_t left) REGRAD_LAMBDA {
        return load<T, Arch>(x + o * n + i, left) * Vector(rstd[o]);
      };
      const double sum = sum_terms<T, Arch>(
          n, [&](int64_t i, int64_t left) REGRAD_LAMBDA { return u(i, left) * z(i, left); });
      const Vector mean(static_cast<T>(sum / static_cast<double>(n))), scale(rstd[o]);
      for (int64_t i = 0; i < n; i += lanes_of<T, Arch>)
        store<T, Arch>(dx + o * n + i, n - i, scale * (u(i, n - i) - z(i, n - i) * mean));
    }
  });
}

}  // namespace regrad::simd

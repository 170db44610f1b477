// Cross entropy of rows of logits; the softmax is never stored.
#pragma once

#include "ops/cpu/softmax.h"

namespace regrad::simd {

template <class T, class Arch>
T cross_entropy_row(int64_t n, const T* row, T shift, T log_sum, int64_t target, T smoothing) {
  using V = Vec<T, Arch>;
  T value = log_sum;
  if (smoothing < 1) value += (1 - smoothing) * (shift - row[target]);
  if (smoothing > 0) {
    const double total_distance = sum_terms<T, Arch>(n, [&](int64_t i, int64_t left) REGRAD_LAMBDA {
      return V(shift) - load<T, Arch>(row + i, left, shift);
    });
    value += smoothing * static_cast<T>(total_distance / static_cast<double>(n));
  }
  return value;
}

template <class T, class Arch>
void cross_entropy(Rows rows, T* loss, T* log_sum, const T* x, const int64_t* targets,
                   int64_t ignore, T smoothing) {
  const int64_t n = rows.n;
  if (n == 0) {  // then every target is ignored
    for (int64_t o = 0; o < rows.outer; ++o) loss[o] = log_sum[o] = T(0);
    return;
  }
  for_ranges(rows.outer, 4 * n, [&](int64_t begin, int64_t end) {
    for (int64_t first = begin; first < end; first += rows_per_group<T, Arch>(n)) {
      const int64_t count = min(rows_per_group<T, Arch>(n), end - first);
      RowValues<T, Arch> shifts, log_sums;
      row_shifts<T, Arch>(count, n, shifts.values, x + first * n);
      row_log_sums<T, Arch>(count, n, log_sums.values, x + first * n, shifts.values);
      for (int64_t r = 0; r < count; ++r) {
        const int64_t o = first + r;
        log_sum[o] = loss[o] = T(0);
        if (targets[o] == ignore) continue;
        const T shift = shifts.values[r], row_log_sum = log_sums.values[r];
        log_sum[o] = shift + row_log_sum;
        loss[o] =
            cross_entropy_row<T, Arch>(n, x + o * n, shift, row_log_sum, targets[o], smoothing);
      }
    }
  });
}

// softmax(x) = exp((x - shift) - log_sum). The saved log_sum includes the maximum; if that is
// large, the digits that the exponential needs are lost, and both parts are computed again.
template <class T, class Arch>
void cross_entropy_backward_row(int64_t n, T* dx, T g, const T* x, T log_sum, int64_t target,
                                T smoothing) {
  using V = Vec<T, Arch>;
  T shift = T(0);
  if (!(log_sum > T(-16) && log_sum < T(16))) {
    RowValues<T, Arch> shifts, log_sums;
    row_shifts<T, Arch>(1, n, shifts.values, x);
    row_log_sums<T, Arch>(1, n, log_sums.values, x, shifts.values);
    shift = shifts.values[0];
    log_sum = log_sums.values[0];
  }
  const T uniform_share = smoothing / static_cast<T>(n);
  const V row_shift(shift), row_log_sum(log_sum), uniform(uniform_share), gradient(g);
  for (int64_t i = 0; i < n; i += lanes_of<T, Arch>) {
    const V probability =
        exp_nonpositive<T, Arch>((load<T, Arch>(x + i, n - i) - row_shift) - row_log_sum);
    store<T, Arch>(dx + i, n - i, gradient * (probability - uniform));
  }
  dx[target] -= g * (T(1) - smoothing);
}

template <class T, class Arch>
void cross_entropy_backward(Rows rows, T* dx, const T* g, int64_t g_stride, const T* x,
                            const T* log_sum, const int64_t* targets, int64_t ignore, T smoothing) {
  const int64_t n = rows.n;
  for_ranges(rows.outer, 4 * n, [&](int64_t begin, int64_t end) {
    for (int64_t o = begin; o < end; ++o) {
      if (targets[o] == ignore) {
        for (int64_t i = 0; i < n; ++i) dx[o * n + i] = T(0);
      } else {
        cross_entropy_backward_row<T, Arch>(n, dx + o * n, g[o * g_stride], x + o * n, log_sum[o],
                                            targets[o], smoothing);
      }
    }
  });
}

}  // namespace regrad::simd

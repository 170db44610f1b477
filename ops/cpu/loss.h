// Cross entropy of class scores, one row each: the softmax is never stored.
#pragma once

#include "ops/cpu/softmax.h"

namespace regrad::simd {

template <class T, class Arch>
T cross_entropy_of(int64_t n, const T* row, T shift, T log_sum, int64_t target, T smoothing) {
  using V = Vec<T, Arch>;
  T value = log_sum;
  if (smoothing < 1) value += (1 - smoothing) * (shift - row[target]);
  if (smoothing > 0) {
    const double distance = sum_terms<T, Arch>(n, [&](int64_t i, int64_t left) REGRAD_LAMBDA {
      return V(shift) - load<T, Arch>(row + i, left, shift);
    });
    value += smoothing * static_cast<T>(distance / static_cast<double>(n));
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
    for (int64_t first = begin; first < end; first += group_of<T, Arch>(n)) {
      const int64_t count = min(group_of<T, Arch>(n), end - first);
      OfRows<T, Arch> shifts, log_sums;
      shifts_of_rows<T, Arch>(count, n, shifts.at, x + first * n);
      log_sums_of_rows<T, Arch>(count, n, log_sums.at, x + first * n, shifts.at);
      for (int64_t r = 0; r < count; ++r) {
        const int64_t o = first + r;
        log_sum[o] = loss[o] = T(0);
        if (targets[o] == ignore) continue;
        const T shift = shifts.at[r], rest = log_sums.at[r];
        log_sum[o] = shift + rest;
        loss[o] = cross_entropy_of<T, Arch>(n, x + o * n, shift, rest, targets[o], smoothing);
      }
    }
  });
}

// softmax(x) = exp((x - shift) - log_sum): a log_sum that includes a large maximum has lost the
// digits that its exponential needs, and is then computed again in its two parts.
template <class T, class Arch>
void cross_entropy_backward_row(int64_t n, T* dx, T g, const T* x, T log_sum, int64_t target,
                                T smoothing) {
  using V = Vec<T, Arch>;
  T shift = T(0);
  if (!(log_sum > T(-16) && log_sum < T(16))) {
    OfRows<T, Arch> shifts, log_sums;
    shifts_of_rows<T, Arch>(1, n, shifts.at, x);
    log_sums_of_rows<T, Arch>(1, n, log_sums.at, x, shifts.at);
    shift = shifts.at[0];
    log_sum = log_sums.at[0];
  }
  const T each = smoothing / static_cast<T>(n);
  const V first(shift), second(log_sum), share(each), gradient(g);
  for (int64_t i = 0; i < n; i += lanes_of<T, Arch>) {
    const V probability = exp_nonpositive<T, Arch>((load<T, Arch>(x + i, n - i) - first) - second);
    store<T, Arch>(dx + i, n - i, gradient * (probability - share));
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

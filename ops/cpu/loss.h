// Cross entropy of class scores, one row each: the softmax is never stored.
#pragma once

#include "ops/cpu/softmax.h"

namespace regrad::simd {

// A row's greatest score, and the logarithm of the sum of exp(x - greatest).
struct ScoreSum {
  double greatest, log_sum;
};

template <class T, class Arch>
REGRAD_INLINE void score_sums(int64_t count, int64_t n, ScoreSum* sums, const T* x) {
  T shift[rows_at_once] = {};
  double exponentials[rows_at_once];
  row_shifts<T, Arch>(count, n, shift, x);
  sums_of_powers<T, Arch>(count, n, exponentials, x, shift);
  for (int64_t r = 0; r < count; ++r) {
    sums[r] = {static_cast<double>(shift[r]), __builtin_log(exponentials[r])};
  }
}

template <class T, class Arch>
T cross_entropy_of(int64_t n, const T* row, const ScoreSum& sum, int64_t target, T smoothing) {
  using V = Vec<T, Arch>;
  const double s = static_cast<double>(smoothing);
  double value = sum.log_sum;
  if (s < 1) value += (1 - s) * (sum.greatest - static_cast<double>(row[target]));
  if (s > 0) {
    const T shift = static_cast<T>(sum.greatest);
    const double distance = sum_terms<T, Arch>(n, [&](int64_t i, int64_t left) REGRAD_LAMBDA {
      return V(shift) - load<T, Arch>(row + i, left, shift);
    });
    value += s * distance / static_cast<double>(n);
  }
  return static_cast<T>(value);
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
    for (int64_t first = begin; first < end; first += group_of(n)) {
      const int64_t count = smaller(group_of(n), end - first);
      ScoreSum sums[rows_at_once];
      score_sums<T, Arch>(count, n, sums, x + first * n);
      for (int64_t o = first; o < first + count; ++o) {
        const ScoreSum& sum = sums[o - first];
        const bool counts = targets[o] != ignore;
        log_sum[o] = counts ? static_cast<T>(sum.greatest + sum.log_sum) : T(0);
        loss[o] =
            counts ? cross_entropy_of<T, Arch>(n, x + o * n, sum, targets[o], smoothing) : T(0);
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
    ScoreSum sum;
    score_sums<T, Arch>(1, n, &sum, x);
    shift = static_cast<T>(sum.greatest);
    log_sum = static_cast<T>(sum.log_sum);
  }
  const T each = smoothing / static_cast<T>(n);
  const V first(shift), second(log_sum), share(each), gradient(g);
  for (int64_t i = 0; i < n; i += lanes_of<T, Arch>) {
    const V probability = share_exp<T, Arch>((load<T, Arch>(x + i, n - i) - first) - second);
    store<T, Arch>(dx + i, n - i, gradient * (probability - share));
  }
  const T wanted = T(1) - smoothing + each;
  alignas(64) T power[lanes_of<T, Arch>];
  share_exp<T, Arch>(V((x[target] - shift) - log_sum)).store_unaligned(power);
  dx[target] = g * (power[0] - wanted);
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

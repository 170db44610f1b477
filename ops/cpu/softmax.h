// Softmax and its relatives along n, shifted by the maximum so that nothing overflows, and their
// derivatives. Sums are those of reduce.h. Rows lie side by side (inner is 1); columns are taken a
// block at a time, each row of the block a vector or more.
#pragma once

#include "ops/cpu/reduce.h"

namespace regrad::simd {

// What a row is shifted by: its maximum, or 0 where that is -inf and exp(x - max) would be NaN.
template <class T>
REGRAD_INLINE T shift_of(T greatest) {
  return greatest == -infinity<T>() ? T(0) : greatest;
}

// exp(x) for x <= 0, and 0 where that is less than the smallest normal number: what is masked with
// -inf would otherwise go through denormal numbers, at a hundred times the cost.
template <class T, class Arch>
REGRAD_INLINE Vec<T, Arch> share_exp(Vec<T, Arch> x) {
  using V = Vec<T, Arch>;
  const V lowest(-exp_normal_limit<T>);
  return v_select(x < lowest, V(T(0)), exp_normal(larger_or_second(lowest, x)));
}

// sum exp(x - shift)
template <class T, class Arch>
double sum_of_exp(int64_t n, const T* x, T shift) {
  const Vec<T, Arch> by(shift);
  return sum_long_terms<T, Arch>(n, [&](int64_t i, int64_t left) REGRAD_LAMBDA {
    return share_exp<T, Arch>(load<T, Arch>(x + i, left, -infinity<T>()) - by);
  });
}

// Short rows that lie side by side are taken many at a time, each step for all of them before the
// next: the processor works on one row while another waits for its maximum or its sum, and the
// exponentials of all are one array without tails.
inline constexpr int64_t short_row = 512;
inline constexpr int64_t rows_at_once = 64;
inline constexpr int64_t group_elements = 2048;  // stays in the nearest cache

REGRAD_INLINE int64_t group_of(int64_t n) {
  return n <= short_row ? smaller(rows_at_once, group_elements / n) : 1;
}

template <class T, class Arch>
REGRAD_INLINE void row_shifts(int64_t count, int64_t n, T* shift, const T* x) {
  for (int64_t r = 0; r < count; ++r) shift[r] = shift_of(extreme_of<1, T, Arch>(n, x + r * n));
}

// to = x - by
template <class T, class Arch>
REGRAD_INLINE void subtract(int64_t n, T* to, const T* x, T by) {
  const Vec<T, Arch> number(by);
  for (int64_t i = 0; i < n; i += lanes_of<T, Arch>) {
    store<T, Arch>(to + i, n - i, load<T, Arch>(x + i, n - i) - number);
  }
}

// powers = exp(x - shift) of a group of short rows, and the sum of each.
template <class T, class Arch>
void powers_of_short(int64_t count, int64_t n, T* powers, double* sums, const T* x,
                     const T* shift) {
  for (int64_t r = 0; r < count; ++r) subtract<T, Arch>(n, powers + r * n, x + r * n, shift[r]);
  const int64_t all = count * n;
  for (int64_t i = 0; i < all; i += lanes_of<T, Arch>) {
    store<T, Arch>(powers + i, all - i, share_exp<T, Arch>(load<T, Arch>(powers + i, all - i)));
  }
  for (int64_t r = 0; r < count; ++r) sums[r] = sum_of<T, Arch>(n, powers + r * n);
}

// The sums alone, of any group.
template <class T, class Arch>
void sums_of_powers(int64_t count, int64_t n, double* sums, const T* x, const T* shift) {
  if (n > short_row) {
    sums[0] = sum_of_exp<T, Arch>(n, x, shift[0]);
  } else {
    alignas(64) T powers[group_elements];
    powers_of_short<T, Arch>(count, n, powers, sums, x, shift);
  }
}

template <class T, class Arch>
void logsumexp_rows(int64_t count, int64_t n, T* out, const T* x) {
  T shift[rows_at_once] = {};
  double sums[rows_at_once];
  row_shifts<T, Arch>(count, n, shift, x);
  sums_of_powers<T, Arch>(count, n, sums, x, shift);
  for (int64_t r = 0; r < count; ++r) {
    const double log_sum = static_cast<double>(shift[r]) + __builtin_log(sums[r]);
    out[r] = shift[r] == infinity<T>() ? shift[r] : static_cast<T>(log_sum);
  }
}

template <class T, class Arch>
REGRAD_INLINE double powers_of_row(int64_t n, T* powers, const T* x, T shift) {
  using V = Vec<T, Arch>;
  const V by(shift);
  return sum_long_terms<T, Arch>(n, [&](int64_t i, int64_t left) REGRAD_LAMBDA {
    const V power = share_exp<T, Arch>(load<T, Arch>(x + i, left, -infinity<T>()) - by);
    store<T, Arch>(powers + i, left, power);
    return power;
  });
}

template <class T, class Arch>
void softmax_rows(int64_t count, int64_t n, T* y, const T* x) {
  using V = Vec<T, Arch>;
  T shift[rows_at_once] = {};
  double sums[rows_at_once];
  row_shifts<T, Arch>(count, n, shift, x);
  if (n > short_row) {
    sums[0] = powers_of_row<T, Arch>(n, y, x, shift[0]);
  } else {
    powers_of_short<T, Arch>(count, n, y, sums, x, shift);
  }
  for (int64_t r = 0; r < count; ++r) {
    const V by(sums[r] == 0 ? T(0) : static_cast<T>(1 / sums[r]));
    T* to = y + r * n;
    for (int64_t i = 0; i < n; i += lanes_of<T, Arch>) {
      store<T, Arch>(to + i, n - i, load<T, Arch>(to + i, n - i) * by);
    }
  }
}

// y = (x - max) - log(sum): two steps, so that what both have in common does not cost digits.
template <class T, class Arch>
void log_softmax_rows(int64_t count, int64_t n, T* y, const T* x) {
  using V = Vec<T, Arch>;
  T shift[rows_at_once] = {};
  double sums[rows_at_once];
  row_shifts<T, Arch>(count, n, shift, x);
  sums_of_powers<T, Arch>(count, n, sums, x, shift);
  for (int64_t r = 0; r < count; ++r) {
    const V by(shift[r]), log_sum(sums[r] == 0 ? T(0) : static_cast<T>(__builtin_log(sums[r])));
    const T* from = x + r * n;
    T* to = y + r * n;
    for (int64_t i = 0; i < n; i += lanes_of<T, Arch>) {
      store<T, Arch>(to + i, n - i, load<T, Arch>(from + i, n - i) - by - log_sum);
    }
  }
}

template <bool of_log, class T, class Arch>
void softmax_backward_rows(int64_t count, int64_t n, T* dx, const T* g, const T* y) {
  using V = Vec<T, Arch>;
  T sums[rows_at_once];
  for (int64_t r = 0; r < count; ++r) {
    const T* gradients = g + r * n;
    const T* results = y + r * n;
    sums[r] = static_cast<T>(sum_terms<T, Arch>(n, [&](int64_t i, int64_t left) REGRAD_LAMBDA {
      const V gradient = load<T, Arch>(gradients + i, left);
      return of_log ? gradient : gradient * load<T, Arch>(results + i, left);
    }));
  }
  for (int64_t r = 0; r < count; ++r) {
    const V sum(sums[r]);
    const int64_t row = r * n;
    for (int64_t i = 0; i < n; i += lanes_of<T, Arch>) {
      const V gradient = load<T, Arch>(g + row + i, n - i), at = load<T, Arch>(y + row + i, n - i);
      store<T, Arch>(dx + row + i, n - i,
                     of_log ? gradient - share_exp<T, Arch>(at) * sum : at * (gradient - sum));
    }
  }
}

// ---- columns

inline constexpr int64_t softmax_columns = 128;

// total[j] = sum over n of term(i, j, left), for a block of columns.
template <class T, class Arch, class Term>
REGRAD_INLINE void sum_columns(int64_t n, int64_t columns, double* total, const Term& term) {
  using V = Vec<T, Arch>;
  alignas(64) T part[softmax_columns];
  for (int64_t j = 0; j < columns; ++j) total[j] = 0;
  for (int64_t begin = 0; begin < n; begin += 64) {
    const int64_t end = smaller(begin + 64, n);
    for (int64_t j = 0; j < columns; j += lanes_of<T, Arch>) V(T(0)).store_unaligned(part + j);
    for (int64_t i = begin; i < end; ++i) {
      for (int64_t j = 0; j < columns; j += lanes_of<T, Arch>) {
        (V::load_unaligned(part + j) + term(i, j, columns - j)).store_unaligned(part + j);
      }
    }
    for (int64_t j = 0; j < columns; ++j) total[j] += static_cast<double>(part[j]);
  }
}

// The maximum of every column, or 0 where it is -inf.
template <class T, class Arch>
void column_shifts(int64_t n, int64_t columns, T* shift, const T* x, int64_t stride) {
  accumulate_columns<Reducer<Reduction::max, T, Arch>, T, Arch>(n, columns, shift, x, stride);
  for (int64_t j = 0; j < columns; ++j) shift[j] = shift_of(shift[j]);
}

template <class T, class Arch>
void softmax_block(int64_t n, int64_t columns, int64_t stride, T* y, const T* x) {
  using V = Vec<T, Arch>;
  alignas(64) T shift[softmax_columns] = {};
  double sum[softmax_columns];
  column_shifts<T, Arch>(n, columns, shift, x, stride);
  sum_columns<T, Arch>(n, columns, sum, [&](int64_t i, int64_t j, int64_t left) REGRAD_LAMBDA {
    const V power =
        share_exp<T, Arch>(load<T, Arch>(x + i * stride + j, left) - V::load_unaligned(shift + j));
    store<T, Arch>(y + i * stride + j, left, power);
    return power;
  });
  for (int64_t j = 0; j < columns; ++j) {
    shift[j] = sum[j] == 0 ? T(0) : static_cast<T>(1 / sum[j]);
  }
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < columns; j += lanes_of<T, Arch>) {
      T* at = y + i * stride + j;
      store<T, Arch>(at, columns - j,
                     load<T, Arch>(at, columns - j) * V::load_unaligned(shift + j));
    }
  }
}

// The column sums of exp(x - shift).
template <class T, class Arch>
void exp_sums(int64_t n, int64_t columns, int64_t stride, const T* shift, double* sum, const T* x) {
  using V = Vec<T, Arch>;
  sum_columns<T, Arch>(n, columns, sum, [&](int64_t i, int64_t j, int64_t left) REGRAD_LAMBDA {
    return share_exp<T, Arch>(load<T, Arch>(x + i * stride + j, left) -
                              V::load_unaligned(shift + j));
  });
}

template <class T, class Arch>
void log_softmax_block(int64_t n, int64_t columns, int64_t stride, T* y, const T* x) {
  using V = Vec<T, Arch>;
  alignas(64) T shift[softmax_columns] = {}, log_sum[softmax_columns] = {};
  double sum[softmax_columns];
  column_shifts<T, Arch>(n, columns, shift, x, stride);
  exp_sums<T, Arch>(n, columns, stride, shift, sum, x);
  for (int64_t j = 0; j < columns; ++j) {
    log_sum[j] = sum[j] == 0 ? T(0) : static_cast<T>(__builtin_log(sum[j]));
  }
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < columns; j += lanes_of<T, Arch>) {
      const V at = load<T, Arch>(x + i * stride + j, columns - j);
      store<T, Arch>(y + i * stride + j, columns - j,
                     at - V::load_unaligned(shift + j) - V::load_unaligned(log_sum + j));
    }
  }
}

template <class T, class Arch>
void logsumexp_block(int64_t n, int64_t columns, int64_t stride, T* out, const T* x) {
  alignas(64) T shift[softmax_columns] = {};
  double sum[softmax_columns];
  column_shifts<T, Arch>(n, columns, shift, x, stride);
  exp_sums<T, Arch>(n, columns, stride, shift, sum, x);
  for (int64_t j = 0; j < columns; ++j) {
    const double at = static_cast<double>(shift[j]);
    out[j] = shift[j] == infinity<T>() ? shift[j] : static_cast<T>(at + __builtin_log(sum[j]));
  }
}

template <bool of_log, class T, class Arch>
void softmax_backward_block(int64_t n, int64_t columns, int64_t stride, T* dx, const T* g,
                            const T* y) {
  using V = Vec<T, Arch>;
  double sum[softmax_columns];
  alignas(64) T sums[softmax_columns] = {};
  sum_columns<T, Arch>(n, columns, sum, [&](int64_t i, int64_t j, int64_t left) REGRAD_LAMBDA {
    const V gradient = load<T, Arch>(g + i * stride + j, left);
    return of_log ? gradient : gradient * load<T, Arch>(y + i * stride + j, left);
  });
  for (int64_t j = 0; j < columns; ++j) sums[j] = static_cast<T>(sum[j]);
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < columns; j += lanes_of<T, Arch>) {
      const int64_t at = i * stride + j, left = columns - j;
      const V gradient = load<T, Arch>(g + at, left), value = load<T, Arch>(y + at, left);
      const V total = V::load_unaligned(sums + j);
      store<T, Arch>(
          dx + at, left,
          of_log ? gradient - share_exp<T, Arch>(value) * total : value * (gradient - total));
    }
  }
}

// ---- all rows, or all blocks of columns

// group(count, n, out, x...) for a few rows at once, or block(n, columns, inner, out, x...) for
// each block of columns; `out` has the shape of x, or only [outer, inner].
template <bool reduces, auto group, auto block, class Arch, class T, class... In>
void each_row_or_block(Rows rows, T* out, const In*... x) {
  const int64_t n = rows.n, inner = rows.inner;
  if (n == 0) return;
  if (inner == 1) {
    for_ranges(rows.outer, 4 * n, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i += group_of(n)) {
        group(smaller(group_of(n), end - i), n, out + (reduces ? i : i * n), (x + i * n)...);
      }
    });
    return;
  }
  const int64_t blocks = pieces_of(inner, softmax_columns);
  for_ranges(rows.outer * blocks, 4 * n * smaller(inner, softmax_columns),
             [&](int64_t begin, int64_t end) {
               for (int64_t i = begin; i < end; ++i) {
                 const int64_t o = i / blocks, first = i % blocks * softmax_columns;
                 const int64_t at = o * n * inner + first;
                 block(n, smaller(softmax_columns, inner - first), inner,
                       out + (reduces ? o * inner + first : at), (x + at)...);
               }
             });
}

template <class T, class Arch>
void softmax(Rows rows, T* y, const T* x) {
  each_row_or_block<false, softmax_rows<T, Arch>, softmax_block<T, Arch>, Arch>(rows, y, x);
}

template <class T, class Arch>
void log_softmax(Rows rows, T* y, const T* x) {
  each_row_or_block<false, log_softmax_rows<T, Arch>, log_softmax_block<T, Arch>, Arch>(rows, y, x);
}

template <class T, class Arch>
void logsumexp(Rows rows, T* out, const T* x) {
  if (rows.n == 0) {
    for (int64_t i = 0; i < rows.outer * rows.inner; ++i) out[i] = -infinity<T>();
  }
  each_row_or_block<true, logsumexp_rows<T, Arch>, logsumexp_block<T, Arch>, Arch>(rows, out, x);
}

template <bool of_log, class T, class Arch>
void softmax_backward(Rows rows, T* dx, const T* g, const T* y) {
  each_row_or_block<false, softmax_backward_rows<of_log, T, Arch>,
                    softmax_backward_block<of_log, T, Arch>, Arch>(rows, dx, g, y);
}

}  // namespace regrad::simd

// Softmax and its relatives along n, shifted by the maximum so that nothing overflows, and their
// derivatives. Rows lie side by side (inner is 1) and are taken in the groups of row_sums.h;
// columns are taken a block at a time, each row of the block a vector or more.
#pragma once

#include "ops/cpu/math.h"
#include "ops/cpu/reduce.h"

namespace regrad::simd {

// What a row is shifted by: its maximum, or 0 where that is -inf and exp(x - max) would be NaN.
template <class T, class Arch>
REGRAD_INLINE Vec<T, Arch> shift_of(Vec<T, Arch> greatest) {
  using V = Vec<T, Arch>;
  return v_select(greatest == V(-infinity<T>()), V(T(0)), greatest);
}

// shift = the maxima of a group of rows. A NaN may be lost, but not in what is made with it.
template <class T, class Arch>
void shifts_of_rows(int64_t count, int64_t n, T* shift, const T* x) {
  using V = Vec<T, Arch>;
  const V greatest = fold_terms<LargerNumber, T, Arch>(
      count, n, -infinity<T>(), [&](int64_t r, int64_t i, int64_t left) REGRAD_LAMBDA {
        return load<T, Arch>(x + r * n + i, left, -infinity<T>());
      });
  shift_of<T, Arch>(greatest).store_unaligned(shift);
}

// sum exp(x - shift) of each row. keep(r, i, power) is told of each vector of powers.
template <class T, class Arch, class Keep>
REGRAD_INLINE Vec<T, Arch> sums_of_powers(int64_t count, int64_t n, const T* x, const T* shift,
                                          const Keep& keep) {
  using V = Vec<T, Arch>;
  return sum_rows<T, Arch>(count, n, [&](int64_t r, int64_t begin, int64_t end) REGRAD_LAMBDA {
    const V by(shift[r]);
    return sum_long_span<T, Arch>(begin, end, [&](int64_t i, int64_t left) REGRAD_LAMBDA {
      const V from = load<T, Arch>(x + r * n + i, left, -infinity<T>());
      const V power = exp_nonpositive<T, Arch>(from - by);
      keep(r, i, power);
      return power;
    });
  });
}

// log_sum = log(sum exp(x - shift)) of each row of a group
template <class T, class Arch>
void log_sums_of_rows(int64_t count, int64_t n, T* log_sum, const T* x, const T* shift) {
  const auto keep = [](int64_t, int64_t, Vec<T, Arch>) REGRAD_LAMBDA {};
  v_log(sums_of_powers<T, Arch>(count, n, x, shift, keep)).store_unaligned(log_sum);
}

template <class T, class Arch>
void logsumexp_rows(int64_t count, int64_t n, T* out, const T* x) {
  OfRows<T, Arch> shift, log_sum;
  shifts_of_rows<T, Arch>(count, n, shift.at, x);
  log_sums_of_rows<T, Arch>(count, n, log_sum.at, x, shift.at);
  for (int64_t r = 0; r < count; ++r) {
    const bool has_infinity = shift.at[r] == infinity<T>();
    out[r] = has_infinity ? extreme_of<1, T, Arch>(n, x + r * n) : shift.at[r] + log_sum.at[r];
  }
}

// The powers of short rows are kept as whole vectors: what was written in part cannot be read again
// at once. Those of a long row take its place in y.
template <class T, class Arch>
void softmax_rows(int64_t count, int64_t n, T* y, const T* x) {
  using V = Vec<T, Arch>;
  constexpr int64_t lanes = lanes_of<T, Arch>;
  OfRows<T, Arch> row;
  alignas(64) T short_powers[group_elements + lanes * lanes];
  const bool is_short = n <= sum_block;
  T* powers = is_short ? short_powers : y;
  const int64_t stride = is_short ? ceil_div(n, lanes) * lanes : n;
  shifts_of_rows<T, Arch>(count, n, row.at, x);
  const auto keep = [&](int64_t r, int64_t i, V power) REGRAD_LAMBDA {
    store<T, Arch>(powers + r * stride + i, stride - i, power);
  };
  const V sums = sums_of_powers<T, Arch>(count, n, x, row.at, keep);
  v_select(sums == V(T(0)), sums, V(T(1)) / sums).store_unaligned(row.at);
  for (int64_t r = 0; r < count; ++r) {
    const V factor(row.at[r]);
    for (int64_t i = 0; i < n; i += lanes) {
      const V power = load<T, Arch>(powers + r * stride + i, stride - i);
      store<T, Arch>(y + r * n + i, n - i, power * factor);
    }
  }
}

// y = (x - max) - log(sum): two steps, so that what both have in common does not cost digits.
template <class T, class Arch>
void log_softmax_rows(int64_t count, int64_t n, T* y, const T* x) {
  using V = Vec<T, Arch>;
  OfRows<T, Arch> shift, log_sum;
  shifts_of_rows<T, Arch>(count, n, shift.at, x);
  log_sums_of_rows<T, Arch>(count, n, log_sum.at, x, shift.at);
  for (int64_t r = 0; r < count; ++r) {
    // A row that is masked whole stays as it is.
    const V by(shift.at[r]), rest(log_sum.at[r] == -infinity<T>() ? T(0) : log_sum.at[r]);
    const T* from = x + r * n;
    T* to = y + r * n;
    for (int64_t i = 0; i < n; i += lanes_of<T, Arch>) {
      store<T, Arch>(to + i, n - i, load<T, Arch>(from + i, n - i) - by - rest);
    }
  }
}

template <bool of_log, class T, class Arch>
void softmax_backward_rows(int64_t count, int64_t n, T* dx, const T* g, const T* y) {
  using V = Vec<T, Arch>;
  OfRows<T, Arch> sums;
  sum_rows<T, Arch>(count, n, [&](int64_t r, int64_t begin, int64_t end) REGRAD_LAMBDA {
    return sum_span<T, Arch>(begin, end, [&](int64_t i, int64_t left) REGRAD_LAMBDA {
      const V gradient = load<T, Arch>(g + r * n + i, left);
      return of_log ? gradient : gradient * load<T, Arch>(y + r * n + i, left);
    });
  }).store_unaligned(sums.at);
  for (int64_t r = 0; r < count; ++r) {
    const V sum(sums.at[r]);
    const int64_t row = r * n;
    for (int64_t i = 0; i < n; i += lanes_of<T, Arch>) {
      const V gradient = load<T, Arch>(g + row + i, n - i), at = load<T, Arch>(y + row + i, n - i);
      store<T, Arch>(dx + row + i, n - i,
                     of_log ? gradient - exp_nonpositive<T, Arch>(at) * sum : at * (gradient - sum));
    }
  }
}

// ---- columns

inline constexpr int64_t softmax_columns = 128;

// A block of `count` columns of n elements. Narrow rows lie side by side as one: then columns that
// are `period` apart are parts of one, and otherwise the period is the count.
struct Columns {
  int64_t n, count, stride, period;
};

// Of narrow rows: as many side by side as there is room for, and n is a multiple of.
template <class Arch>
__attribute__((noinline)) Columns whole_columns(int64_t n, int64_t inner) {
  int64_t side = inner < 64 ? min(softmax_columns / inner, n) : 1;
  while (n % side != 0) --side;
  return {n / side, side * inner, side * inner, inner};
}

// All parts of a column get what its parts combine to.
template <class R, class Number>
__attribute__((noinline)) void join_parts(Columns c, Number* of_columns) {
  for (int64_t j = c.period, to = 0; j < c.count; ++j, to = to + 1 < c.period ? to + 1 : 0) {
    of_columns[to] = R::add(of_columns[to], of_columns[j]);
  }
  for (int64_t j = c.period, from = 0; j < c.count; ++j, ++from) of_columns[j] = of_columns[from];
}

// total[j] = sum over n of term(i, j, left), for a block of columns.
template <class T, class Arch, class Term>
REGRAD_INLINE void sum_columns(Columns c, double* total, const Term& term) {
  using V = Vec<T, Arch>;
  alignas(64) T part[softmax_columns];
  for (int64_t j = 0; j < c.count; ++j) total[j] = 0;
  for (int64_t begin = 0; begin < c.n; begin += 64) {
    const int64_t end = min(begin + 64, c.n);
    for (int64_t j = 0; j < c.count; j += lanes_of<T, Arch>) V(T(0)).store_unaligned(part + j);
    for (int64_t i = begin; i < end; ++i) {
      for (int64_t j = 0; j < c.count; j += lanes_of<T, Arch>) {
        (V::load_unaligned(part + j) + term(i, j, c.count - j)).store_unaligned(part + j);
      }
    }
    for (int64_t j = 0; j < c.count; ++j) total[j] += static_cast<double>(part[j]);
  }
  join_parts<Reducer<Reduction::sum, double, Arch>>(c, total);
}

// The maximum of every column, or 0 where it is -inf.
template <class T, class Arch>
void column_shifts(Columns c, T* shift, const T* x) {
  using Max = Reducer<Reduction::max, T, Arch>;
  accumulate_columns<Max, T, Arch>(c.n, c.count, shift, x, c.stride);
  join_parts<Max>(c, shift);
  for (int64_t j = 0; j < c.count; ++j) {
    if (shift[j] == -infinity<T>()) shift[j] = T(0);
  }
}

template <class T, class Arch>
void softmax_block(Columns c, T* y, const T* x) {
  using V = Vec<T, Arch>;
  alignas(64) T shift[softmax_columns] = {};
  double sum[softmax_columns];
  column_shifts<T, Arch>(c, shift, x);
  sum_columns<T, Arch>(c, sum, [&](int64_t i, int64_t j, int64_t left) REGRAD_LAMBDA {
    const V power = exp_nonpositive<T, Arch>(load<T, Arch>(x + i * c.stride + j, left) -
                                       V::load_unaligned(shift + j));
    store<T, Arch>(y + i * c.stride + j, left, power);
    return power;
  });
  for (int64_t j = 0; j < c.count; ++j) {
    shift[j] = sum[j] == 0 ? T(0) : static_cast<T>(1 / sum[j]);
  }
  for (int64_t i = 0; i < c.n; ++i) {
    for (int64_t j = 0; j < c.count; j += lanes_of<T, Arch>) {
      T* at = y + i * c.stride + j;
      store<T, Arch>(at, c.count - j,
                     load<T, Arch>(at, c.count - j) * V::load_unaligned(shift + j));
    }
  }
}

// The column sums of exp(x - shift).
template <class T, class Arch>
void exp_sums(Columns c, const T* shift, double* sum, const T* x) {
  using V = Vec<T, Arch>;
  sum_columns<T, Arch>(c, sum, [&](int64_t i, int64_t j, int64_t left) REGRAD_LAMBDA {
    return exp_nonpositive<T, Arch>(load<T, Arch>(x + i * c.stride + j, left) -
                              V::load_unaligned(shift + j));
  });
}

template <class T, class Arch>
void log_softmax_block(Columns c, T* y, const T* x) {
  using V = Vec<T, Arch>;
  alignas(64) T shift[softmax_columns] = {}, log_sum[softmax_columns] = {};
  double sum[softmax_columns];
  column_shifts<T, Arch>(c, shift, x);
  exp_sums<T, Arch>(c, shift, sum, x);
  for (int64_t j = 0; j < c.count; ++j) {
    log_sum[j] = sum[j] == 0 ? T(0) : static_cast<T>(__builtin_log(sum[j]));
  }
  for (int64_t i = 0; i < c.n; ++i) {
    for (int64_t j = 0; j < c.count; j += lanes_of<T, Arch>) {
      const V at = load<T, Arch>(x + i * c.stride + j, c.count - j);
      store<T, Arch>(y + i * c.stride + j, c.count - j,
                     at - V::load_unaligned(shift + j) - V::load_unaligned(log_sum + j));
    }
  }
}

template <class T, class Arch>
void logsumexp_block(Columns c, T* out, const T* x) {
  alignas(64) T shift[softmax_columns] = {};
  double sum[softmax_columns];
  column_shifts<T, Arch>(c, shift, x);
  exp_sums<T, Arch>(c, shift, sum, x);
  for (int64_t j = 0; j < c.period; ++j) {
    const double at = static_cast<double>(shift[j]);
    out[j] = shift[j] == infinity<T>() ? shift[j] : static_cast<T>(at + __builtin_log(sum[j]));
  }
}

template <bool of_log, class T, class Arch>
void softmax_backward_block(Columns c, T* dx, const T* g, const T* y) {
  using V = Vec<T, Arch>;
  double sum[softmax_columns];
  alignas(64) T sums[softmax_columns] = {};
  sum_columns<T, Arch>(c, sum, [&](int64_t i, int64_t j, int64_t left) REGRAD_LAMBDA {
    const V gradient = load<T, Arch>(g + i * c.stride + j, left);
    return of_log ? gradient : gradient * load<T, Arch>(y + i * c.stride + j, left);
  });
  for (int64_t j = 0; j < c.count; ++j) sums[j] = static_cast<T>(sum[j]);
  for (int64_t i = 0; i < c.n; ++i) {
    for (int64_t j = 0; j < c.count; j += lanes_of<T, Arch>) {
      const int64_t at = i * c.stride + j, left = c.count - j;
      const V gradient = load<T, Arch>(g + at, left), value = load<T, Arch>(y + at, left);
      const V total = V::load_unaligned(sums + j);
      store<T, Arch>(
          dx + at, left,
          of_log ? gradient - exp_nonpositive<T, Arch>(value) * total : value * (gradient - total));
    }
  }
}

// ---- all rows, or all blocks of columns

// group(count, n, out, x...) for a few rows at once, or block(columns, out, x...) for each block of
// columns; `out` has the shape of x, or only [outer, inner].
template <bool reduces, auto group, auto block, class Arch, class T, class... In>
void each_row_or_block(Rows rows, T* out, const In*... x) {
  const int64_t n = rows.n, inner = rows.inner;
  if (n == 0 || inner == 0) return;
  if (inner == 1) {
    const int64_t each = group_of<T, Arch>(n * static_cast<int64_t>(sizeof...(In)));
    for_ranges(rows.outer, 4 * n, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i += each) {
        group(min(each, end - i), n, out + (reduces ? i : i * n), (x + i * n)...);
      }
    });
    return;
  }
  const int64_t blocks = ceil_div(inner, softmax_columns);
  const Columns whole = whole_columns<Arch>(n, inner);
  for_ranges(rows.outer * blocks, 4 * n * min(inner, softmax_columns),
             [&](int64_t begin, int64_t end) {
               for (int64_t i = begin; i < end; ++i) {
                 const int64_t o = i / blocks, first = i % blocks * softmax_columns;
                 const int64_t at = o * n * inner + first;
                 const int64_t count = min(softmax_columns, inner - first);
                 block(blocks == 1 ? whole : Columns{n, count, inner, count},
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

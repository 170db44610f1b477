// Softmax, log-softmax and logsumexp along n, shifted by the maximum so that nothing overflows, and
// the derivatives of the first two. Contiguous rows (inner is 1) are processed in the groups of
// row_sums.h; otherwise a block of adjacent columns is processed at a time, vector by vector.
#pragma once

#include "ops/cpu/math.h"
#include "ops/cpu/reduce.h"

namespace regrad::simd {

// The shift of a row: its maximum, or 0 if that is -inf, as exp(-inf - -inf) would be NaN.
template <class T, class Arch>
REGRAD_INLINE Vec<T, Arch> softmax_shift(Vec<T, Arch> row_max) {
  using V = Vec<T, Arch>;
  return v_select(row_max == V(-infinity<T>()), V(T(0)), row_max);
}

// The shifts of a group of rows. The maximum may ignore a NaN: exp(NaN - shift) is NaN anyway.
template <class T, class Arch>
void row_shifts(int64_t count, int64_t n, T* shift, const T* x) {
  using V = Vec<T, Arch>;
  const V row_max = fold_terms<FastMax, T, Arch>(
      count, n, -infinity<T>(), [&](int64_t r, int64_t i, int64_t left) REGRAD_LAMBDA {
        return load<T, Arch>(x + r * n + i, left, -infinity<T>());
      });
  softmax_shift<T, Arch>(row_max).store_unaligned(shift);
}

// sum exp(x - shift) of each row. store_exp(r, i, e) is called with each vector of exponentials.
template <class T, class Arch, class StoreExp>
REGRAD_INLINE Vec<T, Arch> row_exp_sums(int64_t count, int64_t n, const T* x, const T* shift,
                                        const StoreExp& store_exp) {
  using V = Vec<T, Arch>;
  return sum_rows<T, Arch>(count, n, [&](int64_t r, int64_t begin, int64_t end) REGRAD_LAMBDA {
    const V row_shift(shift[r]);
    return sum_long_span<T, Arch>(begin, end, [&](int64_t i, int64_t left) REGRAD_LAMBDA {
      const V value = load<T, Arch>(x + r * n + i, left, -infinity<T>());
      const V e = exp_nonpositive<T, Arch>(value - row_shift);
      store_exp(r, i, e);
      return e;
    });
  });
}

// log_sum = log(sum exp(x - shift)) of each row of a group
template <class T, class Arch>
void row_log_sums(int64_t count, int64_t n, T* log_sum, const T* x, const T* shift) {
  const auto store_exp = [](int64_t, int64_t, Vec<T, Arch>) REGRAD_LAMBDA {};
  v_log(row_exp_sums<T, Arch>(count, n, x, shift, store_exp)).store_unaligned(log_sum);
}

template <class T, class Arch>
void logsumexp_rows(int64_t count, int64_t n, T* out, const T* x) {
  RowValues<T, Arch> shift, log_sum;
  row_shifts<T, Arch>(count, n, shift.values, x);
  row_log_sums<T, Arch>(count, n, log_sum.values, x, shift.values);
  for (int64_t r = 0; r < count; ++r) {
    const bool has_infinity = shift.values[r] == infinity<T>();
    out[r] =
        has_infinity ? extremum<1, T, Arch>(n, x + r * n) : shift.values[r] + log_sum.values[r];
  }
}

// The exponentials of short rows are stored as full vectors in a buffer: reading back a partially
// written vector would stall. Those of a long row are stored in y.
template <class T, class Arch>
void softmax_rows(int64_t count, int64_t n, T* y, const T* x) {
  using V = Vec<T, Arch>;
  constexpr int64_t lanes = lanes_of<T, Arch>;
  RowValues<T, Arch> row;
  alignas(64) T short_exps[group_elements + lanes * lanes];
  const bool is_short = n <= sum_block;
  T* exps = is_short ? short_exps : y;
  const int64_t stride = is_short ? ceil_div(n, lanes) * lanes : n;
  row_shifts<T, Arch>(count, n, row.values, x);
  const auto store_exp = [&](int64_t r, int64_t i, V e) REGRAD_LAMBDA {
    store<T, Arch>(exps + r * stride + i, stride - i, e);
  };
  const V sums = row_exp_sums<T, Arch>(count, n, x, row.values, store_exp);
  v_select(sums == V(T(0)), sums, V(T(1)) / sums).store_unaligned(row.values);
  for (int64_t r = 0; r < count; ++r) {
    const V factor(row.values[r]);
    for (int64_t i = 0; i < n; i += lanes) {
      const V e = load<T, Arch>(exps + r * stride + i, stride - i);
      store<T, Arch>(y + r * n + i, n - i, e * factor);
    }
  }
}

// y = (x - max) - log(sum), in two steps: max + log(sum) would lose digits of the logarithm.
template <class T, class Arch>
void log_softmax_rows(int64_t count, int64_t n, T* y, const T* x) {
  using V = Vec<T, Arch>;
  RowValues<T, Arch> shift, log_sum;
  row_shifts<T, Arch>(count, n, shift.values, x);
  row_log_sums<T, Arch>(count, n, log_sum.values, x, shift.values);
  for (int64_t r = 0; r < count; ++r) {
    // A row of -inf alone stays -inf.
    const V row_shift(shift.values[r]),
        row_log_sum(log_sum.values[r] == -infinity<T>() ? T(0) : log_sum.values[r]);
    const T* x_row = x + r * n;
    T* y_row = y + r * n;
    for (int64_t i = 0; i < n; i += lanes_of<T, Arch>) {
      store<T, Arch>(y_row + i, n - i, load<T, Arch>(x_row + i, n - i) - row_shift - row_log_sum);
    }
  }
}

template <bool is_log, class T, class Arch>
void softmax_backward_rows(int64_t count, int64_t n, T* dx, const T* g, const T* y) {
  using V = Vec<T, Arch>;
  RowValues<T, Arch> sums;
  sum_rows<T, Arch>(count, n, [&](int64_t r, int64_t begin, int64_t end) REGRAD_LAMBDA {
    return sum_span<T, Arch>(begin, end, [&](int64_t i, int64_t left) REGRAD_LAMBDA {
      const V gradient = load<T, Arch>(g + r * n + i, left);
      return is_log ? gradient : gradient * load<T, Arch>(y + r * n + i, left);
    });
  }).store_unaligned(sums.values);
  for (int64_t r = 0; r < count; ++r) {
    const V sum(sums.values[r]);
    const int64_t offset = r * n;
    for (int64_t i = 0; i < n; i += lanes_of<T, Arch>) {
      const V gradient = load<T, Arch>(g + offset + i, n - i),
              output = load<T, Arch>(y + offset + i, n - i);
      store<T, Arch>(
          dx + offset + i, n - i,
          is_log ? gradient - exp_nonpositive<T, Arch>(output) * sum : output * (gradient - sum));
    }
  }
}

// ---- columns

inline constexpr int64_t softmax_columns = 128;

// A block of `count` columns of n elements, rows `stride` apart. If the rows are narrow, several
// consecutive rows are viewed as one wide row: columns j, j + period, j + 2 period, ... of the
// block are then parts of one column. Otherwise the period is the count.
struct Columns {
  int64_t n, count, stride, period;
};

// All columns as one block. Narrow rows are joined, as many as fit a block and divide n.
template <class Arch>
__attribute__((noinline)) Columns make_columns(int64_t n, int64_t inner) {
  int64_t grid_side = inner < 64 ? min(softmax_columns / inner, n) : 1;
  while (n % grid_side != 0) --grid_side;
  return {n / grid_side, grid_side * inner, grid_side * inner, inner};
}

// Combines the parts of each column, and stores the result in the place of every part.
template <class R, class Number>
__attribute__((noinline)) void combine_parts(Columns c, Number* values) {
  for (int64_t j = c.period, first = 0; j < c.count;
       ++j, first = first + 1 < c.period ? first + 1 : 0) {
    values[first] = R::combine(values[first], values[j]);
  }
  for (int64_t j = c.period, first = 0; j < c.count; ++j, ++first) values[j] = values[first];
}

// total[j] = sum over i of term(i, j, left), for a block of columns; 64 rows at a time are summed
// in T, and those sums in double.
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
  combine_parts<Reducer<Reduction::sum, double, Arch>>(c, total);
}

// The shift of every column: its maximum, or 0 if that is -inf.
template <class T, class Arch>
void column_shifts(Columns c, T* shift, const T* x) {
  using Max = Reducer<Reduction::max, T, Arch>;
  accumulate_columns<Max, T, Arch>(c.n, c.count, shift, x, c.stride);
  combine_parts<Max>(c, shift);
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
    const V e = exp_nonpositive<T, Arch>(load<T, Arch>(x + i * c.stride + j, left) -
                                         V::load_unaligned(shift + j));
    store<T, Arch>(y + i * c.stride + j, left, e);
    return e;
  });
  for (int64_t j = 0; j < c.count; ++j) {
    shift[j] = sum[j] == 0 ? T(0) : static_cast<T>(1 / sum[j]);
  }
  for (int64_t i = 0; i < c.n; ++i) {
    for (int64_t j = 0; j < c.count; j += lanes_of<T, Arch>) {
      T* e = y + i * c.stride + j;
      store<T, Arch>(e, c.count - j, load<T, Arch>(e, c.count - j) * V::load_unaligned(shift + j));
    }
  }
}

// The column sums of exp(x - shift).
template <class T, class Arch>
void column_exp_sums(Columns c, const T* shift, double* sum, const T* x) {
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
  column_exp_sums<T, Arch>(c, shift, sum, x);
  for (int64_t j = 0; j < c.count; ++j) {
    log_sum[j] = sum[j] == 0 ? T(0) : static_cast<T>(__builtin_log(sum[j]));
  }
  for (int64_t i = 0; i < c.n; ++i) {
    for (int64_t j = 0; j < c.count; j += lanes_of<T, Arch>) {
      const V value = load<T, Arch>(x + i * c.stride + j, c.count - j);
      store<T, Arch>(y + i * c.stride + j, c.count - j,
                     value - V::load_unaligned(shift + j) - V::load_unaligned(log_sum + j));
    }
  }
}

template <class T, class Arch>
void logsumexp_block(Columns c, T* out, const T* x) {
  alignas(64) T shift[softmax_columns] = {};
  double sum[softmax_columns];
  column_shifts<T, Arch>(c, shift, x);
  column_exp_sums<T, Arch>(c, shift, sum, x);
  for (int64_t j = 0; j < c.period; ++j) {
    const double max_ = static_cast<double>(shift[j]);
    out[j] = shift[j] == infinity<T>() ? shift[j] : static_cast<T>(max_ + __builtin_log(sum[j]));
  }
}

template <bool is_log, class T, class Arch>
void softmax_backward_block(Columns c, T* dx, const T* g, const T* y) {
  using V = Vec<T, Arch>;
  double sum[softmax_columns];
  alignas(64) T sums[softmax_columns] = {};
  sum_columns<T, Arch>(c, sum, [&](int64_t i, int64_t j, int64_t left) REGRAD_LAMBDA {
    const V gradient = load<T, Arch>(g + i * c.stride + j, left);
    return is_log ? gradient : gradient * load<T, Arch>(y + i * c.stride + j, left);
  });
  for (int64_t j = 0; j < c.count; ++j) sums[j] = static_cast<T>(sum[j]);
  for (int64_t i = 0; i < c.n; ++i) {
    for (int64_t j = 0; j < c.count; j += lanes_of<T, Arch>) {
      const int64_t offset = i * c.stride + j, left = c.count - j;
      const V gradient = load<T, Arch>(g + offset, left), value = load<T, Arch>(y + offset, left);
      const V total = V::load_unaligned(sums + j);
      store<T, Arch>(
          dx + offset, left,
          is_log ? gradient - exp_nonpositive<T, Arch>(value) * total : value * (gradient - total));
    }
  }
}

// ---- all rows, or all blocks of columns

// Calls group(count, n, out, x...) for each group of rows, or block(columns, out, x...) for each
// block of columns. `out` has the shape of x, or [outer, inner] if `reduces`.
template <bool reduces, auto group, auto block, class Arch, class T, class... In>
void for_each_group_or_block(Rows rows, T* out, const In*... x) {
  const int64_t n = rows.n, inner = rows.inner;
  if (n == 0 || inner == 0) return;
  if (inner == 1) {
    const int64_t group_rows = rows_per_group<T, Arch>(n * static_cast<int64_t>(sizeof...(In)));
    for_ranges(rows.outer, 4 * n, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i += group_rows) {
        group(min(group_rows, end - i), n, out + (reduces ? i : i * n), (x + i * n)...);
      }
    });
    return;
  }
  const int64_t blocks = ceil_div(inner, softmax_columns);
  const Columns all_columns = make_columns<Arch>(n, inner);
  for_ranges(rows.outer * blocks, 4 * n * min(inner, softmax_columns),
             [&](int64_t begin, int64_t end) {
               for (int64_t i = begin; i < end; ++i) {
                 const int64_t o = i / blocks, first = i % blocks * softmax_columns;
                 const int64_t offset = o * n * inner + first;
                 const int64_t count = min(softmax_columns, inner - first);
                 block(blocks == 1 ? all_columns : Columns{n, count, inner, count},
                       out + (reduces ? o * inner + first : offset), (x + offset)...);
               }
             });
}

template <class T, class Arch>
void softmax(Rows rows, T* y, const T* x) {
  for_each_group_or_block<false, softmax_rows<T, Arch>, softmax_block<T, Arch>, Arch>(rows, y, x);
}

template <class T, class Arch>
void log_softmax(Rows rows, T* y, const T* x) {
  for_each_group_or_block<false, log_softmax_rows<T, Arch>, log_softmax_block<T, Arch>, Arch>(rows,
                                                                                              y, x);
}

template <class T, class Arch>
void logsumexp(Rows rows, T* out, const T* x) {
  if (rows.n == 0) {
    for (int64_t i = 0; i < rows.outer * rows.inner; ++i) out[i] = -infinity<T>();
  }
  for_each_group_or_block<true, logsumexp_rows<T, Arch>, logsumexp_block<T, Arch>, Arch>(rows, out,
                                                                                         x);
}

template <bool is_log, class T, class Arch>
void softmax_backward(Rows rows, T* dx, const T* g, const T* y) {
  for_each_group_or_block<false, softmax_backward_rows<is_log, T, Arch>,
                          softmax_backward_block<is_log, T, Arch>, Arch>(rows, dx, g, y);
}

}  // namespace regrad::simd

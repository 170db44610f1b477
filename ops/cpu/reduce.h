// Sums, maxima, minima and their indices along n. Long rows are cut into pieces of a fixed size, so
// that the result has the same bits for any number of threads.
#pragma once

#include "ops/cpu/row_sums.h"
#include "ops/kernels/table.h"

namespace regrad::simd {

inline constexpr int64_t row_piece = 32768;

template <class T, class Arch>
double sum_elements(int64_t n, const T* x) {
  if constexpr (std::is_floating_point_v<T>) {
    return sum_terms<T, Arch>(
        n, [&](int64_t i, int64_t left) REGRAD_LAMBDA { return load<T, Arch>(x + i, left); });
  } else {
    return 0;
  }
}

// The maximum (sign 1) or minimum (sign -1) of n > 0 numbers; NaN if one of them is.
template <int sign, class T, class Arch>
T extremum(int64_t n, const T* x) {
  if constexpr (!std::is_floating_point_v<T>) {
    T best = x[0];
    for (int64_t i = 1; i < n; ++i) best = (sign > 0 ? x[i] > best : x[i] < best) ? x[i] : best;
    return best;
  } else {
    using V = Vec<T, Arch>;
    constexpr int64_t lanes = lanes_of<T, Arch>;
    using Best = Extremum<sign>;
    V a = load<T, Arch>(x, n, x[0]), b = a, c = a, d = a;
    int64_t i = lanes;
    for (; i + 4 * lanes <= n; i += 4 * lanes) {
      a = Best::apply(a, V::load_unaligned(x + i));
      b = Best::apply(b, V::load_unaligned(x + i + lanes));
      c = Best::apply(c, V::load_unaligned(x + i + 2 * lanes));
      d = Best::apply(d, V::load_unaligned(x + i + 3 * lanes));
    }
    for (; i < n; i += lanes) a = Best::apply(a, load<T, Arch>(x + i, n - i, x[0]));
    return fold_lanes<Best>(Best::apply(Best::apply(a, b), Best::apply(c, d)));
  }
}

// How each reduction reduces a contiguous run (reduce_run), combines elements in T (combine), lanes
// (Combine), and partial results (combine_totals).
template <Reduction, class T, class Arch>
struct Reducer;

template <class T, class Arch>
struct Reducer<Reduction::sum, T, Arch> {
  using Total = std::conditional_t<std::is_floating_point_v<T>, double, uint64_t>;
  static constexpr int64_t rows_per_partial = 32;  // summed in T before they are added to a Total
  static Total reduce_run(int64_t n, const T* x) {
    if constexpr (std::is_floating_point_v<T>) {
      return sum_elements<T, Arch>(n, x);
    } else {
      uint64_t total = 0;
      for (int64_t i = 0; i < n; ++i) total += static_cast<uint64_t>(x[i]);
      return total;
    }
  }
  static REGRAD_INLINE Total combine_totals(Total a, Total b) { return a + b; }
  using Combine = Sum;
  static REGRAD_INLINE T identity() { return T(0); }
  static REGRAD_INLINE T combine(T a, T b) {
    if constexpr (std::is_floating_point_v<T>)
      return a + b;
    else
      return static_cast<T>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
  }
};

template <int sign, class T, class Arch>
struct Extreme {
  using Total = T;
  static constexpr int64_t rows_per_partial = 1 << 20;
  static Total reduce_run(int64_t n, const T* x) { return extremum<sign, T, Arch>(n, x); }
  using Combine = Extremum<sign>;
  static REGRAD_INLINE T identity() { return sign > 0 ? -infinity<T>() : infinity<T>(); }
  static REGRAD_INLINE T combine(T a, T b) {
    const bool keep = (sign > 0 ? a > b : a < b) || is_nan(a);
    return keep ? a : b;
  }
  static REGRAD_INLINE Total combine_totals(Total a, Total b) { return combine(a, b); }
};
template <class T, class Arch>
struct Reducer<Reduction::max, T, Arch> : Extreme<1, T, Arch> {};
template <class T, class Arch>
struct Reducer<Reduction::min, T, Arch> : Extreme<-1, T, Arch> {};

// In T, as a product is as wide as its elements; integers wrap around.
template <class T, class Arch>
struct Reducer<Reduction::prod, T, Arch> {
  using Total = T;
  static constexpr int64_t rows_per_partial = 1 << 20;
  static Total reduce_run(int64_t n, const T* x) {
    T total = T(1);
    int64_t i = 0;
    if constexpr (std::is_floating_point_v<T>) {
      using V = Vec<T, Arch>;
      constexpr int64_t lanes = lanes_of<T, Arch>;
      V a(T(1)), b = a, c = a, d = a;
      for (; i + 4 * lanes <= n; i += 4 * lanes) {
        a = a * V::load_unaligned(x + i);
        b = b * V::load_unaligned(x + i + lanes);
        c = c * V::load_unaligned(x + i + 2 * lanes);
        d = d * V::load_unaligned(x + i + 3 * lanes);
      }
      total = fold_lanes<Product>((a * b) * (c * d));
    }
    for (; i < n; ++i) total = combine(total, x[i]);
    return total;
  }
  using Combine = Product;
  static REGRAD_INLINE T identity() { return T(1); }
  static REGRAD_INLINE T combine(T a, T b) {
    if constexpr (std::is_floating_point_v<T>)
      return a * b;
    else
      return static_cast<T>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
  }
  static REGRAD_INLINE Total combine_totals(Total a, Total b) { return combine(a, b); }
};

// Rows of at most short_row elements.
template <class R, class T, class Arch>
void reduce_short_rows(int64_t count, int64_t n, T* out, const T* x) {
  constexpr int64_t lanes = lanes_of<T, Arch>;
  for (int64_t first = 0; first < count; first += lanes) {
    const int64_t row_count = min(lanes, count - first);
    const T* rows = x + first * n;
    const auto results = fold_terms<typename R::Combine, T, Arch>(
        row_count, n, R::identity(), [&](int64_t r, int64_t i, int64_t left) REGRAD_LAMBDA {
          return load<T, Arch>(rows + r * n + i, left, R::identity());
        });
    store<T, Arch>(out + first, row_count, results);
  }
}

// Contiguous rows.
template <class R, class T, class Arch>
void reduce_rows(int64_t outer, int64_t n, T* out, const T* x) {
  using Total = typename R::Total;
  const int64_t pieces = ceil_div(n, row_piece);
  if (pieces == 1) {
    for_ranges(outer, n, [&](int64_t begin, int64_t end) {
      if constexpr (std::is_floating_point_v<T>) {
        if (n <= short_row) {
          return reduce_short_rows<R, T, Arch>(end - begin, n, out + begin, x + begin * n);
        }
      }
      for (int64_t o = begin; o < end; ++o) out[o] = static_cast<T>(R::reduce_run(n, x + o * n));
    });
    return;
  }
  // A few rows at a time, so that the partial results take little memory.
  const int64_t batch = max(1, 4096 / pieces);
  for (int64_t first = 0; first < outer; first += batch) {
    const int64_t rows = min(batch, outer - first);
    auto* partial = static_cast<Total*>(
        scratch(Scratch::reduce, static_cast<std::size_t>(rows * pieces) * sizeof(Total)));
    for_ranges(rows * pieces, row_piece, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t offset = i % pieces * row_piece;
        partial[i] =
            R::reduce_run(min(row_piece, n - offset), x + (first + i / pieces) * n + offset);
      }
    });
    for (int64_t o = 0; o < rows; ++o) {
      Total total = partial[o * pieces];
      for (int64_t i = 1; i < pieces; ++i)
        total = R::combine_totals(total, partial[o * pieces + i]);
      out[first + o] = static_cast<T>(total);
    }
  }
}

inline constexpr int64_t column_block = 512;

// acc[j] = reduction of x[i][j] over `rows` rows, `stride` apart; rows >= 1.
template <class R, class T, class Arch>
void accumulate_columns(int64_t rows, int64_t columns, T* acc, const T* x, int64_t stride) {
  for (int64_t j = 0; j < columns; ++j) acc[j] = x[j];
  int64_t i = 1;
  for (; i + 4 <= rows; i += 4) {
    const T* a = x + i * stride;
    const T* b = a + stride;
    const T* c = b + stride;
    const T* d = c + stride;
    for (int64_t j = 0; j < columns; ++j) {
      acc[j] = R::combine(acc[j], R::combine(R::combine(a[j], b[j]), R::combine(c[j], d[j])));
    }
  }
  for (; i < rows; ++i) {
    const T* a = x + i * stride;
    for (int64_t j = 0; j < columns; ++j) acc[j] = R::combine(acc[j], a[j]);
  }
}

// totals[j] over `rows` >= 1 rows, for at most column_block columns.
template <class R, class T, class Arch>
void reduce_block(int64_t rows, int64_t columns, typename R::Total* totals, const T* x,
                  int64_t stride) {
  alignas(64) T acc[column_block];
  for (int64_t i = 0; i < rows; i += R::rows_per_partial) {
    accumulate_columns<R, T, Arch>(min(R::rows_per_partial, rows - i), columns, acc, x + i * stride,
                                   stride);
    for (int64_t j = 0; j < columns; ++j) {
      const auto part = static_cast<typename R::Total>(acc[j]);
      totals[j] = i == 0 ? part : R::combine_totals(totals[j], part);
    }
  }
}

// The same for narrow rows: `group` consecutive rows are treated as one wide row; the columns of it
// that belong to one column are combined at the end.
template <class R, class T, class Arch>
void reduce_narrow(int64_t rows, int64_t columns, typename R::Total* totals, const T* x) {
  typename R::Total wide[column_block];
  const int64_t group = min(max(64 / columns, 1), rows);
  reduce_block<R, T, Arch>(rows / group, group * columns, wide, x, group * columns);
  const int64_t remainder = rows % group * columns;
  const T* last = x + (rows - rows % group) * columns;
  for (int64_t j = 0; j < remainder; ++j) {
    wide[j] = R::combine_totals(wide[j], static_cast<typename R::Total>(last[j]));
  }
  for (int64_t j = 0; j < columns; ++j) {
    totals[j] = wide[j];
    for (int64_t i = 1; i < group; ++i)
      totals[j] = R::combine_totals(totals[j], wide[i * columns + j]);
  }
}

// Columns of [outer, n, inner], in parts of at most column_block columns and `piece` rows.
template <class R, class T, class Arch>
void reduce_columns(Rows rows, T* out, const T* x) {
  using Total = typename R::Total;
  const int64_t blocks = ceil_div(rows.inner, column_block);
  const int64_t width = min(rows.inner, column_block);
  const int64_t piece = max(row_piece / width, 64);
  const int64_t pieces = ceil_div(rows.n, piece);
  const auto part = [&](int64_t o, int64_t block, int64_t p, Total* totals) {
    const int64_t first = block * column_block, begin = p * piece;
    const int64_t columns = min(column_block, rows.inner - first);
    const int64_t count = min(piece, rows.n - begin);
    const T* block_x = x + (o * rows.n + begin) * rows.inner + first;
    if (rows.inner < 64) return reduce_narrow<R, T, Arch>(count, columns, totals, block_x);
    reduce_block<R, T, Arch>(count, columns, totals, block_x, rows.inner);
  };
  const auto finish = [&](int64_t o, int64_t block, const Total* totals) {
    const int64_t columns = min(column_block, rows.inner - block * column_block);
    T* block_out = out + o * rows.inner + block * column_block;
    for (int64_t j = 0; j < columns; ++j) block_out[j] = static_cast<T>(totals[j]);
  };
  if (pieces == 1) {
    for_ranges(rows.outer * blocks, rows.n * width, [&](int64_t begin, int64_t end) {
      Total totals[column_block];
      for (int64_t i = begin; i < end; ++i) {
        part(i / blocks, i % blocks, 0, totals);
        finish(i / blocks, i % blocks, totals);
      }
    });
    return;
  }
  for (int64_t i = 0; i < rows.outer * blocks; ++i) {
    auto* partial = static_cast<Total*>(
        scratch(Scratch::reduce, static_cast<std::size_t>(pieces * width) * sizeof(Total)));
    for_ranges(pieces, piece * width, [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p) part(i / blocks, i % blocks, p, partial + p * width);
    });
    for (int64_t p = 1; p < pieces; ++p) {
      for (int64_t j = 0; j < min(width, rows.inner - i % blocks * column_block); ++j) {
        partial[j] = R::combine_totals(partial[j], partial[p * width + j]);
      }
    }
    finish(i / blocks, i % blocks, partial);
  }
}

template <Reduction function, class T, class Arch>
void reduce(Rows rows, T* out, const T* x) {
  using R = Reducer<function, T, Arch>;
  if (rows.outer * rows.inner == 0) return;
  if (rows.n == 0) {
    for (int64_t i = 0; i < rows.outer * rows.inner; ++i) {
      out[i] = function == Reduction::prod ? T(1) : T(0);
    }
  } else if (rows.inner == 1) {
    reduce_rows<R, T, Arch>(rows.outer, rows.n, out, x);
  } else {
    reduce_columns<R, T, Arch>(rows, out, x);
  }
}

template <class T, class Arch>
int64_t first_equal(int64_t n, const T* x, T value) {
  int64_t i = 0;
  if constexpr (std::is_floating_point_v<T>) {
    if (is_nan(value)) {
      while (i < n && !is_nan(x[i])) ++i;
      return i;
    }
    const Vec<T, Arch> equal(value);
    while (i + lanes_of<T, Arch> <= n &&
           !xsimd::any(Vec<T, Arch>::load_unaligned(x + i) == equal)) {
      i += lanes_of<T, Arch>;
    }
  }
  while (i < n && !(x[i] == value)) ++i;
  return i;
}

// The index along n of each column's extremum: the first of equals, or the first NaN if there is
// one.
template <int sign, class T, class Arch>
void arg_columns(int64_t n, int64_t columns, int64_t* out, const T* x, int64_t stride) {
  T best[column_block];
  for (int64_t j = 0; j < columns; ++j) {
    best[j] = x[j];
    out[j] = 0;
  }
  for (int64_t i = 1; i < n; ++i) {
    const T* row = x + i * stride;
    for (int64_t j = 0; j < columns; ++j) {
      const T a = best[j], b = row[j];
      const bool better = ((sign > 0 ? b > a : b < a) || is_nan(b)) && !is_nan(a);
      best[j] = better ? b : a;
      out[j] = better ? i : out[j];
    }
  }
}

template <int sign, class T, class Arch>
void arg_extremum(Rows rows, int64_t* out, const T* x) {
  if (rows.inner == 1) {
    for_ranges(rows.outer, rows.n, [&](int64_t begin, int64_t end) {
      for (int64_t o = begin; o < end; ++o) {
        const T* row = x + o * rows.n;
        out[o] = first_equal<T, Arch>(rows.n, row, extremum<sign, T, Arch>(rows.n, row));
      }
    });
    return;
  }
  const int64_t blocks = ceil_div(rows.inner, column_block);
  for_ranges(rows.outer * blocks, rows.n * min(rows.inner, column_block),
             [&](int64_t begin, int64_t end) {
               for (int64_t i = begin; i < end; ++i) {
                 const int64_t o = i / blocks, first = i % blocks * column_block;
                 arg_columns<sign, T, Arch>(rows.n, min(column_block, rows.inner - first),
                                            out + o * rows.inner + first,
                                            x + o * rows.n * rows.inner + first, rows.inner);
               }
             });
}

template <class T, class Arch>
void arg_reduce(Rows rows, int sign, int64_t* out, const T* x) {
  if (rows.n == 0 || rows.outer * rows.inner == 0) return;
  (sign > 0 ? arg_extremum<1, T, Arch> : arg_extremum<-1, T, Arch>)(rows, out, x);
}

}  // namespace regrad::simd

// Layer normalisation of rows: y = (x - mean) rstd weight + bias, and its derivatives.
// The mean is held as a rounded centre plus a residual, which T cannot represent together if the
// centre is large: so a spread of 1e-3 around 1e4 keeps its digits.
#pragma once

#include "ops/cpu/reduce.h"

namespace regrad::simd {

template <class V>
struct Pair {
  V a, b;
};

// Two sums in one pass over [begin, end), of at most sum_block elements; terms(i, left) returns a
// pair of vectors (row_sums.h).
template <class T, class Arch, class Terms>
REGRAD_INLINE Pair<Vec<T, Arch>> sum_pairs(int64_t begin, int64_t end, const Terms& terms) {
  using V = Vec<T, Arch>;
  constexpr int64_t lanes = lanes_of<T, Arch>;
  const V zero(T(0));
  Pair<V> part[4] = {{zero, zero}, {zero, zero}, {zero, zero}, {zero, zero}};
  const auto add = [&](Pair<V>& sum, int64_t i, int64_t left) REGRAD_LAMBDA {
    const Pair<V> term = terms(i, left);
    sum.a += term.a;
    sum.b += term.b;
  };
  int64_t i = begin;
  for (; i + 4 * lanes <= end; i += 4 * lanes) {
    add(part[0], i, lanes);
    add(part[1], i + lanes, lanes);
    add(part[2], i + 2 * lanes, lanes);
    add(part[3], i + 3 * lanes, lanes);
  }
  for (; i < end; i += lanes) add(part[0], i, end - i);
  return {(part[0].a + part[1].a) + (part[2].a + part[3].a),
          (part[0].b + part[1].b) + (part[2].b + part[3].b)};
}

// Two sums of each row of a group, like sum_rows.
template <class T, class Arch, class Terms>
REGRAD_INLINE Pair<Vec<T, Arch>> sum_row_pairs(int64_t count, int64_t n, const Terms& terms) {
  using V = Vec<T, Arch>;
  V a[lanes_of<T, Arch>], b[lanes_of<T, Arch>];
  for (int64_t r = 0; r < count; ++r) {
    Pair<double> total{0, 0};
    Pair<V> sums{V(T(0)), V(T(0))};
    for (int64_t begin = 0; begin < n; begin += sum_block) {
      sums = sum_pairs<T, Arch>(begin, min(begin + sum_block, n),
                                [&](int64_t i, int64_t left)
                                    REGRAD_LAMBDA { return terms(r, i, left); });
      if (n <= sum_block) break;
      total.a += static_cast<double>(sum_lanes(sums.a));
      total.b += static_cast<double>(sum_lanes(sums.b));
      sums = {first_lane<T, Arch>(total.a), first_lane<T, Arch>(total.b)};
    }
    a[r] = sums.a;
    b[r] = sums.b;
  }
  return {fold_group<Sum, T, Arch>(count, a), fold_group<Sum, T, Arch>(count, b)};
}

// sum(x - centre) and sum((x - centre)^2) of a row
template <class T, class Arch>
__attribute__((noinline)) Pair<T> deviations(int64_t n, const T* x, T centre) {
  using V = Vec<T, Arch>;
  const Pair<V> sums =
      sum_row_pairs<T, Arch>(1, n, [&](int64_t, int64_t i, int64_t left) REGRAD_LAMBDA {
        const V deviation = load<T, Arch>(x + i, left, centre) - V(centre);
        return Pair<V>{deviation, deviation * deviation};
      });
  return {sums.a.get(0), sums.b.get(0)};
}

// The same in double, for squares that overflow T.
template <class T, class Arch>
Pair<double> deviations_in_double(int64_t n, const T* x, T centre) {
  Pair<double> sums{0, 0};
  for (int64_t i = 0; i < n; ++i) {
    const double deviation = static_cast<double>(x[i]) - static_cast<double>(centre);
    sums.a += deviation;
    sums.b += deviation * deviation;
  }
  return sums;
}

// The mean of a row is centre + residual.
template <class T, class Arch>
struct Moments {
  RowValues<T, Arch> centre, residual, rstd;
};

// Two passes over row r: its mean, then the deviations from it. For rows whose first elements are a
// bad estimate of the mean.
template <class T, class Arch>
__attribute__((noinline)) void two_pass_moments(int64_t r, int64_t n, Moments<T, Arch>* moments,
                                                const T* x, T eps) {
  const T centre = static_cast<T>(sum_elements<T, Arch>(n, x) / static_cast<double>(n));
  const Pair<T> sums_in_t = deviations<T, Arch>(n, x, centre);
  Pair<double> sums{static_cast<double>(sums_in_t.a), static_cast<double>(sums_in_t.b)};
  if (!(sums.b < __builtin_inf())) sums = deviations_in_double<T, Arch>(n, x, centre);
  const double residual = sums.a / static_cast<double>(n);
  const double spread = sums.b / static_cast<double>(n) - residual * residual;
  const double variance = spread < 0 ? 0 : spread;
  moments->centre.values[r] = centre;
  moments->residual.values[r] = static_cast<T>(residual);
  moments->rstd.values[r] = static_cast<T>(1 / __builtin_sqrt(variance + static_cast<double>(eps)));
}

// One pass over each row of a group, with the mean of its first few elements as the centre. If the
// residual is as large as the standard deviation, the difference of squares would lose more than
// one bit, and the row gets two passes.
template <class T, class Arch>
void row_moments(int64_t count, int64_t n, Moments<T, Arch>* moments, const T* x, T eps) {
  using V = Vec<T, Arch>;
  const int64_t sample = min(n, lanes_of<T, Arch>);
  const V size(static_cast<T>(n));
  const V first = fold_terms<Sum, T, Arch>(count, sample, T(0),
                                           [&](int64_t r, int64_t i, int64_t left) REGRAD_LAMBDA {
                                             return load<T, Arch>(x + r * n + i, left);
                                           });
  (first / V(static_cast<T>(sample))).store_unaligned(moments->centre.values);
  const auto [sum, squares] =
      sum_row_pairs<T, Arch>(count, n, [&](int64_t r, int64_t i, int64_t left) REGRAD_LAMBDA {
        const T centre = moments->centre.values[r];
        const V deviation = load<T, Arch>(x + r * n + i, left, centre) - V(centre);
        return Pair<V>{deviation, deviation * deviation};
      });
  const V residual = sum / size, square = squares / size;
  const V variance = clamp_below(square - residual * residual, 0);
  residual.store_unaligned(moments->residual.values);
  (V(T(1)) / v_sqrt(variance + V(eps))).store_unaligned(moments->rstd.values);
  const auto is_safe = (residual * residual * V(T(2)) <= square) & (square < V(infinity<T>()));
  if (xsimd::all(is_safe)) return;
  alignas(64) T safe[lanes_of<T, Arch>];
  v_select(is_safe, V(T(1)), V(T(0))).store_unaligned(safe);
  for (int64_t r = 0; r < count; ++r) {
    if (safe[r] == 0) two_pass_moments<T, Arch>(r, n, moments, x + r * n, eps);
  }
}

// y = ((x - centre) - residual) rstd weight + bias, for one row
template <bool has_weight, bool has_bias, class T, class Arch>
REGRAD_INLINE void normalise_row(int64_t n, T* y, const T* x, const Moments<T, Arch>& moments,
                                 int64_t r, const T* weight, const T* bias) {
  using V = Vec<T, Arch>;
  const T rstd = moments.rstd.values[r];
  const V centre(moments.centre.values[r]), factor(rstd),
      residual(-moments.residual.values[r] * rstd);
  for (int64_t i = 0; i < n; i += lanes_of<T, Arch>) {
    V value = multiply_add(load<T, Arch>(x + i, n - i) - centre, factor, residual);
    if constexpr (has_weight && has_bias) {
      value = multiply_add(value, load<T, Arch>(weight + i, n - i), load<T, Arch>(bias + i, n - i));
    } else if constexpr (has_weight) {
      value = value * load<T, Arch>(weight + i, n - i);
    } else if constexpr (has_bias) {
      value = value + load<T, Arch>(bias + i, n - i);
    }
    store<T, Arch>(y + i, n - i, value);
  }
}

// Rows per group, so that everything read and written for a group fits the L1 cache.
template <class T, class Arch>
REGRAD_INLINE int64_t norm_group(int64_t n) {
  return n <= 256 ? rows_per_group<T, Arch>(2 * n) : 1;
}

template <class T, class Arch>
void layer_norm(Rows rows, T* y, T* mean, T* rstd, const T* x, const T* weight, const T* bias,
                T eps) {
  const int64_t n = rows.n;
  const int64_t group = norm_group<T, Arch>(n);
  const auto write = weight != nullptr ? (bias != nullptr ? normalise_row<true, true, T, Arch>
                                                          : normalise_row<true, false, T, Arch>)
                                       : (bias != nullptr ? normalise_row<false, true, T, Arch>
                                                          : normalise_row<false, false, T, Arch>);
  for_ranges(rows.outer, 4 * n, [&](int64_t begin, int64_t end) {
    for (int64_t first = begin; first < end; first += group) {
      const int64_t count = min(group, end - first);
      Moments<T, Arch> moments;
      row_moments<T, Arch>(count, n, &moments, x + first * n, eps);
      for (int64_t r = 0; r < count; ++r) {
        const int64_t row = first + r;
        mean[row] = moments.centre.values[r] + moments.residual.values[r];
        rstd[row] = moments.rstd.values[r];
        write(n, y + row * n, x + row * n, moments, r, weight, bias);
      }
    }
  });
}

// The part of a row's mean that was lost when it was rounded to T; 0 where that would not change
// the result.
template <class T, class Arch>
T mean_residual(int64_t n, const T* x, T mean, T rstd) {
  const T in_deviations = mean * rstd;
  if (in_deviations < T(16) && in_deviations > T(-16)) return T(0);
  return deviations<T, Arch>(n, x, mean).a / static_cast<T>(n);
}

template <class T>
struct NormGradients {
  T* dx;
  const T* g;
  const T* x;
  const T* mean;
  const T* rstd;
  const T* weight;
  // Sums of g xhat and of g over some rows, n numbers each; null if not needed.
  T* weight_sum;
  T* bias_sum;
};

template <class T, class Arch>
struct NormBackward {
  using V = Vec<T, Arch>;
  // Values of each row: xhat = (x - mean) rstd - shift, and the means of u = g weight and of u
  // xhat. Then dx = rstd (u - mean_u - xhat mean_product).
  RowValues<T, Arch> shift, mean_u, mean_product;

  template <bool has_weight>
  static REGRAD_INLINE V apply_weight(V gradient, const T* weight, int64_t i, int64_t left) {
    if constexpr (has_weight)
      return gradient * load<T, Arch>(weight + i, left);
    else
      return gradient;
  }

  template <bool has_weight>
  __attribute__((noinline)) void prepare(int64_t count, int64_t n, int64_t first,
                                         const NormGradients<T>& p) {
    for (int64_t r = 0; r < count; ++r) {
      const T mean = p.mean[first + r], rstd = p.rstd[first + r];
      shift.values[r] = mean_residual<T, Arch>(n, p.x + (first + r) * n, mean, rstd) * rstd;
    }
    const auto [sum_u, sum_product] =
        sum_row_pairs<T, Arch>(count, n, [&](int64_t r, int64_t i, int64_t left) REGRAD_LAMBDA {
          const int64_t o = first + r;
          const V g = load<T, Arch>(p.g + o * n + i, left);
          const V x = load<T, Arch>(p.x + o * n + i, left);
          const V u = apply_weight<has_weight>(g, p.weight, i, left);
          const V xhat = (x - V(p.mean[o])) * V(p.rstd[o]) - V(shift.values[r]);
          return Pair<V>{u, u * xhat};
        });
    (sum_u / V(static_cast<T>(n))).store_unaligned(mean_u.values);
    (sum_product / V(static_cast<T>(n))).store_unaligned(mean_product.values);
  }

  template <bool has_weight, bool has_dx, bool has_sums>
  REGRAD_INLINE void write(int64_t n, int64_t r, int64_t o, const NormGradients<T>& p) {
    const T* g_row = p.g + o * n;
    const T* x = p.x + o * n;
    const T* weight = p.weight;
    T* dx = has_dx ? p.dx + o * n : nullptr;
    T* weight_sums = p.weight_sum;
    T* bias_sums = p.bias_sum;
    const V mean(p.mean[o]), rstd(p.rstd[o]), row_shift(shift.values[r]);
    const V row_mean_u(mean_u.values[r]), row_mean_product(mean_product.values[r]);
    for (int64_t i = 0; i < n; i += lanes_of<T, Arch>) {
      const int64_t left = n - i;
      const V g = load<T, Arch>(g_row + i, left);
      const V xhat = (load<T, Arch>(x + i, left) - mean) * rstd - row_shift;
      const V u = apply_weight<has_weight>(g, weight, i, left);
      if constexpr (has_dx) {
        store<T, Arch>(dx + i, left, rstd * ((u - row_mean_u) - xhat * row_mean_product));
      }
      if constexpr (has_sums) {
        store<T, Arch>(weight_sums + i, left,
                       multiply_add(g, xhat, load<T, Arch>(weight_sums + i, left)));
        store<T, Arch>(bias_sums + i, left, load<T, Arch>(bias_sums + i, left) + g);
      }
    }
  }

  // Rows [begin, end), at most a group.
  template <bool has_weight, bool has_dx, bool has_sums>
  static void rows(int64_t n, int64_t begin, int64_t end, const NormGradients<T>& p) {
    NormBackward backward;
    backward.template prepare<has_weight>(end - begin, n, begin, p);
    for (int64_t o = begin; o < end; ++o) {
      backward.template write<has_weight, has_dx, has_sums>(n, o - begin, o, p);
    }
  }

  static void dispatch(int64_t n, int64_t begin, int64_t end, const NormGradients<T>& p) {
    const bool has_sums = p.weight_sum != nullptr;
    if (p.dx == nullptr) return rows<false, false, true>(n, begin, end, p);
    if (p.weight == nullptr) {
      return (has_sums ? rows<false, true, true> : rows<false, true, false>)(n, begin, end, p);
    }
    (has_sums ? rows<true, true, true> : rows<true, true, false>)(n, begin, end, p);
  }
};

// Rows [begin, end). The sums of 64 rows at a time are made in T, and added to `totals` in double.
template <class T, class Arch>
void layer_norm_backward_rows(int64_t n, int64_t begin, int64_t end, NormGradients<T> p,
                              double* totals, T* sums) {
  const bool has_sums = p.weight_sum != nullptr || p.bias_sum != nullptr;
  const int64_t group = norm_group<T, Arch>(n);
  p.weight_sum = has_sums ? sums : nullptr;
  p.bias_sum = has_sums ? sums + n : nullptr;
  for (int64_t first = begin; first < end; first += 64) {
    const int64_t last = min(first + 64, end);
    if (has_sums) __builtin_memset(sums, 0, static_cast<std::size_t>(2 * n) * sizeof(T));
    for (int64_t o = first; o < last; o += group) {
      NormBackward<T, Arch>::dispatch(n, o, min(o + group, last), p);
    }
    if (!has_sums) continue;
    for (int64_t i = 0; i < 2 * n; ++i) {
      const double before = first == begin ? 0 : totals[i];
      totals[i] = before + static_cast<double>(sums[i]);
    }
  }
}

// out[i] = the sum of totals[c][i] in the order of c; the first row of totals is overwritten.
template <class T, class Arch>
void combine_rows(int64_t chunks, int64_t n, T* out, double* totals, int64_t stride) {
  for (int64_t c = 1; c < chunks; ++c) {
    for (int64_t i = 0; i < n; ++i) totals[i] += totals[c * stride + i];
  }
  for (int64_t i = 0; i < n; ++i) out[i] = chunks == 0 ? T(0) : static_cast<T>(totals[i]);
}

template <class T, class Arch>
void layer_norm_backward(Rows rows, T* dx, T* dweight, T* dbias, const T* g, const T* x,
                         const T* mean, const T* rstd, const T* weight) {
  const int64_t n = rows.n;
  // At least 16 rows per chunk, as each chunk has its own sums to clear and to combine.
  const int64_t chunk_rows = max(max(chunk_size(rows.outer, 4 * n), 16), ceil_div(rows.outer, 64));
  const int64_t chunks = ceil_div(rows.outer, chunk_rows);
  const NormGradients<T> p{dx, g, x, mean, rstd, weight, dweight, dbias};
  // 2 n totals for each chunk, followed by 2 n sums for each chunk.
  const auto bytes = static_cast<std::size_t>(chunks * 2 * n) * (sizeof(double) + sizeof(T));
  auto* totals = static_cast<double*>(scratch(Scratch::reduce, bytes));
  T* sums = reinterpret_cast<T*>(totals + chunks * 2 * n);
  parallel_for(chunks, [&](int64_t chunk) {
    layer_norm_backward_rows<T, Arch>(n, chunk * chunk_rows,
                                      min((chunk + 1) * chunk_rows, rows.outer), p,
                                      totals + chunk * 2 * n, sums + chunk * 2 * n);
  });
  if (dweight != nullptr) combine_rows<T, Arch>(chunks, n, dweight, totals, 2 * n);
  if (dbias != nullptr) combine_rows<T, Arch>(chunks, n, dbias, totals + n, 2 * n);
}

}  // namespace regrad::simd

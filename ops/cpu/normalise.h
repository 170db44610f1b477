// Layer normalisation of rows: y = (x - mean) rstd weight + bias, and its derivatives.
// Deviations are taken from a rounded mean, and the rest of the mean, which a float cannot hold
// beside a large one, is kept apart: a spread of 1e-3 around 1e4 keeps its digits.
#pragma once

#include "ops/cpu/reduce.h"

namespace regrad::simd {

template <class V>
struct Pair {
  V a, b;
};

// Two sums in one pass, like sum_terms.
template <class T, class Arch, class Terms>
REGRAD_INLINE Pair<double> sum_pairs(int64_t n, const Terms& terms) {
  using V = Vec<T, Arch>;
  constexpr int64_t lanes = lanes_of<T, Arch>;
  Pair<double> total{0, 0};
  for (int64_t begin = 0; begin < n; begin += sum_block) {
    const int64_t end = smaller(begin + sum_block, n);
    Pair<V> part[4] = {
        {V(T(0)), V(T(0))}, {V(T(0)), V(T(0))}, {V(T(0)), V(T(0))}, {V(T(0)), V(T(0))}};
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
    const V a = (part[0].a + part[1].a) + (part[2].a + part[3].a);
    const V b = (part[0].b + part[1].b) + (part[2].b + part[3].b);
    total.a += static_cast<double>(sum_lanes(a));
    total.b += static_cast<double>(sum_lanes(b));
  }
  return total;
}

// sum (x - centre) and sum (x - centre)^2
template <class T, class Arch>
REGRAD_INLINE Pair<double> deviations(int64_t n, const T* x, T centre) {
  using V = Vec<T, Arch>;
  const V at(centre);
  return sum_pairs<T, Arch>(n, [&](int64_t i, int64_t left) REGRAD_LAMBDA {
    const V deviation = load<T, Arch>(x + i, left, centre) - at;
    return Pair<V>{deviation, deviation * deviation};
  });
}

// The same in double, where the squares do not fit T.
template <class T, class Arch>
Pair<double> wide_deviations(int64_t n, const T* x, T centre) {
  Pair<double> sums{0, 0};
  for (int64_t i = 0; i < n; ++i) {
    const double deviation = static_cast<double>(x[i]) - static_cast<double>(centre);
    sums.a += deviation;
    sums.b += deviation * deviation;
  }
  return sums;
}

// A row's mean is centre + rest.
template <class T>
struct RowMoments {
  T centre, rest, rstd;
};

template <class T>
REGRAD_INLINE RowMoments<T> moments_of(const Pair<double>& sums, int64_t n, T centre, T eps) {
  const double rest = sums.a / static_cast<double>(n);
  const double spread = sums.b / static_cast<double>(n) - rest * rest;
  const double variance = spread < 0 ? 0 : spread;
  return {centre, static_cast<T>(rest),
          static_cast<T>(1 / __builtin_sqrt(variance + static_cast<double>(eps)))};
}

// Around the true mean, for a row of which a few elements say little.
template <class T, class Arch>
__attribute__((noinline)) RowMoments<T> careful_moments(int64_t n, const T* x, T eps) {
  const T centre = static_cast<T>(sum_of<T, Arch>(n, x) / static_cast<double>(n));
  Pair<double> sums = deviations<T, Arch>(n, x, centre);
  if (!(sums.b < __builtin_inf())) sums = wide_deviations<T, Arch>(n, x, centre);
  return moments_of<T>(sums, n, centre, eps);
}

// In one pass, around the mean of the first few elements. Where that lies as far from the row's
// mean as the elements do, the difference of squares would lose more than one bit.
template <class T, class Arch>
REGRAD_INLINE RowMoments<T> moments(int64_t n, const T* x, T eps) {
  const int64_t few = smaller(n, lanes_of<T, Arch>);
  const T centre = sum_lanes(load<T, Arch>(x, few)) / static_cast<T>(few);
  const Pair<double> sums = deviations<T, Arch>(n, x, centre);
  const bool safe = 2 * sums.a * sums.a <= static_cast<double>(n) * sums.b;
  if (!(safe && sums.b < __builtin_inf())) return careful_moments<T, Arch>(n, x, eps);
  return moments_of<T>(sums, n, centre, eps);
}

// y = ((x - centre) - rest) rstd weight + bias of one row
template <bool has_weight, bool has_bias, class T, class Arch>
REGRAD_INLINE void normalise_row(int64_t n, T* y, const T* x, const RowMoments<T>& row,
                                 const T* weight, const T* bias) {
  using V = Vec<T, Arch>;
  const V centre(row.centre), factor(row.rstd), rest(-row.rest * row.rstd);
  for (int64_t i = 0; i < n; i += lanes_of<T, Arch>) {
    V value = multiply_add(load<T, Arch>(x + i, n - i) - centre, factor, rest);
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

inline constexpr int64_t norm_rows = 16;  // at once: see rows_at_once in softmax.h

template <class T, class Arch>
void layer_norm(Rows rows, T* y, T* mean, T* rstd, const T* x, const T* weight, const T* bias,
                T eps) {
  const int64_t n = rows.n;
  const int64_t group = n <= 256 ? norm_rows : 1;
  const auto write = weight != nullptr ? (bias != nullptr ? normalise_row<true, true, T, Arch>
                                                          : normalise_row<true, false, T, Arch>)
                                       : (bias != nullptr ? normalise_row<false, true, T, Arch>
                                                          : normalise_row<false, false, T, Arch>);
  for_ranges(rows.outer, 4 * n, [&](int64_t begin, int64_t end) {
    for (int64_t first = begin; first < end; first += group) {
      const int64_t count = smaller(group, end - first);
      RowMoments<T> found[norm_rows];
      for (int64_t r = 0; r < count; ++r) {
        found[r] = moments<T, Arch>(n, x + (first + r) * n, eps);
        mean[first + r] = found[r].centre + found[r].rest;
        rstd[first + r] = found[r].rstd;
      }
      for (int64_t r = 0; r < count; ++r) {
        write(n, y + (first + r) * n, x + (first + r) * n, found[r], weight, bias);
      }
    }
  });
}

// What of a row's mean was lost when it was rounded to T, where that shows in the result.
template <class T, class Arch>
T rest_of_mean(int64_t n, const T* x, T mean, T rstd) {
  const T in_deviations = mean * rstd;
  if (in_deviations < T(16) && in_deviations > T(-16)) return T(0);
  return static_cast<T>(deviations<T, Arch>(n, x, mean).a / static_cast<double>(n));
}

template <class T>
struct NormGradients {
  T* dx;
  const T* g;
  const T* x;
  const T* mean;
  const T* rstd;
  const T* weight;
  // Sums of g xhat and of g over a few rows, n numbers each; null when not wanted.
  T* weight_sum;
  T* bias_sum;
};

// What all elements of a row share: xhat = (x - mean) rstd - shift.
template <class T>
struct NormRow {
  T mean, rstd, shift, mean_u, mean_product;
};

template <class T, class Arch>
struct NormBackward {
  using V = Vec<T, Arch>;

  template <bool has_weight>
  static REGRAD_INLINE V weighted(V gradient, const T* weight, int64_t i, int64_t left) {
    if constexpr (has_weight)
      return gradient * load<T, Arch>(weight + i, left);
    else
      return gradient;
  }

  // The means of u = g weight and of u xhat.
  template <bool has_weight>
  static REGRAD_INLINE NormRow<T> prepare(int64_t n, int64_t o, const NormGradients<T>& at) {
    const T* g = at.g + o * n;
    const T* x = at.x + o * n;
    const T* weight = at.weight;
    NormRow<T> row{at.mean[o], at.rstd[o], T(0), T(0), T(0)};
    row.shift = rest_of_mean<T, Arch>(n, x, row.mean, row.rstd) * row.rstd;
    const V mean(row.mean), rstd(row.rstd), shift(row.shift);
    const Pair<double> sums = sum_pairs<T, Arch>(n, [&](int64_t i, int64_t left) REGRAD_LAMBDA {
      const V u = weighted<has_weight>(load<T, Arch>(g + i, left), weight, i, left);
      return Pair<V>{u, u * ((load<T, Arch>(x + i, left) - mean) * rstd - shift)};
    });
    row.mean_u = static_cast<T>(sums.a / static_cast<double>(n));
    row.mean_product = static_cast<T>(sums.b / static_cast<double>(n));
    return row;
  }

  template <bool has_weight, bool has_dx, bool adds>
  static REGRAD_INLINE void write(int64_t n, int64_t o, const NormGradients<T>& at,
                                  const NormRow<T>& row) {
    const T* g = at.g + o * n;
    const T* x = at.x + o * n;
    const T* weight = at.weight;
    T* dx = has_dx ? at.dx + o * n : nullptr;
    T* weight_sum = at.weight_sum;
    T* bias_sum = at.bias_sum;
    const V mean(row.mean), rstd(row.rstd), shift(row.shift);
    const V mean_u(row.mean_u), mean_product(row.mean_product);
    for (int64_t i = 0; i < n; i += lanes_of<T, Arch>) {
      const int64_t left = n - i;
      const V gradient = load<T, Arch>(g + i, left);
      const V xhat = (load<T, Arch>(x + i, left) - mean) * rstd - shift;
      if constexpr (has_dx) {
        const V u = weighted<has_weight>(gradient, weight, i, left);
        store<T, Arch>(dx + i, left, rstd * ((u - mean_u) - xhat * mean_product));
      }
      if constexpr (adds) {
        store<T, Arch>(weight_sum + i, left,
                       multiply_add(gradient, xhat, load<T, Arch>(weight_sum + i, left)));
        store<T, Arch>(bias_sum + i, left, load<T, Arch>(bias_sum + i, left) + gradient);
      }
    }
  }

  // Rows [begin, end), at most norm_rows.
  template <bool has_weight, bool has_dx, bool adds>
  static void rows(int64_t n, int64_t begin, int64_t end, const NormGradients<T>& at) {
    NormRow<T> found[norm_rows];
    for (int64_t o = begin; o < end; ++o) found[o - begin] = prepare<has_weight>(n, o, at);
    for (int64_t o = begin; o < end; ++o) {
      write<has_weight, has_dx, adds>(n, o, at, found[o - begin]);
    }
  }

  static void some(int64_t n, int64_t begin, int64_t end, const NormGradients<T>& at) {
    const bool adds = at.weight_sum != nullptr;
    if (at.dx == nullptr) return rows<false, false, true>(n, begin, end, at);
    if (at.weight == nullptr) {
      return (adds ? rows<false, true, true> : rows<false, true, false>)(n, begin, end, at);
    }
    (adds ? rows<true, true, true> : rows<true, true, false>)(n, begin, end, at);
  }
};

// Rows [begin, end): 64 at a time are summed in T, and those sums in double.
template <class T, class Arch>
void layer_norm_backward_rows(int64_t n, int64_t begin, int64_t end, NormGradients<T> at,
                              double* totals, T* sums) {
  const bool adds = at.weight_sum != nullptr || at.bias_sum != nullptr;
  const int64_t group = n <= 256 ? norm_rows : 1;
  at.weight_sum = adds ? sums : nullptr;
  at.bias_sum = adds ? sums + n : nullptr;
  for (int64_t first = begin; first < end; first += 64) {
    const int64_t last = smaller(first + 64, end);
    if (adds) __builtin_memset(sums, 0, static_cast<std::size_t>(2 * n) * sizeof(T));
    for (int64_t o = first; o < last; o += group) {
      NormBackward<T, Arch>::some(n, o, smaller(o + group, last), at);
    }
    if (!adds) continue;
    for (int64_t i = 0; i < 2 * n; ++i) {
      const double before = first == begin ? 0 : totals[i];
      totals[i] = before + static_cast<double>(sums[i]);
    }
  }
}

// out[i] = the sum of totals[c][i], in the order of c; the first row of totals is used up.
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
  // Not too few rows to a chunk: each has sums of its own to clear and to add up.
  const int64_t each = larger(larger(chunk_size(rows.outer, 4 * n), 16), pieces_of(rows.outer, 64));
  const int64_t chunks = pieces_of(rows.outer, each);
  const NormGradients<T> at{dx, g, x, mean, rstd, weight, dweight, dbias};
  // For each chunk: 2 n totals; then, for each chunk, 2 n sums.
  const auto bytes = static_cast<std::size_t>(chunks * 2 * n) * (sizeof(double) + sizeof(T));
  auto* totals = static_cast<double*>(scratch(Scratch::reduce, bytes));
  T* sums = reinterpret_cast<T*>(totals + chunks * 2 * n);
  parallel_for(chunks, [&](int64_t chunk) {
    layer_norm_backward_rows<T, Arch>(n, chunk * each, smaller((chunk + 1) * each, rows.outer), at,
                                      totals + chunk * 2 * n, sums + chunk * 2 * n);
  });
  if (dweight != nullptr) combine_rows<T, Arch>(chunks, n, dweight, totals, 2 * n);
  if (dbias != nullptr) combine_rows<T, Arch>(chunks, n, dbias, totals + n, 2 * n);
}

}  // namespace regrad::simd

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
    Pair<V> even{V(T(0)), V(T(0))}, odd = even;
    int64_t i = begin;
    for (; i + 2 * lanes <= end; i += 2 * lanes) {
      const Pair<V> first = terms(i, lanes), second = terms(i + lanes, lanes);
      even.a += first.a;
      even.b += first.b;
      odd.a += second.a;
      odd.b += second.b;
    }
    for (; i < end; i += lanes) {
      const Pair<V> part = terms(i, end - i);
      even.a += part.a;
      even.b += part.b;
    }
    total.a += static_cast<double>(sum_lanes<T, Arch>(even.a + odd.a));
    total.b += static_cast<double>(sum_lanes<T, Arch>(even.b + odd.b));
  }
  return total;
}

// sum (x - centre) and sum (x - centre)^2
template <class T, class Arch>
Pair<double> deviations(int64_t n, const T* x, T centre) {
  using V = Vec<T, Arch>;
  const V at(centre);
  Pair<double> sums = sum_pairs<T, Arch>(n, [&](int64_t i, int64_t left) REGRAD_LAMBDA {
    const V deviation = load<T, Arch>(x + i, left, centre) - at;
    return Pair<V>{deviation, deviation * deviation};
  });
  if (sums.b < __builtin_inf()) return sums;
  sums = {0, 0};  // the squares do not fit T
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

template <class T, class Arch>
RowMoments<T> moments(int64_t n, const T* x, T eps) {
  const double count = static_cast<double>(n);
  const T centre = static_cast<T>(sum_of<T, Arch>(n, x) / count);
  const Pair<double> sums = deviations<T, Arch>(n, x, centre);
  const double rest = sums.a / count;
  const double spread = sums.b / count - rest * rest;
  const double variance = spread < 0 ? 0 : spread;
  return {centre, static_cast<T>(rest),
          static_cast<T>(1 / __builtin_sqrt(variance + static_cast<double>(eps)))};
}

template <class T, class Arch>
void layer_norm(Rows rows, T* y, T* mean, T* rstd, const T* x, const T* weight, const T* bias,
                T eps) {
  using V = Vec<T, Arch>;
  const int64_t n = rows.n;
  for_ranges(rows.outer, 4 * n, [&](int64_t begin, int64_t end) {
    for (int64_t o = begin; o < end; ++o) {
      const T* from = x + o * n;
      T* to = y + o * n;
      const RowMoments<T> row = moments<T, Arch>(n, from, eps);
      mean[o] = row.centre + row.rest;
      rstd[o] = row.rstd;
      const V centre(row.centre), rest(row.rest), factor(row.rstd);
      for (int64_t i = 0; i < n; i += lanes_of<T, Arch>) {
        V value = ((load<T, Arch>(from + i, n - i) - centre) - rest) * factor;
        if (weight != nullptr) value = value * load<T, Arch>(weight + i, n - i);
        if (bias != nullptr) value = value + load<T, Arch>(bias + i, n - i);
        store<T, Arch>(to + i, n - i, value);
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

template <class T, class Arch>
void layer_norm_backward_row(int64_t n, int64_t o, const NormGradients<T>& at) {
  using V = Vec<T, Arch>;
  const T* g = at.g + o * n;
  const T* x = at.x + o * n;
  const V mean(at.mean[o]), rstd(at.rstd[o]);
  const V rest(rest_of_mean<T, Arch>(n, x, at.mean[o], at.rstd[o]));
  const auto normal = [&](int64_t i, int64_t left) REGRAD_LAMBDA {
    return ((load<T, Arch>(x + i, left) - mean) - rest) * rstd;
  };
  const auto weighted = [&](V gradient, int64_t i, int64_t left) REGRAD_LAMBDA {
    return at.weight == nullptr ? gradient : gradient * load<T, Arch>(at.weight + i, left);
  };
  Pair<double> sums{0, 0};
  if (at.dx != nullptr) {
    sums = sum_pairs<T, Arch>(n, [&](int64_t i, int64_t left) REGRAD_LAMBDA {
      const V u = weighted(load<T, Arch>(g + i, left), i, left);
      return Pair<V>{u, u * normal(i, left)};
    });
  }
  const double count = static_cast<double>(n);
  const V mean_u(static_cast<T>(sums.a / count)), mean_product(static_cast<T>(sums.b / count));
  for (int64_t i = 0; i < n; i += lanes_of<T, Arch>) {
    const int64_t left = n - i;
    const V gradient = load<T, Arch>(g + i, left), xhat = normal(i, left);
    if (at.dx != nullptr) {
      const V u = weighted(gradient, i, left);
      store<T, Arch>(at.dx + o * n + i, left, rstd * ((u - mean_u) - xhat * mean_product));
    }
    if (at.weight_sum != nullptr) {
      store<T, Arch>(at.weight_sum + i, left,
                     load<T, Arch>(at.weight_sum + i, left) + gradient * xhat);
    }
    if (at.bias_sum != nullptr) {
      store<T, Arch>(at.bias_sum + i, left, load<T, Arch>(at.bias_sum + i, left) + gradient);
    }
  }
}

// Rows [begin, end): 64 at a time are summed in T, and those sums in double.
template <class T, class Arch>
void layer_norm_backward_rows(int64_t n, int64_t begin, int64_t end, NormGradients<T> at,
                              double* totals, T* sums) {
  const bool adds = at.weight_sum != nullptr || at.bias_sum != nullptr;
  if (at.weight_sum != nullptr) at.weight_sum = sums;
  if (at.bias_sum != nullptr) at.bias_sum = sums + n;
  for (int64_t first = begin; first < end; first += 64) {
    if (adds) __builtin_memset(sums, 0, static_cast<std::size_t>(2 * n) * sizeof(T));
    for (int64_t o = first; o < smaller(first + 64, end); ++o) {
      layer_norm_backward_row<T, Arch>(n, o, at);
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
  const int64_t each = larger(chunk_size(rows.outer, 4 * n), pieces_of(rows.outer, 64));
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

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

// Two sums in one pass over [begin, end), at most sum_block elements: terms(i, left) is a pair of
// vectors, like a term of sum_terms.
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

// sum (x - centre) and sum (x - centre)^2 of a row
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
template <class T, class Arch>
struct Moments {
  OfRows<T, Arch> centre, rest, rstd;
};

// Around the true mean, for a row of which a few elements say little.
template <class T, class Arch>
__attribute__((noinline)) void careful_moments(int64_t r, int64_t n, Moments<T, Arch>* found,
                                               const T* x, T eps) {
  const T centre = static_cast<T>(sum_of<T, Arch>(n, x) / static_cast<double>(n));
  const Pair<T> near = deviations<T, Arch>(n, x, centre);
  Pair<double> sums{static_cast<double>(near.a), static_cast<double>(near.b)};
  if (!(sums.b < __builtin_inf())) sums = wide_deviations<T, Arch>(n, x, centre);
  const double rest = sums.a / static_cast<double>(n);
  const double spread = sums.b / static_cast<double>(n) - rest * rest;
  const double variance = spread < 0 ? 0 : spread;
  found->centre.at[r] = centre;
  found->rest.at[r] = static_cast<T>(rest);
  found->rstd.at[r] = static_cast<T>(1 / __builtin_sqrt(variance + static_cast<double>(eps)));
}

// In one pass, around the mean of the first few elements. Where that lies as far from the row's
// mean as the elements do, the difference of squares would lose more than one bit.
template <class T, class Arch>
void moments_of_rows(int64_t count, int64_t n, Moments<T, Arch>* found, const T* x, T eps) {
  using V = Vec<T, Arch>;
  const int64_t few = min(n, lanes_of<T, Arch>);
  const V size(static_cast<T>(n));
  const V first = fold_terms<Sum, T, Arch>(count, few, T(0),
                                           [&](int64_t r, int64_t i, int64_t left) REGRAD_LAMBDA {
                                             return load<T, Arch>(x + r * n + i, left);
                                           });
  (first / V(static_cast<T>(few))).store_unaligned(found->centre.at);
  const auto [sum, squares] =
      sum_row_pairs<T, Arch>(count, n, [&](int64_t r, int64_t i, int64_t left) REGRAD_LAMBDA {
        const T centre = found->centre.at[r];
        const V deviation = load<T, Arch>(x + r * n + i, left, centre) - V(centre);
        return Pair<V>{deviation, deviation * deviation};
      });
  const V rest = sum / size, square = squares / size;
  const V variance = clamp_below(square - rest * rest, 0);
  rest.store_unaligned(found->rest.at);
  (V(T(1)) / v_sqrt(variance + V(eps))).store_unaligned(found->rstd.at);
  const auto is_safe = (rest * rest * V(T(2)) <= square) & (square < V(infinity<T>()));
  if (xsimd::all(is_safe)) return;
  alignas(64) T safe[lanes_of<T, Arch>];
  v_select(is_safe, V(T(1)), V(T(0))).store_unaligned(safe);
  for (int64_t r = 0; r < count; ++r) {
    if (safe[r] == 0) careful_moments<T, Arch>(r, n, found, x + r * n, eps);
  }
}

// y = ((x - centre) - rest) rstd weight + bias of one row
template <bool has_weight, bool has_bias, class T, class Arch>
REGRAD_INLINE void normalise_row(int64_t n, T* y, const T* x, const Moments<T, Arch>& found,
                                 int64_t r, const T* weight, const T* bias) {
  using V = Vec<T, Arch>;
  const T rstd = found.rstd.at[r];
  const V centre(found.centre.at[r]), factor(rstd), rest(-found.rest.at[r] * rstd);
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

// More rows at once would not leave room in the nearest cache for all that is read and written.
template <class T, class Arch>
REGRAD_INLINE int64_t norm_group(int64_t n) {
  return n <= 256 ? group_of<T, Arch>(2 * n) : 1;
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
      Moments<T, Arch> found;
      moments_of_rows<T, Arch>(count, n, &found, x + first * n, eps);
      for (int64_t r = 0; r < count; ++r) {
        const int64_t row = first + r;
        mean[row] = found.centre.at[r] + found.rest.at[r];
        rstd[row] = found.rstd.at[r];
        write(n, y + row * n, x + row * n, found, r, weight, bias);
      }
    }
  });
}

// What of a row's mean was lost when it was rounded to T, where that shows in the result.
template <class T, class Arch>
T rest_of_mean(int64_t n, const T* x, T mean, T rstd) {
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
  // Sums of g xhat and of g over a few rows, n numbers each; null when not wanted.
  T* weight_sum;
  T* bias_sum;
};

template <class T, class Arch>
struct NormBackward {
  using V = Vec<T, Arch>;
  // What all elements of a row share: xhat = (x - mean) rstd - shift, and the means of u = g weight
  // and of u xhat.
  OfRows<T, Arch> shift, mean_u, mean_product;

  template <bool has_weight>
  static REGRAD_INLINE V weighted(V gradient, const T* weight, int64_t i, int64_t left) {
    if constexpr (has_weight)
      return gradient * load<T, Arch>(weight + i, left);
    else
      return gradient;
  }

  template <bool has_weight>
  __attribute__((noinline)) void prepare(int64_t count, int64_t n, int64_t first,
                                         const NormGradients<T>& at) {
    for (int64_t r = 0; r < count; ++r) {
      const T mean = at.mean[first + r], rstd = at.rstd[first + r];
      shift.at[r] = rest_of_mean<T, Arch>(n, at.x + (first + r) * n, mean, rstd) * rstd;
    }
    const auto [sum_u, sum_product] =
        sum_row_pairs<T, Arch>(count, n, [&](int64_t r, int64_t i, int64_t left) REGRAD_LAMBDA {
          const int64_t o = first + r;
          const V g = load<T, Arch>(at.g + o * n + i, left);
          const V x = load<T, Arch>(at.x + o * n + i, left);
          const V u = weighted<has_weight>(g, at.weight, i, left);
          const V xhat = (x - V(at.mean[o])) * V(at.rstd[o]) - V(shift.at[r]);
          return Pair<V>{u, u * xhat};
        });
    (sum_u / V(static_cast<T>(n))).store_unaligned(mean_u.at);
    (sum_product / V(static_cast<T>(n))).store_unaligned(mean_product.at);
  }

  template <bool has_weight, bool has_dx, bool adds>
  REGRAD_INLINE void write(int64_t n, int64_t r, int64_t o, const NormGradients<T>& at) {
    const T* gradients = at.g + o * n;
    const T* from = at.x + o * n;
    const T* weight = at.weight;
    T* to = has_dx ? at.dx + o * n : nullptr;
    T* weight_sums = at.weight_sum;
    T* bias_sums = at.bias_sum;
    const V mean(at.mean[o]), rstd(at.rstd[o]), by(shift.at[r]);
    const V all_u(mean_u.at[r]), all_product(mean_product.at[r]);
    for (int64_t i = 0; i < n; i += lanes_of<T, Arch>) {
      const int64_t left = n - i;
      const V g = load<T, Arch>(gradients + i, left);
      const V xhat = (load<T, Arch>(from + i, left) - mean) * rstd - by;
      const V u = weighted<has_weight>(g, weight, i, left);
      if constexpr (has_dx) {
        store<T, Arch>(to + i, left, rstd * ((u - all_u) - xhat * all_product));
      }
      if constexpr (adds) {
        store<T, Arch>(weight_sums + i, left,
                       multiply_add(g, xhat, load<T, Arch>(weight_sums + i, left)));
        store<T, Arch>(bias_sums + i, left, load<T, Arch>(bias_sums + i, left) + g);
      }
    }
  }

  // Rows [begin, end), a group at most.
  template <bool has_weight, bool has_dx, bool adds>
  static void rows(int64_t n, int64_t begin, int64_t end, const NormGradients<T>& at) {
    NormBackward found;
    found.template prepare<has_weight>(end - begin, n, begin, at);
    for (int64_t o = begin; o < end; ++o) {
      found.template write<has_weight, has_dx, adds>(n, o - begin, o, at);
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
  const int64_t group = norm_group<T, Arch>(n);
  at.weight_sum = adds ? sums : nullptr;
  at.bias_sum = adds ? sums + n : nullptr;
  for (int64_t first = begin; first < end; first += 64) {
    const int64_t last = min(first + 64, end);
    if (adds) __builtin_memset(sums, 0, static_cast<std::size_t>(2 * n) * sizeof(T));
    for (int64_t o = first; o < last; o += group) {
      NormBackward<T, Arch>::some(n, o, min(o + group, last), at);
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
  const int64_t each = max(max(chunk_size(rows.outer, 4 * n), 16), ceil_div(rows.outer, 64));
  const int64_t chunks = ceil_div(rows.outer, each);
  const NormGradients<T> at{dx, g, x, mean, rstd, weight, dweight, dbias};
  // For each chunk: 2 n totals; then, for each chunk, 2 n sums.
  const auto bytes = static_cast<std::size_t>(chunks * 2 * n) * (sizeof(double) + sizeof(T));
  auto* totals = static_cast<double*>(scratch(Scratch::reduce, bytes));
  T* sums = reinterpret_cast<T*>(totals + chunks * 2 * n);
  parallel_for(chunks, [&](int64_t chunk) {
    layer_norm_backward_rows<T, Arch>(n, chunk * each, min((chunk + 1) * each, rows.outer), at,
                                      totals + chunk * 2 * n, sums + chunk * 2 * n);
  });
  if (dweight != nullptr) combine_rows<T, Arch>(chunks, n, dweight, totals, 2 * n);
  if (dbias != nullptr) combine_rows<T, Arch>(chunks, n, dbias, totals + n, 2 * n);
}

}  // namespace regrad::simd

// Sums along contiguous rows, of one row or of a group of short rows at a time.
// A sum is made of partial sums in T of at most 1,024 elements, which are added in double.
// term(i, left) returns the vector of summands of elements i, i + 1, ..., of which `left` exist;
// lanes beyond those hold 0.
#pragma once

#include "ops/cpu/chunks.h"
#include "ops/cpu/fold.h"
#include "ops/cpu/scratch.h"

namespace regrad::simd {

inline constexpr int64_t sum_block = 1024;

// The terms of [begin, end) summed lane by lane, in four accumulators to hide the latency of the
// addition.
template <class T, class Arch, class Term>
REGRAD_INLINE Vec<T, Arch> sum_span(int64_t begin, int64_t end, const Term& term) {
  using V = Vec<T, Arch>;
  constexpr int64_t lanes = lanes_of<T, Arch>;
  V a(T(0)), b(T(0)), c(T(0)), d(T(0));
  int64_t i = begin;
  for (; i + 4 * lanes <= end; i += 4 * lanes) {
    a += term(i, lanes);
    b += term(i + lanes, lanes);
    c += term(i + 2 * lanes, lanes);
    d += term(i + 3 * lanes, lanes);
  }
  for (; i < end; i += lanes) a += term(i, end - i);
  return (a + b) + (c + d);
}

// The same for expensive terms: a single accumulator, so that their constants stay in registers.
template <class T, class Arch, class Term>
REGRAD_INLINE Vec<T, Arch> sum_long_span(int64_t begin, int64_t end, const Term& term) {
  Vec<T, Arch> sum(T(0));
  for (int64_t i = begin; i < end; i += lanes_of<T, Arch>) sum += term(i, end - i);
  return sum;
}

template <class T, class Arch, class Term>
REGRAD_INLINE double sum_terms(int64_t n, const Term& term) {
  double total = 0;
  for (int64_t begin = 0; begin < n; begin += sum_block) {
    const auto sum = sum_span<T, Arch>(begin, min(begin + sum_block, n), term);
    total += static_cast<double>(sum_lanes(sum));
  }
  return total;
}

// ---- groups: several short rows are processed together, one step for all of them before the next;
// a value per row (its maximum, its sum) is a lane of a vector

inline constexpr int64_t group_elements = 2048;  // read by a group; its data fits the L1 cache
inline constexpr int64_t short_row = 128;

template <class T, class Arch>
REGRAD_INLINE int64_t rows_per_group(int64_t n) {
  return max(1, min(lanes_of<T, Arch>, group_elements / max(n, 1)));
}

// One value for each row of a group, padded to a full vector.
template <class T, class Arch>
struct alignas(64) RowValues {
  T values[lanes_of<T, Arch>];
};

// Lane r of the result is the lanes of rows[r] combined.
template <class Combine, class T, class Arch>
REGRAD_INLINE Vec<T, Arch> fold_group(int64_t count, Vec<T, Arch>* rows) {
  if (count == 1) return Vec<T, Arch>(fold_lanes<Combine>(rows[0]));
  for (int64_t r = count; r < lanes_of<T, Arch>; ++r) rows[r] = Vec<T, Arch>(T(0));
  return fold_rows<Combine, T, Arch>(rows);
}

// Lane r of the result is `start` combined with all term(r, i, left) of row r.
template <class Combine, class T, class Arch, class Term>
REGRAD_INLINE Vec<T, Arch> fold_terms(int64_t count, int64_t n, T start, const Term& term) {
  Vec<T, Arch> rows[lanes_of<T, Arch>];
  for (int64_t r = 0; r < count; ++r) {
    Vec<T, Arch> all(start);
    for (int64_t i = 0; i < n; i += lanes_of<T, Arch>) all = Combine::apply(all, term(r, i, n - i));
    rows[r] = all;
  }
  return fold_group<Combine, T, Arch>(count, rows);
}

// The number in lane 0, and 0 in the others.
template <class T, class Arch>
REGRAD_INLINE Vec<T, Arch> first_lane(double number) {
  const T rounded = static_cast<T>(number);
  return FirstLanes<T, Arch>(1).load(&rounded, T(0));
}

// Lane r of the result is the sum of row r; span(r, begin, end) sums a part of it, lane by lane.
template <class T, class Arch, class Span>
REGRAD_INLINE Vec<T, Arch> sum_rows(int64_t count, int64_t n, const Span& span) {
  using V = Vec<T, Arch>;
  V rows[lanes_of<T, Arch>];
  for (int64_t r = 0; r < count; ++r) {
    V sum(T(0));
    double total = 0;
    for (int64_t begin = 0; begin < n; begin += sum_block) {
      sum = span(r, begin, min(begin + sum_block, n));
      if (n <= sum_block) break;
      total += static_cast<double>(sum_lanes(sum));
      sum = first_lane<T, Arch>(total);
    }
    rows[r] = sum;
  }
  return fold_group<Sum, T, Arch>(count, rows);
}

}  // namespace regrad::simd

// Sums along rows that lie side by side, of one row or of many short ones at a time.
// A float's sum is made of partial sums of at most 1,024 elements, which are added in double.
// A term(i, left) is a vector of what belongs to elements i and up; lanes that are missing hold 0.
#pragma once

#include "ops/cpu/chunks.h"
#include "ops/cpu/fold.h"
#include "ops/cpu/scratch.h"

namespace regrad::simd {

inline constexpr int64_t sum_block = 1024;

// The terms of [begin, end), lane by lane: four sums, so that none waits for the one before.
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

// The same for terms that take longer than an addition: one at a time, so that what they are
// computed with stays in registers.
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

// ---- groups: short rows are taken many at a time, each step for all of them before the next, and
// what a row has one of (its maximum, its sum) is one lane of a vector

inline constexpr int64_t group_elements = 2048;  // read; with what is written, in the nearest cache
inline constexpr int64_t short_row = 128;

template <class T, class Arch>
REGRAD_INLINE int64_t group_of(int64_t n) {
  return max(1, min(lanes_of<T, Arch>, group_elements / max(n, 1)));
}

// A number of each row of a group, with room for whole vectors.
template <class T, class Arch>
struct alignas(64) OfRows {
  T at[lanes_of<T, Arch>];
};

// Lane r of the result: the lanes of rows[r] combined.
template <class Combine, class T, class Arch>
REGRAD_INLINE Vec<T, Arch> fold_group(int64_t count, Vec<T, Arch>* rows) {
  if (count == 1) return Vec<T, Arch>(fold_lanes<Combine>(rows[0]));
  for (int64_t r = count; r < lanes_of<T, Arch>; ++r) rows[r] = Vec<T, Arch>(T(0));
  return fold_rows<Combine, T, Arch>(rows);
}

// Lane r of the result: term(r, i, left) combined over row r and the lanes, with `start` first.
template <class Combine, class T, class Arch, class Term>
REGRAD_INLINE Vec<T, Arch> fold_terms(int64_t count, int64_t n, T start, const Term& term) {
  Vec<T, Arch> rows[lanes_of<T, Arch>];
  for (int64_t r = 0; r < count; ++r) {
    Vec<T, Arch> all(start);
    for (int64_t i = 0; i < n; i += lanes_of<T, Arch>) all = Combine::of(all, term(r, i, n - i));
    rows[r] = all;
  }
  return fold_group<Combine, T, Arch>(count, rows);
}

// A vector whose lanes add up to a number.
template <class T, class Arch>
REGRAD_INLINE Vec<T, Arch> first_lane(double number) {
  const T rounded = static_cast<T>(number);
  return FirstLanes<T, Arch>(1).load(&rounded, T(0));
}

// Lane r of the result: the sum of row r, of which span(r, begin, end) sums up a part.
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

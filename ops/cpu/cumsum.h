// Cumulative sums along n. Floats are added in double. A long row is cut into pieces of a fixed
// size, whose sums come first, so that the result has the same bits for any number of threads.
#pragma once

#include "ops/cpu/reduce.h"

namespace regrad::simd {

template <class T>
using Running = std::conditional_t<std::is_floating_point_v<T>, double, uint64_t>;

// The sums of a run of n elements after `carry`, which are `step` apart (1, or -1 from the last to
// the first), and their total. Four at a time: from one carry to the next is a single addition.
template <class T, int step, bool write>
REGRAD_INLINE Running<T> scan_run(int64_t n, T* out, const T* x, Running<T> carry) {
  using R = Running<T>;
  int64_t i = 0;
  for (; i + 4 <= n; i += 4, out += 4 * step, x += 4 * step) {
    const R a = static_cast<R>(x[0]), b = a + static_cast<R>(x[step]);
    const R c = static_cast<R>(x[2 * step]), d = b + (c + static_cast<R>(x[3 * step]));
    if constexpr (write) {
      out[0] = static_cast<T>(carry + a);
      out[step] = static_cast<T>(carry + b);
      out[2 * step] = static_cast<T>(carry + (b + c));
      out[3 * step] = static_cast<T>(carry + d);
    }
    carry += d;
  }
  for (; i < n; ++i, out += step, x += step) {
    carry += static_cast<R>(*x);
    if constexpr (write) *out = static_cast<T>(carry);
  }
  return carry;
}

template <bool write, class T, class Arch>
Running<T> scan_piece(bool reverse, int64_t n, T* out, const T* x, Running<T> carry) {
  if (!reverse) return scan_run<T, 1, write>(n, out, x, carry);
  return scan_run<T, -1, write>(n, out + n - 1, x + n - 1, carry);
}

// Contiguous rows.
template <class T, class Arch>
void scan_rows(int64_t outer, int64_t n, bool reverse, T* out, const T* x) {
  using R = Running<T>;
  const int64_t pieces = ceil_div(n, row_piece);
  if (pieces == 1) {
    for_ranges(outer, n, [&](int64_t begin, int64_t end) {
      for (int64_t o = begin; o < end; ++o) {
        scan_piece<true, T, Arch>(reverse, n, out + o * n, x + o * n, R(0));
      }
    });
    return;
  }
  auto* carries =
      static_cast<R*>(scratch(Scratch::reduce, static_cast<std::size_t>(pieces) * sizeof(R)));
  for (int64_t o = 0; o < outer; ++o) {
    const auto begin_of = [&](int64_t p) { return o * n + p * row_piece; };
    const auto size_of = [&](int64_t p) { return min(row_piece, n - p * row_piece); };
    for_ranges(pieces, row_piece, [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p) {
        carries[p] = scan_piece<false, T, Arch>(reverse, size_of(p), out + begin_of(p),
                                                x + begin_of(p), R(0));
      }
    });
    R carry = R(0);
    for (int64_t i = 0; i < pieces; ++i) {
      R& place = carries[reverse ? pieces - 1 - i : i];
      const R sum = place;
      place = carry;
      carry += sum;
    }
    for_ranges(pieces, row_piece, [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p) {
        scan_piece<true, T, Arch>(reverse, size_of(p), out + begin_of(p), x + begin_of(p),
                                  carries[p]);
      }
    });
  }
}

// Columns of [outer, n, inner], a block of them at a time.
template <class T, class Arch>
void scan_columns(Rows rows, bool reverse, T* out, const T* x) {
  using R = Running<T>;
  const int64_t blocks = ceil_div(rows.inner, column_block);
  for_ranges(rows.outer * blocks, rows.n * min(rows.inner, column_block),
             [&](int64_t begin, int64_t end) {
               for (int64_t b = begin; b < end; ++b) {
                 const int64_t first = b % blocks * column_block;
                 const int64_t columns = min(column_block, rows.inner - first);
                 R sums[column_block];
                 for (int64_t j = 0; j < columns; ++j) sums[j] = R(0);
                 for (int64_t i = 0; i < rows.n; ++i) {
                   const int64_t row = reverse ? rows.n - 1 - i : i;
                   const int64_t offset = (b / blocks * rows.n + row) * rows.inner + first;
                   for (int64_t j = 0; j < columns; ++j) {
                     sums[j] += static_cast<R>(x[offset + j]);
                     out[offset + j] = static_cast<T>(sums[j]);
                   }
                 }
               }
             });
}

template <class T, class Arch>
void cumsum(Rows rows, bool reverse, T* out, const T* x) {
  if (rows.outer * rows.n * rows.inner == 0) return;
  if (rows.inner == 1) return scan_rows<T, Arch>(rows.outer, rows.n, reverse, out, x);
  scan_columns<T, Arch>(rows, reverse, out, x);
}

}  // namespace regrad::simd

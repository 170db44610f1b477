// Sorting and cumulative sums along n. The keys of all rows are sorted together, and then by row,
// which keeps the order within each. A cumulative sum is made in pieces of fixed size: their sums,
// the sums before each, and then each piece from there, so that the result has the same bits on
// every GPU.
#include "ops/cuda/families.h"
#include "ops/cuda/loop.h"
#include "ops/cuda/sort.h"
#include "ops/kernels/sort_key.h"

namespace regrad::gpu {
namespace {

template <class T>
struct Keys {
  int64_t* keys;
  const T* x;
  bool descending;
  __device__ void operator()(int64_t i) const {
    keys[i] = static_cast<int64_t>(sort_key(x[i], descending));
  }
};

struct RowsOf {
  int64_t* rows;
  const int64_t* positions;
  Divisor row_size;
  __device__ void operator()(int64_t i) const { rows[i] = row_size.divide(positions[i]); }
};

// The place along its row of what comes j-th there.
struct Places {
  int64_t* indices;
  const int64_t *positions, *order;  // position order[i] comes i-th; order may be null: i
  int64_t n, k;
  Divisor k_divisor;
  __device__ void operator()(int64_t i) const {
    const int64_t o = k_divisor.divide(i), from = o * n + (i - o * k);
    indices[i] = positions[order == nullptr ? from : order[from]] - o * n;
  }
};

template <class T>
void sort(Rows rows, int64_t k, bool descending, int64_t* indices, const T* x) {
  const int64_t count = rows.outer * rows.n;
  if (rows.outer * k == 0) return;
  const Scratch<int64_t> keys(count);
  for_each(count, Keys<T>{keys.data(), x, descending});
  constexpr int64_t limit = sizeof(T) == 4 ? int64_t{UINT32_MAX} : INT64_MAX;
  const sorting::Sorted by_key(count, limit, keys.data());
  const auto write = [&](const int64_t* order) {
    for_each(rows.outer * k, Places{indices, by_key.positions(), order, rows.n, k, Divisor(k)});
  };
  if (rows.outer == 1) return write(nullptr);
  const Scratch<int64_t> row_keys(count);
  for_each(count, RowsOf{row_keys.data(), by_key.positions(), Divisor(rows.n)});
  const sorting::Sorted by_row(count, rows.outer, row_keys.data());
  write(by_row.positions());
}

constexpr int64_t scan_piece = 64;

template <class T>
using Running = std::conditional_t<std::is_floating_point_v<T>, double, uint64_t>;

// [outer, n, inner] cut along n into pieces.
template <class T>
struct Scan {
  int64_t outer, n, inner, pieces;
  bool reverse;
  T* out;
  const T* x;
  Running<T>*
      carries;  // [outer, pieces, inner]: first the sum of each piece, then of all before it
  Divisor inner_divisor, pieces_divisor;

  // Calls body(place of an element) for those of piece number i, in the order of the sum.
  template <class Body>
  __device__ void for_piece(int64_t i, const Body& body) const {
    const int64_t line = inner_divisor.divide(i), s = i - line * inner;
    const int64_t o = pieces_divisor.divide(line), first = (line - o * pieces) * scan_piece;
    const int64_t size = n - first < scan_piece ? n - first : scan_piece;
    for (int64_t j = 0; j < size; ++j) {
      const int64_t along = first + (reverse ? size - 1 - j : j);
      body((o * n + along) * inner + s);
    }
  }
};

template <class T>
struct SumPieces {
  Scan<T> scan;
  __device__ void operator()(int64_t i) const {
    Running<T> sum = 0;
    scan.for_piece(i, [&](int64_t place) { sum += static_cast<Running<T>>(scan.x[place]); });
    scan.carries[i] = sum;
  }
};

template <class T>
struct SumCarries {
  Scan<T> scan;
  __device__ void operator()(int64_t i) const {
    const int64_t o = scan.inner_divisor.divide(i), s = i - o * scan.inner;
    Running<T> sum = 0;
    for (int64_t j = 0; j < scan.pieces; ++j) {
      const int64_t p = scan.reverse ? scan.pieces - 1 - j : j;
      Running<T>& carry = scan.carries[(o * scan.pieces + p) * scan.inner + s];
      const Running<T> own = carry;
      carry = sum;
      sum += own;
    }
  }
};

template <class T>
struct ScanPieces {
  Scan<T> scan;
  __device__ void operator()(int64_t i) const {
    Running<T> sum = scan.carries[i];
    scan.for_piece(i, [&](int64_t place) {
      sum += static_cast<Running<T>>(scan.x[place]);
      scan.out[place] = static_cast<T>(sum);
    });
  }
};

template <class T>
void cumsum(Rows rows, bool reverse, T* out, const T* x) {
  if (rows.outer * rows.n * rows.inner == 0) return;
  const int64_t pieces = (rows.n + scan_piece - 1) / scan_piece;
  const int64_t count = rows.outer * pieces * rows.inner;
  const Scratch<Running<T>> carries(count);
  const Scan<T> scan{rows.outer, rows.n,         rows.inner,          pieces,         reverse, out,
                     x,          carries.data(), Divisor(rows.inner), Divisor(pieces)};
  for_each(count, SumPieces<T>{scan});
  for_each(rows.outer * rows.inner, SumCarries<T>{scan});
  for_each(count, ScanPieces<T>{scan});
}

}  // namespace

template <class T>
OrderKernels<T> order_kernels() {
  return {.sort = sort<T>, .cumsum = cumsum<T>};
}

template OrderKernels<float> order_kernels();
template OrderKernels<double> order_kernels();
template OrderKernels<int64_t> order_kernels();

}  // namespace regrad::gpu

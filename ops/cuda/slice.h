// Lines: the rows (side by side) and columns (inner apart) of [outer, n, inner] that softmax and
// its like go along. The threads of a team share a line; where it is short enough each keeps its
// numbers in registers and reads them from memory once.
#pragma once

#include "ops/cuda/loop.h"
#include "ops/cuda/team.h"
#include "ops/kernels/table.h"

namespace regrad::gpu {

// The threads of a block that work on a column, every columns-th. All threads of the block must
// come to all().
struct ColumnTeam {
  static constexpr int block = 1024;
  int columns;
  __device__ int rank() const { return static_cast<int>(threadIdx.x) / columns; }
  __device__ int size() const { return block / columns; }
  template <class V, class Combine>
  __device__ V all(V value, const Combine& combine) const {
    __shared__ V values[block];
    const int thread = static_cast<int>(threadIdx.x);
    values[thread] = value;
    __syncthreads();
    for (int half = size() / 2; half > 0; half /= 2) {
      if (rank() < half) values[thread] = combine(values[thread], values[thread + half * columns]);
      __syncthreads();
    }
    value = values[thread % columns];
    __syncthreads();
    return value;
  }
};

// count: how many numbers a thread may keep; 0: it reads them whenever they are wanted.
// width: how many neighbours it takes at once; they divide n, and are aligned in every operand.
// stride_: how far apart numbers are, where that is known beforehand; 0: `apart`.
template <class Members, int count, int width, int stride_>
struct Line {
  static constexpr int kept = count, at_once = width;
  static_assert(width == 1 || (count > 0 && count % width == 0 && stride_ == 1));
  Members members;
  int64_t index, begin, n;  // which line; where it begins; how long it is
  int64_t apart = stride_;
  bool exists = true;  // threads beside the last column come along for the barriers

  // body(k, at) for this thread's first of each group: its k-th number, `at` behind the begin.
  template <class Body>
  __device__ void each_group(const Body& body) const {
    if (!exists) return;
    const int64_t stride = stride_ > 0 ? stride_ : apart;
    if constexpr (count > 0) {
      const int own = members.rank() * width, step = members.size() * width;
      const int left = static_cast<int>(n) - own;
#pragma unroll
      for (int k = 0; k < count; k += width) {
        const int further = k / width * step;
        if (further < left) body(k, (own + further) * stride);
      }
    } else {
#pragma unroll 8
      for (int64_t i = members.rank(); i < n; i += members.size()) body(0, i * stride);
    }
  }
  template <class Body>
  __device__ void each(const Body& body) const {
    each_group([&](int k, int64_t at) {
#pragma unroll
      for (int e = 0; e < width; ++e) body(k + e, at + e);
    });
  }
  // to[at] = value(k, at) along the line.
  template <class T, class Value>
  __device__ void write(T* to, const Value& value) const {
    T* const line = to + begin;
    each_group([&](int k, int64_t at) {
      Pack<T, width> group;
#pragma unroll
      for (int e = 0; e < width; ++e) group.at[e] = value(k + e, at + e);
      *reinterpret_cast<Pack<T, width>*>(line + at) = group;
    });
  }
  __device__ bool writes_result() const { return exists && members.rank() == 0; }
  template <class V>
  __device__ V sum(V value) const {
    return members.all(value, Sum());
  }
};

// What a thread reads of an operand along a line. Those that it keeps are all on their way before
// the first is wanted: where the line ends earlier, its end is read again.
template <class Line, class T>
class Numbers {
 public:
  __device__ Numbers(const Line& line, const T* data) : line_(data + line.begin) {
    if constexpr (Line::kept > 0) {
      constexpr int width = Line::at_once;
      const int own = line.members.rank() * width, step = line.members.size() * width;
      const int last = static_cast<int>(line.n) - width;
      if (!line.exists) return;
#pragma unroll
      for (int k = 0; k < Line::kept; k += width) {
        const int i = own + k / width * step;
        const auto group =
            *reinterpret_cast<const Pack<T, width>*>(line_ + (i < last ? i : last) * line.apart);
#pragma unroll
        for (int e = 0; e < width; ++e) own_[k + e] = group.at[e];
      }
    }
  }
  __device__ T operator()(int k, int64_t at) const {
    if constexpr (Line::kept > 0) return own_[k];
    return line_[at];
  }

 private:
  const T* line_;
  T own_[Line::kept > 0 ? Line::kept : 1];
};

template <class T>
struct Shifted {
  T shift;     // the line's greatest, unless that is -inf
  double sum;  // of exp(x - shift)
};

template <class Line, class T>
__device__ Shifted<T> exponentials(const Line& line, const Numbers<Line, T>& x) {
  T greatest = -infinity<T>();
  line.each([&](int k, int64_t at) { greatest = v_max(greatest, x(k, at)); });
  const T shift = softmax_shift(line.members.all(greatest, Larger()));
  double sum = 0;
  line.each([&](int k, int64_t at) { sum += static_cast<double>(v_exp(x(k, at) - shift)); });
  return {shift, line.sum(sum)};
}

template <int threads, int count, int width, class Body>
__global__ void __launch_bounds__(block_threads, 2) row_lines(Rows rows, Body body) {
  using Members = Team<threads>;
  for (int64_t o = Members::first(); o < rows.outer; o += Members::step()) {
    body(Line<Members, count, width, 1>{{}, o, o * rows.n, rows.n});
  }
}

template <int count, class Body>
__global__ void __launch_bounds__(ColumnTeam::block)
    column_lines(Rows rows, int columns, int64_t blocks, Divisor by_blocks, Body body) {
  for (int64_t job = blockIdx.x; job < rows.outer * blocks; job += gridDim.x) {
    const int64_t o = by_blocks.divide(job);
    const int64_t column = (job - o * blocks) * columns + static_cast<int>(threadIdx.x) % columns;
    body(Line<ColumnTeam, count, 1, 0>{{columns},
                                       o * rows.inner + column,
                                       o * rows.n * rows.inner + column,
                                       rows.n,
                                       rows.inner,
                                       column < rows.inner});
  }
}

// Columns that a block of threads takes at once: up to 32, as many as there are.
inline int columns_at_once(int64_t inner) {
  int columns = 2;
  while (columns < 32 && columns < inner) columns *= 2;
  return columns;
}

constexpr int few = 8, some = 16, many = 32;  // numbers that a thread keeps

template <int threads, int count, int width, class Body>
void start_rows(Rows rows, const Body& body) {
  const int in_block = threads == warp_threads ? threads_for(rows.outer * warp_threads) : threads;
  const int64_t at_once = in_block / threads, blocks = (rows.outer + at_once - 1) / at_once;
  launch(row_lines<threads, count, width, Body>, std::min(blocks, most_blocks), in_block, rows,
         body);
}

// body(line) for every row [outer, n] of these operands. A Body is a struct whose operator() is a
// __device__ template.
template <class Body, class... T>
void each_row(Rows rows, const Body& body, const T*... operands) {
  constexpr int width = static_cast<int>(16 / std::max({sizeof(T)...}));
  constexpr int warp = warp_threads, block = block_threads;
  const int64_t n = rows.n;
  if (rows.outer == 0) return;
  if (n == 0) return start_rows<block, 0, 1>(rows, body);
  if (n % width == 0 && (is_aligned(operands, 16) && ...)) {
    if (n <= few * warp) return start_rows<warp, few, width>(rows, body);
    if (n <= many * warp) return start_rows<warp, many, width>(rows, body);
    if (n <= some * block) return start_rows<block, some, width>(rows, body);
    if (n <= many * block) return start_rows<block, many, width>(rows, body);
  }
  if (n <= few * warp) return start_rows<warp, few, 1>(rows, body);
  if (n <= many * warp) return start_rows<warp, many, 1>(rows, body);
  start_rows<block, 0, 1>(rows, body);
}

// ... and for every column, where there are some.
template <class Body, class... T>
void each_line(Rows rows, const Body& body, const T*... operands) {
  if (rows.inner == 1) return each_row(rows, body, operands...);
  if (rows.outer * rows.inner == 0) return;
  const int columns = columns_at_once(rows.inner);
  const int64_t blocks = (rows.inner + columns - 1) / columns;
  const bool keeps = rows.n > 0 && rows.n <= few * (ColumnTeam::block / columns);
  launch(keeps ? column_lines<few, Body> : column_lines<0, Body>,
         std::min(rows.outer * blocks, most_blocks), ColumnTeam::block, rows, columns, blocks,
         Divisor(blocks), body);
}

}  // namespace regrad::gpu

// Slices of [outer, n, inner] along n: contiguous rows (inner is 1), or columns with a stride of
// inner. Softmax, norms and losses work along slices. The threads of a team share a slice; if it is
// short enough, each thread keeps its elements in registers, and reads them from memory only once.
#pragma once

#include "ops/cuda/loop.h"
#include "ops/cuda/team.h"
#include "ops/kernels/table.h"

namespace regrad::gpu {

// The threads of a block that share a column: thread i belongs to column i % columns. reduce() has
// barriers, so that all threads of the block must call it.
struct ColumnTeam {
  static constexpr int block = 1024;
  int columns;
  __device__ int rank() const { return static_cast<int>(threadIdx.x) / columns; }
  __device__ int size() const { return block / columns; }
  template <class V, class Combine>
  __device__ V reduce(V value, const Combine& combine) const {
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

// count: how many elements a thread keeps in registers; 0: it reads them from memory each time.
// width: how many adjacent elements it loads at once; n is a multiple, and every operand aligned.
// fixed_stride: the distance between elements if it is a constant; 0: it is `stride`.
template <class Threads, int count, int width, int fixed_stride>
struct Slice {
  static constexpr int register_values = count, pack_width = width;
  static_assert(width == 1 || (count > 0 && count % width == 0 && fixed_stride == 1));
  Threads team;
  int64_t index, begin, n;  // the slice's number, the offset of its first element, and its length
  int64_t stride = fixed_stride;
  bool is_valid = true;  // false: no such column, the thread only takes part in barriers

  // Calls body(k, offset) for the first element of each pack of this thread: k counts the thread's
  // elements, and offset is relative to `begin`.
  template <class Body>
  __device__ void for_each_pack(const Body& body) const {
    if (!is_valid) return;
    const int64_t element_stride = fixed_stride > 0 ? fixed_stride : stride;
    if constexpr (count > 0) {
      const int first_index = team.rank() * width, step = team.size() * width;
      const int left = static_cast<int>(n) - first_index;
#pragma unroll
      for (int k = 0; k < count; k += width) {
        const int offset = k / width * step;
        if (offset < left) body(k, (first_index + offset) * element_stride);
      }
    } else {
#pragma unroll 8
      for (int64_t i = team.rank(); i < n; i += team.size()) body(0, i * element_stride);
    }
  }
  template <class Body>
  __device__ void for_each(const Body& body) const {
    for_each_pack([&](int k, int64_t offset) {
#pragma unroll
      for (int e = 0; e < width; ++e) body(k + e, offset + e);
    });
  }
  // out[offset] = value(k, offset) for all elements of the slice.
  template <class T, class Value>
  __device__ void write(T* out, const Value& value) const {
    T* const out_slice = out + begin;
    for_each_pack([&](int k, int64_t offset) {
      Pack<T, width> pack;
#pragma unroll
      for (int e = 0; e < width; ++e) pack.values[e] = value(k + e, offset + e);
      *reinterpret_cast<Pack<T, width>*>(out_slice + offset) = pack;
    });
  }
  __device__ bool is_leader() const { return is_valid && team.rank() == 0; }
  template <class V>
  __device__ V sum(V value) const {
    return team.reduce(value, Sum());
  }
};

// The elements of an operand along a slice. If they are kept in registers, all loads are issued
// before the first value is used, without branches: indices beyond the end load the last pack
// again.
template <class Slice, class T>
class SliceValues {
 public:
  __device__ SliceValues(const Slice& slice, const T* data) : data_(data + slice.begin) {
    if constexpr (Slice::register_values > 0) {
      constexpr int width = Slice::pack_width;
      const int first_index = slice.team.rank() * width, step = slice.team.size() * width;
      const int last = static_cast<int>(slice.n) - width;
      if (!slice.is_valid) return;
#pragma unroll
      for (int k = 0; k < Slice::register_values; k += width) {
        const int i = first_index + k / width * step;
        const auto pack =
            *reinterpret_cast<const Pack<T, width>*>(data_ + (i < last ? i : last) * slice.stride);
#pragma unroll
        for (int e = 0; e < width; ++e) values_[k + e] = pack.values[e];
      }
    }
  }
  __device__ T operator()(int k, int64_t offset) const {
    if constexpr (Slice::register_values > 0) return values_[k];
    return data_[offset];
  }

 private:
  const T* data_;
  T values_[Slice::register_values > 0 ? Slice::register_values : 1];
};

template <class T>
struct SoftmaxSums {
  T shift;     // the slice's maximum, or 0 if that is -inf
  double sum;  // of exp(x - shift)
};

template <class Slice, class T>
__device__ SoftmaxSums<T> softmax_sums(const Slice& slice, const SliceValues<Slice, T>& x) {
  T max_value = -infinity<T>();
  slice.for_each([&](int k, int64_t offset) { max_value = v_max(max_value, x(k, offset)); });
  const T shift = softmax_shift(slice.team.reduce(max_value, Max()));
  double sum = 0;
  slice.for_each(
      [&](int k, int64_t offset) { sum += static_cast<double>(v_exp(x(k, offset) - shift)); });
  return {shift, slice.sum(sum)};
}

template <int threads, int count, int width, class Body>
__global__ void __launch_bounds__(block_threads, 2) row_slices(Rows rows, Body body) {
  using Threads = Team<threads>;
  for (int64_t o = Threads::first(); o < rows.outer; o += Threads::step()) {
    body(Slice<Threads, count, width, 1>{{}, o, o * rows.n, rows.n});
  }
}

template <int count, class Body>
__global__ void __launch_bounds__(ColumnTeam::block)
    column_slices(Rows rows, int columns, int64_t blocks, Divisor blocks_divisor, Body body) {
  for (int64_t task = blockIdx.x; task < rows.outer * blocks; task += gridDim.x) {
    const int64_t o = blocks_divisor.divide(task);
    const int64_t column = (task - o * blocks) * columns + static_cast<int>(threadIdx.x) % columns;
    body(Slice<ColumnTeam, count, 1, 0>{{columns},
                                        o * rows.inner + column,
                                        o * rows.n * rows.inner + column,
                                        rows.n,
                                        rows.inner,
                                        column < rows.inner});
  }
}

// How many columns a block processes at a time: a power of two, up to 32.
inline int columns_per_block(int64_t inner) {
  int columns = 2;
  while (columns < 32 && columns < inner) columns *= 2;
  return columns;
}

constexpr int small_count = 8, medium_count = 16, large_count = 32;  // elements kept in registers

template <int threads, int count, int width, class Body>
void launch_rows_kernel(Rows rows, const Body& body) {
  const int threads_in_block =
      threads == warp_threads ? threads_for(rows.outer * warp_threads) : threads;
  const int64_t rows_per_block = threads_in_block / threads,
                blocks = (rows.outer + rows_per_block - 1) / rows_per_block;
  launch(row_slices<threads, count, width, Body>, std::min(blocks, max_blocks), threads_in_block,
         rows, body);
}

// Calls body(slice) for every row [outer, n] of these operands. A Body is a struct whose operator()
// is a __device__ template.
template <class Body, class... T>
void for_each_row(Rows rows, const Body& body, const T*... operands) {
  constexpr int width = static_cast<int>(16 / std::max({sizeof(T)...}));
  constexpr int warp = warp_threads, block = block_threads;
  const int64_t n = rows.n;
  if (rows.outer == 0) return;
  if (n == 0) return launch_rows_kernel<block, 0, 1>(rows, body);
  if (n % width == 0 && (is_aligned(operands, 16) && ...)) {
    if (n <= small_count * warp) return launch_rows_kernel<warp, small_count, width>(rows, body);
    if (n <= large_count * warp) return launch_rows_kernel<warp, large_count, width>(rows, body);
    if (n <= medium_count * block)
      return launch_rows_kernel<block, medium_count, width>(rows, body);
    if (n <= large_count * block) return launch_rows_kernel<block, large_count, width>(rows, body);
  }
  if (n <= small_count * warp) return launch_rows_kernel<warp, small_count, 1>(rows, body);
  if (n <= large_count * warp) return launch_rows_kernel<warp, large_count, 1>(rows, body);
  launch_rows_kernel<block, 0, 1>(rows, body);
}

// The same for every slice along n: rows if inner is 1, otherwise columns.
template <class Body, class... T>
void for_each_slice(Rows rows, const Body& body, const T*... operands) {
  if (rows.inner == 1) return for_each_row(rows, body, operands...);
  if (rows.outer * rows.inner == 0) return;
  const int columns = columns_per_block(rows.inner);
  const int64_t blocks = (rows.inner + columns - 1) / columns;
  const bool fits_registers = rows.n > 0 && rows.n <= small_count * (ColumnTeam::block / columns);
  launch(fits_registers ? column_slices<small_count, Body> : column_slices<0, Body>,
         std::min(rows.outer * blocks, max_blocks), ColumnTeam::block, rows, columns, blocks,
         Divisor(blocks), body);
}

}  // namespace regrad::gpu

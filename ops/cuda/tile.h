// Products of small matrices in shared memory, accumulated in registers: a block's 256 threads form
// a 16 x 16 grid, and each holds a fragment of the result. Matrices are read in packs of four
// floats. Rows are padded by four floats, so that neither reading down a column nor along a row
// causes bank conflicts.
#pragma once

#include "ops/cuda/launch.h"
#include "ops/cuda/loop.h"
#include "ops/cuda/numbers.h"

namespace regrad::gpu {

constexpr int grid_side = 16;  // rows and columns of the grid of threads
using Float4 = Pack<float, 4>;

// A matrix [rows, columns] in shared memory.
template <int rows_, int columns_>
struct Shared {
  static constexpr int rows = rows_, columns = columns_, stride = columns_ + 4;
  static constexpr int size = rows * stride;
  float* data;
  __device__ float& at(int row, int column) const { return data[row * stride + column]; }
  template <int width = 4>
  __device__ Pack<float, width> pack(int row, int column) const {
    return *reinterpret_cast<const Pack<float, width>*>(data + row * stride + column);
  }
  __device__ static Shared alloc(float*& memory) {
    Shared matrix{memory};
    memory += size;
    return matrix;
  }
  // Loads factor times the rows of a matrix [height, width] from `first` on, padded with zeros. A
  // thread issues all its loads before it uses the first value. Returns whether its values are
  // finite.
  __device__ bool load(const float* source, int64_t source_stride, int64_t first, int64_t height,
                       int64_t width, float factor = 1) const {
    constexpr int rows_per_thread = rows * columns / block_threads,
                  row_stride = block_threads / columns;
    const int column = static_cast<int>(threadIdx.x) % columns;
    const int first_row = static_cast<int>(threadIdx.x) / columns;
    const float* const begin = source + (first + first_row) * source_stride + column;
    const int64_t rows_left = column < width ? height - first - first_row : 0;
    float loaded[rows_per_thread];
#pragma unroll
    for (int i = 0; i < rows_per_thread; ++i) {
      loaded[i] = i * row_stride < rows_left ? factor * begin[i * row_stride * source_stride] : 0.f;
    }
    float zero = 0;
#pragma unroll
    for (int i = 0; i < rows_per_thread; ++i) {
      at(first_row + i * row_stride, column) = loaded[i];
      zero = multiply_add(loaded[i], 0.f, zero);
    }
    return zero == 0;
  }
};

__device__ inline int thread_row() { return static_cast<int>(threadIdx.x) / grid_side; }
__device__ inline int thread_column() { return static_cast<int>(threadIdx.x) % grid_side; }

// A thread's part of a result: rows R thread_row(), R thread_row() + 1, ..., and C columns.
template <int R, int C>
struct Fragment {
  float values[R][C] = {};
};

// A thread's c-th column: every 16th in gemm_nt, and packs of up to four adjacent ones, every 64th,
// in gemm_nn and gemm_tn.
__device__ inline int strided_column(int c) { return thread_column() + grid_side * c; }
template <int C>
__device__ inline int grouped_column(int c) {
  constexpr int pack_width = C < 4 ? C : 4;
  return c / pack_width * grid_side * pack_width + thread_column() * pack_width + c % pack_width;
}

// fragment += a bᵀ, in strided columns
template <int R, int C, class A, class B>
__device__ void gemm_nt(Fragment<R, C>& fragment, const A& a, const B& b) {
  static_assert(A::rows == R * grid_side && B::rows == C * grid_side && A::columns == B::columns);
#pragma unroll 4
  for (int k = 0; k < A::columns; k += 4) {
    Float4 x[R], y[C];
#pragma unroll
    for (int r = 0; r < R; ++r) x[r] = a.pack(thread_row() * R + r, k);
#pragma unroll
    for (int c = 0; c < C; ++c) y[c] = b.pack(strided_column(c), k);
#pragma unroll
    for (int e = 0; e < 4; ++e) {
#pragma unroll
      for (int r = 0; r < R; ++r) {
#pragma unroll
        for (int c = 0; c < C; ++c) {
          fragment.values[r][c] =
              multiply_add(x[r].values[e], y[c].values[e], fragment.values[r][c]);
        }
      }
    }
  }
}

// The elements of a row of b in this thread's columns.
template <int C, class B>
__device__ inline void load_row_pack(const B& b, int row, float (&y)[C]) {
  constexpr int pack_width = C < 4 ? C : 4;
#pragma unroll
  for (int c = 0; c < C; c += pack_width) {
    const auto loaded = b.template pack<pack_width>(row, grouped_column<C>(c));
#pragma unroll
    for (int i = 0; i < pack_width; ++i) y[c + i] = loaded.values[i];
  }
}

// sum + weight x; with skip_zeros, a weight of 0 skips x even if it is NaN or infinite.
template <bool skip_zeros>
__device__ inline float add_weighted(float weight, float x, float sum) {
  return skip_zeros && weight == 0 ? sum : multiply_add(weight, x, sum);
}

// fragment += a b, in grouped columns
template <bool skip_zeros = false, int R, int C, class A, class B>
__device__ void gemm_nn(Fragment<R, C>& fragment, const A& a, const B& b) {
  static_assert(A::rows == R * grid_side && B::columns == C * grid_side && A::columns == B::rows);
#pragma unroll 2
  for (int k = 0; k < A::columns; k += 4) {
    Float4 x[R];
#pragma unroll
    for (int r = 0; r < R; ++r) x[r] = a.pack(thread_row() * R + r, k);
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      float y[C];
      load_row_pack(b, k + e, y);
#pragma unroll
      for (int r = 0; r < R; ++r) {
#pragma unroll
        for (int c = 0; c < C; ++c) {
          fragment.values[r][c] =
              add_weighted<skip_zeros>(x[r].values[e], y[c], fragment.values[r][c]);
        }
      }
    }
  }
}

// fragment += aᵀ b, in grouped columns
template <bool skip_zeros = false, int C, class A, class B>
__device__ void gemm_tn(Fragment<4, C>& fragment, const A& a, const B& b) {
  static_assert(A::columns == 4 * grid_side && B::columns == C * grid_side && A::rows == B::rows);
#pragma unroll 4
  for (int k = 0; k < A::rows; ++k) {
    const Float4 x = a.pack(k, thread_row() * 4);
    float y[C];
    load_row_pack(b, k, y);
#pragma unroll
    for (int r = 0; r < 4; ++r) {
#pragma unroll
      for (int c = 0; c < C; ++c) {
        fragment.values[r][c] = add_weighted<skip_zeros>(x.values[r], y[c], fragment.values[r][c]);
      }
    }
  }
}

// Reduces the values of the 16 threads that share rows.
template <class Combine>
__device__ inline float reduce_row(float value, const Combine& combine) {
  for (int mask = grid_side / 2; mask > 0; mask /= 2) {
    value = combine(value, __shfl_xor_sync(all_lanes, value, mask));
  }
  return value;
}

}  // namespace regrad::gpu

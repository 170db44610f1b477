// Products of small matrices in a block's shared memory, their results in its threads' registers:
// 256 threads stand as 16 by 16, and each keeps some rows and columns of the result. Rows are four
// numbers longer than they need be, so that threads that read rows below each other, or numbers
// beside each other, meet no conflict between banks; all reads are of four numbers at once.
#pragma once

#include "ops/cuda/launch.h"
#include "ops/cuda/loop.h"
#include "ops/cuda/numbers.h"

namespace regrad::gpu {

constexpr int side = 16;  // threads beside each other, and below
using Four = Pack<float, 4>;

// [rows, columns] in shared memory.
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
  __device__ static Shared take(float*& memory) {
    Shared made{memory};
    memory += size;
    return made;
  }
  // factor times the rows of a matrix from `first` on; zeros beyond its `height` and `width`. All
  // numbers are on their way before the first arrives. Tells whether this thread's are finite.
  __device__ bool load(const float* from, int64_t row_step, int64_t first, int64_t height,
                       int64_t width, float factor = 1) const {
    constexpr int each = rows * columns / block_threads, row_gap = block_threads / columns;
    const int column = static_cast<int>(threadIdx.x) % columns;
    const int top = static_cast<int>(threadIdx.x) / columns;
    const float* const begin = from + (first + top) * row_step + column;
    const int64_t left = column < width ? height - first - top : 0;
    float some[each];
#pragma unroll
    for (int i = 0; i < each; ++i) {
      some[i] = i * row_gap < left ? factor * begin[i * row_gap * row_step] : 0.f;
    }
    float zero = 0;
#pragma unroll
    for (int i = 0; i < each; ++i) {
      at(top + i * row_gap, column) = some[i];
      zero = multiply_add(some[i], 0.f, zero);
    }
    return zero == 0;
  }
};

__device__ inline int down() { return static_cast<int>(threadIdx.x) / side; }
__device__ inline int along() { return static_cast<int>(threadIdx.x) % side; }

// A thread's part of a result: rows down() R, ... and C columns.
template <int R, int C>
struct Part {
  float values[R][C] = {};
};

// The columns of the two kinds of products: every 16th, or groups of up to four side by side.
__device__ inline int spread_column(int c) { return along() + side * c; }
template <int C>
__device__ inline int grouped_column(int c) {
  constexpr int group = C < 4 ? C : 4;
  return c / group * side * group + along() * group + c % group;
}

// part += a bᵀ, columns spread
template <int R, int C, class A, class B>
__device__ void add_times_transposed(Part<R, C>& part, const A& a, const B& b) {
  static_assert(A::rows == R * side && B::rows == C * side && A::columns == B::columns);
#pragma unroll 4
  for (int k = 0; k < A::columns; k += 4) {
    Four x[R], y[C];
#pragma unroll
    for (int r = 0; r < R; ++r) x[r] = a.pack(down() * R + r, k);
#pragma unroll
    for (int c = 0; c < C; ++c) y[c] = b.pack(spread_column(c), k);
#pragma unroll
    for (int e = 0; e < 4; ++e) {
#pragma unroll
      for (int r = 0; r < R; ++r) {
#pragma unroll
        for (int c = 0; c < C; ++c) {
          part.values[r][c] = multiply_add(x[r].values[e], y[c].values[e], part.values[r][c]);
        }
      }
    }
  }
}

// A row of b, as the columns of this thread.
template <int C, class B>
__device__ inline void grouped_row(const B& b, int row, float (&y)[C]) {
  constexpr int group = C < 4 ? C : 4;
#pragma unroll
  for (int c = 0; c < C; c += group) {
    const auto some = b.template pack<group>(row, grouped_column<C>(c));
#pragma unroll
    for (int i = 0; i < group; ++i) y[c + i] = some.values[i];
  }
}

// sum + weight x; with skips_zeros, a weight of 0 leaves out even a NaN or an infinity.
template <bool skips_zeros>
__device__ inline float add_weighted(float weight, float x, float sum) {
  return skips_zeros && weight == 0 ? sum : multiply_add(weight, x, sum);
}

// part += a b, columns grouped
template <bool skips_zeros = false, int R, int C, class A, class B>
__device__ void add_times(Part<R, C>& part, const A& a, const B& b) {
  static_assert(A::rows == R * side && B::columns == C * side && A::columns == B::rows);
#pragma unroll 2
  for (int k = 0; k < A::columns; k += 4) {
    Four x[R];
#pragma unroll
    for (int r = 0; r < R; ++r) x[r] = a.pack(down() * R + r, k);
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      float y[C];
      grouped_row(b, k + e, y);
#pragma unroll
      for (int r = 0; r < R; ++r) {
#pragma unroll
        for (int c = 0; c < C; ++c) {
          part.values[r][c] = add_weighted<skips_zeros>(x[r].values[e], y[c], part.values[r][c]);
        }
      }
    }
  }
}

// part += aᵀ b, columns grouped
template <bool skips_zeros = false, int C, class A, class B>
__device__ void add_transposed_times(Part<4, C>& part, const A& a, const B& b) {
  static_assert(A::columns == 4 * side && B::columns == C * side && A::rows == B::rows);
#pragma unroll 4
  for (int k = 0; k < A::rows; ++k) {
    const Four x = a.pack(k, down() * 4);
    float y[C];
    grouped_row(b, k, y);
#pragma unroll
    for (int r = 0; r < 4; ++r) {
#pragma unroll
      for (int c = 0; c < C; ++c) {
        part.values[r][c] = add_weighted<skips_zeros>(x.values[r], y[c], part.values[r][c]);
      }
    }
  }
}

// combine over the 16 threads that share rows.
template <class Combine>
__device__ inline float over_row(float value, const Combine& combine) {
  for (int mask = side / 2; mask > 0; mask /= 2) {
    value = combine(value, __shfl_xor_sync(all_lanes, value, mask));
  }
  return value;
}

}  // namespace regrad::gpu

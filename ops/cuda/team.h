// The threads that share a row: a warp for short rows, a block for long ones.
#pragma once

#include "ops/cuda/launch.h"
#include "ops/cuda/numbers.h"

namespace regrad::gpu {

struct Sum {
  template <class V>
  __device__ V operator()(V a, V b) const {
    return a + b;
  }
};
struct Max {
  template <class V>
  __device__ V operator()(V a, V b) const {
    return v_max(a, b);
  }
};

constexpr int warp_threads = 32;

template <int threads>
struct Team {
  static_assert(threads == warp_threads || threads == block_threads);
  __device__ static int rank() { return static_cast<int>(threadIdx.x) % threads; }
  __device__ static int size() { return threads; }
  // Rows are distributed over the teams of all blocks: this team has first(), first() + step(), ...
  __device__ static int64_t first() {
    return (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) / threads;
  }
  __device__ static int64_t step() {
    return static_cast<int64_t>(gridDim.x) * blockDim.x / threads;
  }

  // Reduces the threads' values with `combine`, in a fixed order, and returns the result to all of
  // them. All threads of the team must call it.
  template <class V, class Combine>
  __device__ static V reduce(V value, const Combine& combine) {
    for (int mask = warp_threads / 2; mask > 0; mask /= 2) {
      value = combine(value, __shfl_xor_sync(all_lanes, value, mask));
    }
    if constexpr (threads != warp_threads) {
      constexpr int warps = block_threads / warp_threads;
      __shared__ V warp_values[warps];
      if (threadIdx.x % warp_threads == 0) warp_values[threadIdx.x / warp_threads] = value;
      __syncthreads();
      value = warp_values[0];
      for (int i = 1; i < warps; ++i) value = combine(value, warp_values[i]);
      __syncthreads();
    }
    return value;
  }
};

constexpr int64_t max_warp_row = 2048;

// Launches kernel<warp_threads> for short rows or kernel<block_threads> for long ones.
template <class... Parameters, class... Arguments>
void launch_rows(int64_t rows, int64_t n, void (*warp_kernel)(Parameters...),
                 void (*block_kernel)(Parameters...), Arguments... arguments) {
  if (rows == 0) return;
  if (n > max_warp_row) {
    return launch(block_kernel, std::min(rows, max_blocks), block_threads,
                  static_cast<Parameters>(arguments)...);
  }
  const int threads = threads_for(rows * warp_threads);
  const int64_t rows_per_block = threads / warp_threads,
                blocks = (rows + rows_per_block - 1) / rows_per_block;
  launch(warp_kernel, std::min(blocks, max_blocks), threads, static_cast<Parameters>(arguments)...);
}

template <class T>
__device__ T infinity() {
  return static_cast<T>(HUGE_VAL);
}

// The shift of a row: its maximum, or 0 if that is -inf.
template <class T>
__device__ T softmax_shift(T row_max) {
  return row_max == -infinity<T>() ? T(0) : row_max;
}

}  // namespace regrad::gpu

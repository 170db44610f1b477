// The threads that work on a row together: a warp for short rows, a block for long ones.
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
struct Larger {
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
  // The teams of all blocks share the rows: first(), first() + step(), ...
  __device__ static int64_t first() {
    return (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) / threads;
  }
  __device__ static int64_t step() {
    return static_cast<int64_t>(gridDim.x) * blockDim.x / threads;
  }

  // combine over the members' values, the same for all of them, in an order that is always the
  // same. All members must come.
  template <class V, class Combine>
  __device__ static V reduce(V value, const Combine& combine) {
    for (int mask = warp_threads / 2; mask > 0; mask /= 2) {
      value = combine(value, __shfl_xor_sync(all_lanes, value, mask));
    }
    if constexpr (threads != warp_threads) {
      constexpr int warps = block_threads / warp_threads;
      __shared__ V parts[warps];
      if (threadIdx.x % warp_threads == 0) parts[threadIdx.x / warp_threads] = value;
      __syncthreads();
      value = parts[0];
      for (int i = 1; i < warps; ++i) value = combine(value, parts[i]);
      __syncthreads();
    }
    return value;
  }
};

constexpr int64_t max_warp_row = 2048;

// Starts warp_kernel or block_kernel, which are kernel<warp_threads> and kernel<block_threads>.
template <class... Parameters, class... Arguments>
void launch_rows(int64_t rows, int64_t n, void (*warp_kernel)(Parameters...),
                 void (*block_kernel)(Parameters...), Arguments... arguments) {
  if (rows == 0) return;
  if (n > max_warp_row) {
    return launch(block_kernel, std::min(rows, max_blocks), block_threads,
                  static_cast<Parameters>(arguments)...);
  }
  const int threads = threads_for(rows * warp_threads);
  const int64_t in_block = threads / warp_threads, blocks = (rows + in_block - 1) / in_block;
  launch(warp_kernel, std::min(blocks, max_blocks), threads, static_cast<Parameters>(arguments)...);
}

template <class T>
__device__ T infinity() {
  return static_cast<T>(HUGE_VAL);
}

// What a row's numbers are lowered by before their exponentials: its maximum, unless that is -inf.
template <class T>
__device__ T softmax_shift(T greatest) {
  return greatest == -infinity<T>() ? T(0) : greatest;
}

}  // namespace regrad::gpu

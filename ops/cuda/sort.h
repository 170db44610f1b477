// Positions in the order of their keys; equal keys stay in the order of the positions. A radix sort
// by 8 bits at a time: each tile counts its digits, the counts become places, and each element goes
// to its place. Nothing depends on which block runs first.
#pragma once

#include <utility>

#include "ops/cuda/device.h"

namespace regrad::gpu::sorting {

constexpr int digits = 256, warps = block_threads / 32;
constexpr int rounds = 4;  // elements of each thread
constexpr int64_t tile = block_threads * rounds;

// counts[digit][tile], so that the sum of all before is where a tile's first such element goes.
static __global__ void count_digits(int64_t n, int shift, int64_t tiles, int64_t* counts,
                                    const int64_t* keys) {
  __shared__ int here[digits];
  here[threadIdx.x] = 0;
  __syncthreads();
  for (int k = 0; k < rounds; ++k) {
    const int64_t i = blockIdx.x * tile + k * block_threads + threadIdx.x;
    if (i < n) atomicAdd(here + (keys[i] >> shift & (digits - 1)), 1);
  }
  __syncthreads();
  counts[threadIdx.x * tiles + blockIdx.x] = here[threadIdx.x];
}
static_assert(block_threads == digits);

// counts[i] becomes the sum of counts[0..i), by one block.
static __global__ void sum_before(int64_t n, int64_t* counts) {
  constexpr int each = 8;
  __shared__ int64_t sums[block_threads];
  int64_t before = 0;
  const int thread = static_cast<int>(threadIdx.x);
  for (int64_t first = 0; first < n; first += block_threads * each) {
    const int64_t begin = first + thread * each;
    int64_t own[each], total = 0;
    for (int k = 0; k < each; ++k) {
      own[k] = total;
      if (begin + k < n) total += counts[begin + k];
    }
    sums[thread] = total;
    __syncthreads();
    for (int distance = 1; distance < block_threads; distance *= 2) {
      const int64_t left = thread >= distance ? sums[thread - distance] : 0;
      __syncthreads();
      sums[thread] += left;
      __syncthreads();
    }
    for (int k = 0; k < each; ++k) {
      if (begin + k < n) counts[begin + k] = before + sums[thread] - total + own[k];
    }
    before += sums[block_threads - 1];
    __syncthreads();
  }
}

// The lanes of the warp that hold the same digit; `in` says which lanes hold any.
__device__ inline unsigned same_digit(int digit, bool in) {
  unsigned same = __ballot_sync(all_lanes, in);
  for (int bit = 1; bit < digits; bit *= 2) {
    const unsigned set = __ballot_sync(all_lanes, (digit & bit) != 0);
    same &= (digit & bit) != 0 ? set : ~set;
  }
  return same;
}

__device__ inline int bits_in(unsigned lanes) {
  int count = 0;
  for (; lanes != 0; lanes &= lanes - 1) ++count;
  return count;
}

static __global__ void place_digits(int64_t n, int shift, int64_t tiles, const int64_t* places,
                                    int64_t* keys_out, int64_t* positions_out, const int64_t* keys,
                                    const int64_t* positions) {
  __shared__ int64_t next[digits];
  __shared__ int in_warp[warps][digits];
  const int thread = static_cast<int>(threadIdx.x), warp = thread / 32, lane = thread % 32;
  next[thread] = places[thread * tiles + blockIdx.x];
  for (int k = 0; k < rounds; ++k) {
    for (int w = 0; w < warps; ++w) in_warp[w][thread] = 0;
    __syncthreads();
    const int64_t i = blockIdx.x * tile + k * block_threads + thread;
    const int64_t key = i < n ? keys[i] : 0;
    const int digit = static_cast<int>(key >> shift & (digits - 1));
    const unsigned same = same_digit(digit, i < n);
    const int before = bits_in(same & ((1u << lane) - 1));
    if (i < n && before == 0) in_warp[warp][digit] = bits_in(same);
    __syncthreads();
    if (i < n) {
      int64_t place = next[digit] + before;
      for (int w = 0; w < warp; ++w) place += in_warp[w][digit];
      keys_out[place] = key;
      positions_out[place] = shift == 0 ? i : positions[i];
    }
    __syncthreads();
    for (int w = 0; w < warps; ++w) next[thread] += in_warp[w][thread];
    __syncthreads();
  }
}

// Sorts keys in [0, limit), which it overwrites.
class Sorted {
 public:
  Sorted(int64_t n, int64_t limit, int64_t* keys)
      : other_keys_(n), positions_(n), other_positions_(n) {
    const int64_t tiles = (n + tile - 1) / tile;
    const Scratch<int64_t> counts(digits * tiles);
    int64_t* from[2] = {keys, positions_.data()};
    int64_t* to[2] = {other_keys_.data(), other_positions_.data()};
    int shift = 0;
    do {
      launch(count_digits, tiles, block_threads, n, shift, tiles, counts.data(), from[0]);
      launch(sum_before, 1, block_threads, digits * tiles, counts.data());
      launch(place_digits, tiles, block_threads, n, shift, tiles, counts.data(), to[0], to[1],
             from[0], from[1]);
      std::swap(from, to);
      shift += 8;
    } while (shift < 64 && limit >> shift != 0);
    keys_sorted_ = from[0];
    positions_sorted_ = from[1];
  }

  const int64_t* keys() const { return keys_sorted_; }
  const int64_t* positions() const { return positions_sorted_; }

 private:
  Scratch<int64_t> other_keys_, positions_, other_positions_;
  const int64_t *keys_sorted_ = nullptr, *positions_sorted_ = nullptr;
};

}  // namespace regrad::gpu::sorting

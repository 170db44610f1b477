// A stable radix sort of keys and their positions, 8 bits per pass: each tile counts its digits, an
// exclusive scan turns the counts into offsets, and the elements are scattered to these. The result
// does not depend on the order in which blocks run.
#pragma once

#include <utility>

#include "ops/cuda/device.h"

namespace regrad::gpu::sorting {

constexpr int digits = 256, warps = block_threads / 32;
constexpr int items_per_thread = 4;  // elements of each thread
constexpr int64_t tile = block_threads * items_per_thread;

// counts[digit, tile], so that an exclusive scan gives where a tile's first element of a digit
// goes.
static __global__ void count_digits(int64_t n, int shift, int64_t tiles, int64_t* counts,
                                    const int64_t* keys) {
  __shared__ int tile_counts[digits];
  tile_counts[threadIdx.x] = 0;
  __syncthreads();
  for (int k = 0; k < items_per_thread; ++k) {
    const int64_t i = blockIdx.x * tile + k * block_threads + threadIdx.x;
    if (i < n) atomicAdd(tile_counts + (keys[i] >> shift & (digits - 1)), 1);
  }
  __syncthreads();
  counts[threadIdx.x * tiles + blockIdx.x] = tile_counts[threadIdx.x];
}
static_assert(block_threads == digits);

// Replaces counts[i] by the sum of counts[0..i), with one block.
static __global__ void exclusive_scan(int64_t n, int64_t* counts) {
  constexpr int items_per_scan_thread = 8;
  __shared__ int64_t sums[block_threads];
  int64_t carry = 0;
  const int thread = static_cast<int>(threadIdx.x);
  for (int64_t first = 0; first < n; first += block_threads * items_per_scan_thread) {
    const int64_t begin = first + thread * items_per_scan_thread;
    int64_t prefixes[items_per_scan_thread], total = 0;
    for (int k = 0; k < items_per_scan_thread; ++k) {
      prefixes[k] = total;
      if (begin + k < n) total += counts[begin + k];
    }
    sums[thread] = total;
    __syncthreads();
    for (int distance = 1; distance < block_threads; distance *= 2) {
      const int64_t neighbour = thread >= distance ? sums[thread - distance] : 0;
      __syncthreads();
      sums[thread] += neighbour;
      __syncthreads();
    }
    for (int k = 0; k < items_per_scan_thread; ++k) {
      if (begin + k < n) counts[begin + k] = carry + sums[thread] - total + prefixes[k];
    }
    carry += sums[block_threads - 1];
    __syncthreads();
  }
}

// A mask of the lanes of the warp that hold the same digit; `in` says whether this lane holds one.
__device__ inline unsigned lanes_with_digit(int digit, bool in) {
  unsigned matches = __ballot_sync(all_lanes, in);
  for (int bit = 1; bit < digits; bit *= 2) {
    const unsigned has_bit = __ballot_sync(all_lanes, (digit & bit) != 0);
    matches &= (digit & bit) != 0 ? has_bit : ~has_bit;
  }
  return matches;
}

__device__ inline int popcount(unsigned lanes) {
  int count = 0;
  for (; lanes != 0; lanes &= lanes - 1) ++count;
  return count;
}

static __global__ void scatter_digits(int64_t n, int shift, int64_t tiles,
                                      const int64_t* digit_offsets, int64_t* keys_out,
                                      int64_t* positions_out, const int64_t* keys,
                                      const int64_t* positions) {
  __shared__ int64_t next_offsets[digits];
  __shared__ int warp_counts[warps][digits];
  const int thread = static_cast<int>(threadIdx.x), warp = thread / 32, lane = thread % 32;
  next_offsets[thread] = digit_offsets[thread * tiles + blockIdx.x];
  for (int k = 0; k < items_per_thread; ++k) {
    for (int w = 0; w < warps; ++w) warp_counts[w][thread] = 0;
    __syncthreads();
    const int64_t i = blockIdx.x * tile + k * block_threads + thread;
    const int64_t key = i < n ? keys[i] : 0;
    const int digit = static_cast<int>(key >> shift & (digits - 1));
    const unsigned matches = lanes_with_digit(digit, i < n);
    const int earlier_lanes = popcount(matches & ((1u << lane) - 1));
    if (i < n && earlier_lanes == 0) warp_counts[warp][digit] = popcount(matches);
    __syncthreads();
    if (i < n) {
      int64_t destination = next_offsets[digit] + earlier_lanes;
      for (int w = 0; w < warp; ++w) destination += warp_counts[w][digit];
      keys_out[destination] = key;
      positions_out[destination] = shift == 0 ? i : positions[i];
    }
    __syncthreads();
    for (int w = 0; w < warps; ++w) next_offsets[thread] += warp_counts[w][thread];
    __syncthreads();
  }
}

// Sorts keys in [0, limit), which it overwrites.
class Sorted {
 public:
  Sorted(int64_t n, int64_t limit, int64_t* keys)
      : keys_buffer_(n), positions_(n), positions_buffer_(n) {
    const int64_t tiles = (n + tile - 1) / tile;
    const Scratch<int64_t> counts(digits * tiles);
    int64_t* input[2] = {keys, positions_.data()};
    int64_t* output[2] = {keys_buffer_.data(), positions_buffer_.data()};
    int shift = 0;
    do {
      launch(count_digits, tiles, block_threads, n, shift, tiles, counts.data(), input[0]);
      launch(exclusive_scan, 1, block_threads, digits * tiles, counts.data());
      launch(scatter_digits, tiles, block_threads, n, shift, tiles, counts.data(), output[0],
             output[1], input[0], input[1]);
      std::swap(input, output);
      shift += 8;
    } while (shift < 64 && limit >> shift != 0);
    keys_sorted_ = input[0];
    positions_sorted_ = input[1];
  }

  const int64_t* keys() const { return keys_sorted_; }
  const int64_t* positions() const { return positions_sorted_; }

 private:
  Scratch<int64_t> keys_buffer_, positions_, positions_buffer_;
  const int64_t *keys_sorted_ = nullptr, *positions_sorted_ = nullptr;
};

}  // namespace regrad::gpu::sorting

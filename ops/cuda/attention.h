// What both kernels of attention (flash.cu, attention.cu) know of a call: where its members are.
#pragma once

#include "ops/kernels/attention.h"
#include "ops/cuda/launch.h"

namespace regrad::gpu {

// How far from its data an operand's member of the batch begins.
template <class T>
__host__ __device__ inline int64_t batch_offset(const AttentionCall<T>& call, const int64_t* steps,
                                                int64_t member) {
  int64_t at = 0;
  for (int d = call.batch_rank - 1; d >= 0; --d) {
    at += member % call.batch_sizes[d] * steps[d];
    member /= call.batch_sizes[d];
  }
  return at;
}

template <class T>
__host__ __device__ inline int64_t batch_count(const AttentionCall<T>& call) {
  int64_t members = 1;
  for (int d = 0; d < call.batch_rank; ++d) members *= call.batch_sizes[d];
  return members;
}

// Whether a weight can be 0 because a key is closed to a query; then what it is multiplied with may
// be anything.
template <class T>
__host__ __device__ inline bool has_masked_keys(const AttentionCall<T>& call) {
  return call.causal || call.mask.data != nullptr || call.bias.data != nullptr;
}

// Whether flash.cu has done it: float32, heads up to 128 wide that fit into this GPU's shared
// memory, no derivative of a bias.
bool flash_attention(const AttentionCall<float>&);
bool flash_attention_backward(const AttentionCall<float>&);
inline bool flash_attention(const AttentionCall<double>&) { return false; }
inline bool flash_attention_backward(const AttentionCall<double>&) { return false; }

}  // namespace regrad::gpu

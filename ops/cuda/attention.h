// Helpers of both attention kernels (flash.cu, attention.cu).
#pragma once

#include "ops/cuda/launch.h"
#include "ops/kernels/attention.h"

namespace regrad::gpu {

// The offset of a batch entry, given an operand's batch strides.
template <class T>
__host__ __device__ inline int64_t batch_offset(const AttentionCall<T>& call,
                                                const int64_t* strides, int64_t batch) {
  int64_t offset = 0;
  for (int d = call.batch_rank - 1; d >= 0; --d) {
    offset += batch % call.batch_sizes[d] * strides[d];
    batch /= call.batch_sizes[d];
  }
  return offset;
}

template <class T>
__host__ __device__ inline int64_t batch_count(const AttentionCall<T>& call) {
  int64_t batches = 1;
  for (int d = 0; d < call.batch_rank; ++d) batches *= call.batch_sizes[d];
  return batches;
}

// Whether a key may be masked for a query, so that its weight is 0; then its value, even NaN or
// infinite, must be ignored.
template <class T>
__host__ __device__ inline bool has_masked_keys(const AttentionCall<T>& call) {
  return call.causal || call.mask.data != nullptr || call.bias.data != nullptr;
}

// These return false, and do nothing, for what flash.cu does not support: it requires float32,
// depth and width of at most 128, enough shared memory on this GPU, and no dbias.
bool flash_attention(const AttentionCall<float>&);
bool flash_attention_backward(const AttentionCall<float>&);
inline bool flash_attention(const AttentionCall<double>&) { return false; }
inline bool flash_attention_backward(const AttentionCall<double>&) { return false; }

}  // namespace regrad::gpu

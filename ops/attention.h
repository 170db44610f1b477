// Fused attention as every backend sees it: pointers, sizes and strides, no Tensor.
#pragma once

#include <cstdint>

namespace regrad {

// One operand: its element (i, j) for a member of the batch is data[offset + i row + j column],
// with the offset from the steps along the batch. Any stride may be 0; null: not there.
template <class T>
struct AttentionOperand {
  T* data = nullptr;
  int64_t row = 0, column = 1;
  int64_t batch[6] = {};
};

// out = softmax(scale q kᵀ + bias, where mask and causal allow) v, for each of the batch:
// q [queries, depth], k [keys, depth], v [keys, width], bias and mask [queries, keys]; true = may
// attend. Columns are contiguous, except those of bias and mask. A query with nothing to attend to
// gets zeros.
template <class T>
struct AttentionCall {
  int64_t queries = 0, keys = 0, depth = 0, width = 0;
  T scale = 1;
  bool causal = false;  // query i attends to keys 0 .. i
  int batch_rank = 0;
  int64_t batch_sizes[6] = {};
  AttentionOperand<const T> q, k, v, bias;
  AttentionOperand<const bool> mask;
  AttentionOperand<T> out;  // written; read by the derivative
  // What the forward pass may save for the derivative, [queries, 1], or null. The cpu's: the
  // logarithm to base 2 of each query's sum of exponentials, infinity where there is nothing to
  // sum.
  AttentionOperand<T> log_sum;

  // The derivative: dq, dk and dv are written, dbias is added to; each may be null. The last
  // batch dimensions, `shared` members in all, have one dbias.
  AttentionOperand<const T> g;
  AttentionOperand<T> dq, dk, dv, dbias;
  int64_t shared = 1;
};

}  // namespace regrad

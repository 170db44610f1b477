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
// gets zeros, and what has a weight of 0 counts for nothing, even if it is NaN or infinite.
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
  // What the forward pass may save for the derivative, [queries, 2], or null: each query's largest
  // score and 1 / its sum of exponentials, 0 and 0 where there is nothing to sum. As one number,
  // their logarithm, it would lose the sum beside a large score.
  AttentionOperand<T> softmax;

  // The derivative: dq, dk and dv are written, dbias is added to; each may be null. The last
  // batch dimensions, `shared` members in all, have one dbias.
  AttentionOperand<const T> g;
  AttentionOperand<T> dq, dk, dv, dbias;
  int64_t shared = 1;
};

// Additive attention (ops/additive.cpp): q [batch, queries, size], k [batch, keys, size], v [size].
template <class T>
struct Additive {
  int64_t batch = 0, queries = 0, keys = 0, size = 0;
  const T *q = nullptr, *k = nullptr, *v = nullptr;
};

template <class T>
struct AdditiveGradients {
  const T* g = nullptr;  // of the scores [batch, queries, keys]
  T *dq = nullptr, *dk = nullptr, *dv = nullptr;
};

}  // namespace regrad

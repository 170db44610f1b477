// Fused attention as every backend sees it: pointers, sizes and strides, no Tensor.
#pragma once

#include <cstdint>

namespace regrad {

// One operand: element (i, j) of batch entry (b0, b1, ...) is
// data[b0 batch[0] + b1 batch[1] + ... + i row + j column]. Any stride may be 0 (broadcast); data
// is null for an operand that is not given.
template <class T>
struct AttentionOperand {
  T* data = nullptr;
  int64_t row = 0, column = 1;  // strides
  int64_t batch[6] = {};        // strides
};

// out = softmax(scale q kᵀ + bias, masked by mask and causal) v, for each batch entry:
// q [queries, depth], k [keys, depth], v [keys, width], bias and mask [queries, keys]. In the mask,
// true means that the query may attend to the key. Rows are contiguous (column = 1), except those
// of bias and mask. A query that may attend to no key gets zeros. A key with a weight of 0
// contributes nothing, even if its value is NaN or infinite.
template <class T>
struct AttentionCall {
  int64_t queries = 0, keys = 0, depth = 0, width = 0;
  T scale = 1;
  bool causal = false;  // query i attends to keys 0 .. i
  int batch_rank = 0;
  int64_t batch_sizes[6] = {};
  AttentionOperand<const T> q, k, v, bias;
  AttentionOperand<const bool> mask;
  AttentionOperand<T> out;  // written by the forward pass, read by the backward pass
  // Softmax statistics [queries, 2] that the forward pass saves for the backward pass, or null:
  // each query's maximum score and 1 / sum exp(score - maximum); 0 and 0 for a query without keys.
  // A single log-sum-exp would lose the digits of the sum beside a large maximum.
  AttentionOperand<T> softmax;

  // The backward pass: dq, dk and dv are written, dbias is accumulated into; each may be null.
  // dbias is broadcast over the innermost batch dimensions: `shared` consecutive batch entries
  // accumulate into the same one.
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
  const T* g = nullptr;  // the gradient of the scores, [batch, queries, keys]
  T *dq = nullptr, *dk = nullptr, *dv = nullptr;
};

}  // namespace regrad

// The matrix product as every backend sees it: pointers, sizes and strides, no Tensor.
// Strides are in elements and may be anything (0, transposed); only the columns of C are
// contiguous.
#pragma once

#include <cstdint>

namespace regrad {

// C = A B + bias, or C = C + A B + bias if accumulate, for each of the batch:
// A [m, k], B [k, n], C [m, n]. With k = 0 the product is zero. C must not overlap A or B.
template <class T>
struct Gemm {
  int64_t m = 0, n = 0, k = 0;
  const T* a = nullptr;
  int64_t a_row = 0, a_col = 0;
  const T* b = nullptr;
  int64_t b_row = 0, b_col = 0;
  T* c = nullptr;
  int64_t c_row = 0;
  const T* bias = nullptr;  // [n], added to every row, or null
  bool accumulate = false;
  // The batch: its sizes, outermost first, and the step of each operand along each; 0 = shared.
  int batch_rank = 0;
  int64_t batch_sizes[6] = {};
  int64_t a_batch[6] = {}, b_batch[6] = {}, c_batch[6] = {};
};

}  // namespace regrad

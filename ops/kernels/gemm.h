// The matrix product as every backend sees it: pointers, sizes and strides, no Tensor.
// Strides are in elements and may be anything (0, transposed); only the rows of C must be
// contiguous.
#pragma once

#include <cstdint>

namespace regrad {

// C = A B + bias, or C = C + A B + bias if accumulate, for each batch entry:
// A [m, k], B [k, n], C [m, n]. With k = 0 the product is zero. C must not overlap A or B.
// Element (i, p) of A is a[i a_row + p a_col], and likewise for B and C.
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
  // The batch dimensions, outermost first, and each operand's strides along them; 0 = broadcast.
  int batch_rank = 0;
  int64_t batch_sizes[6] = {};
  int64_t a_batch[6] = {}, b_batch[6] = {}, c_batch[6] = {};
};

}  // namespace regrad

// How many floating-point operations an op takes, for profiles.
#pragma once

#include <vector>

#include "autograd/shape.h"

namespace regrad {

// Of an op's forward, by the name and shapes that it was recorded with; an input that was left out
// is an empty shape. It counts what the definition asks for, not what a kernel does:
//   products      2 m n k: a multiplication and an addition for each term, of a convolution for
//   each
//                 place and tap of a filter. Biases are not counted, and masks and padding save
//                 nothing: attention counts every pair of query and key
//   elementwise   1 for each element of the result, whatever the function
//   reductions    1 for each element of the input
//   softmax       5 for each element: maximum, subtraction, exponential, sum, division; the losses
//                 and normalisations likewise, by their formulas
//   recurrent     the products of all steps, and 10 (GRU) or 9 (LSTM) for each element of a state
//   views, copies 0, and so has an op that is not known here, such as a program's own
// At most 2^63 - 1, where there would be more.
int64_t flops(const char* name, const std::vector<Shape>& inputs, const Shape& output);

}  // namespace regrad

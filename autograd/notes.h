// What the engine and the ops note for audit() besides the origins of tensors (origin.h). Internal.
#pragma once

#include "autograd/graph.h"

namespace regrad {

// x goes into a softmax over dimension d, which ignores what is added to all elements along it:
// marks the ops close above it that add a leaf to them all (Node::sums_to_zero).
void note_shift(const Tensor& x, int64_t d);
void note_rows(const Tensor& x);  // an op takes rows of x

// The size of what a leaf's gradient is the sum of, where sums_to_zero: the absolute values of
// these numbers, summed. `more` is added to it; either may be undefined. A small gradient is kept
// as it is, since its values may be summed later.
Tensor add_addends(const Tensor& size, const Tensor& more);
// The sum of the absolute values, one element (ops/reduce.cpp).
Tensor absolute_sum(const Tensor& gradient);

// The last backward() on this thread: the number of the node it began at, its pass, and the number
// of the last node when it, and the one before it, ended.
struct LastBackward {
  uint64_t root = 0, pass = 0, ended = 0, before_ended = 0;
};
LastBackward& last_backward();
// It has ended; last_number: of this thread's nodes.
void note_backward(const Node& root, uint64_t pass, uint64_t last_number);

}  // namespace regrad

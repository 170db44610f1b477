// What the engine and the ops note for audit() besides the origins of tensors (origin.h). Internal.
#pragma once

#include "autograd/graph.h"

namespace regrad {

// x goes into a softmax over dimension d, which ignores what is added to all elements along it:
// marks the leaves close above it that are added to them all (Node::is_shift).
void note_shift(const Tensor& x, int64_t d);
void note_rows(const Tensor& x);  // an op takes rows of x

// The last backward() on this thread: the number of the node it began at, its pass, and the number
// of the last node when it, and the one before it, ended.
struct LastBackward {
  uint64_t root = 0, pass = 0, ended = 0, before_ended = 0;
};
LastBackward& last_backward();
// It has ended; last_number: of this thread's nodes.
void note_backward(const Node& root, uint64_t pass, uint64_t last_number);

}  // namespace regrad

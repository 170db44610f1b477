// to_dot: the graph behind a tensor, in the language of Graphviz.
#pragma once

#include <string>

#include "autograd/tensor.h"

namespace regrad {

// A box for each op (name, shape of its output), an ellipse for each leaf (its name, shape), arrows
// from inputs to outputs. `dot -Tsvg` draws it. An Error for a tensor that requires no gradient.
std::string to_dot(const Tensor& tensor);

}  // namespace regrad

// Names of dimensions, which errors and traces print: [batch 4, time 7, hidden 32].
#pragma once

#include <string>
#include <vector>

#include "autograd/tensor.h"

namespace regrad {

// x with these names for its dimensions: the same numbers, the same place in the graph. A leaf that
// requires a gradient gets the names itself, and is returned. Ops whose result has exactly the
// shape of an input pass its names on; transpose() and permute() move them. An Error unless there
// is one name for each dimension, none empty, all different.
Tensor named(const Tensor& x, const std::vector<std::string>& names);

std::vector<std::string> dim_names(const Tensor& x);  // empty where it has none
// Its shape with its names: "[batch 4, time 7]", or "[4, 7]" where it has none.
std::string shape_text(const Tensor& x);

// For the ops: `to` gets x's names, in the given order of dimensions.
void permute_names(const Tensor& x, const std::vector<int64_t>& order, Tensor& to);

}  // namespace regrad

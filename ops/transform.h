// Functions of functions: recomputing in the backward pass, and derivatives along a direction. A
// part of the catalogue: ops/ops.h says how the formulas are read.
#pragma once

#include "autograd/gradcheck.h"
#include "autograd/graph.h"

namespace regrad {

// y = f(inputs); dinputs = those of f. Like f(inputs), with the same bits, but nothing of the
// inside is kept: backward() calls f again (Chen et al., 2016). Tensors that f holds, parameters
// among them, get their gradients too. Generators give the second time what they gave the first,
// and are then where they were. An Error in backward() where f gives other numbers the second time,
// as after a step of an optimiser.
Tensor checkpoint(const Function& f, const std::vector<Tensor>& inputs);

struct Jvp {
  Tensor output, tangent;  // of one shape
};
// output = f(inputs), tangent = Σ df/dinputs · tangents: how f changes when each input moves along
// its tangent, of its shape and dtype. Computed with two backward passes, the second through the
// first: the product of the Jacobian's transpose with u is linear in u, and its derivative is the
// product with the Jacobian. Both are part of the graph where the inputs are.
Jvp jvp(const Function& f, const std::vector<Tensor>& inputs, const std::vector<Tensor>& tangents);

}  // namespace regrad

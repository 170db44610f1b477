// Keeping gradients within bounds, between backward() and step().
#pragma once

#include <vector>

#include "autograd/tensor.h"

namespace regrad::optim {

// Scales all gradients by one factor so that their common length (of all elements together, in the
// p-norm; p may be infinity) is at most max_norm. Returns the length that they had. A length that
// is not finite makes every gradient NaN or 0, as in PyTorch: look at what is returned.
double clip_grad_norm(const std::vector<Tensor>& parameters, double max_norm, double p = 2);

// Clamps every element of every gradient to [-limit, limit].
void clip_grad_value(const std::vector<Tensor>& parameters, double limit);

}  // namespace regrad::optim

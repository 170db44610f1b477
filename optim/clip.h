// Keeping gradients within bounds, between backward() and step().
#pragma once

#include <vector>

#include "autograd/tensor.h"

namespace regrad::optim {

// Multiplies all gradients by min(1, max_norm / (norm + 1e-6)) and returns norm, the p-norm of all
// their elements together, (Σ |g|^p)^(1/p); p may be infinity. A norm that is not finite makes
// every gradient NaN or 0, as in PyTorch: look at what is returned. An Error unless p > 0 and
// max_norm >= 0.
double clip_grad_norm(const std::vector<Tensor>& parameters, double max_norm, double p = 2);

// Clamps every element of every gradient to [-limit, limit]; an Error for a limit below 0.
void clip_grad_value(const std::vector<Tensor>& parameters, double limit);

}  // namespace regrad::optim

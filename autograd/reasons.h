// Why a gradient is zero: what explain() and audit() say about it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "autograd/tensor.h"

namespace regrad {

// A gradient of size `before` became one of size `after` by going back through ops[0], to which it
// came through ops[1], .. from the loss. Why that is 0; empty where it is not. is_sum: the
// derivative summed it. A softmax gives gradients that sum to 0, of which rounding leaves about
// 1e-7; any other small number is what it is.
std::string reason_for_zero(const std::vector<std::string_view>& ops, bool is_sum, double before,
                            double after);

bool ignores_shift(std::string_view op);  // whether its gradients sum to 0, as a softmax's do
double norm(const Tensor& x);             // sqrt(sum(x²)), in float64

}  // namespace regrad

// gradcheck: are a function's derivatives right? Compares them with central differences,
//   (f(x + eps) - f(x - eps)) / 2 eps,  element by element, in float64.
#pragma once

#include <functional>
#include <ostream>

#include "autograd/tensor.h"

namespace regrad {

struct GradcheckOptions {
  double eps = 1e-5, rtol = 1e-6, atol = 1e-8;  // passes while |a - n| <= atol + rtol |n|
};

struct GradcheckResult {
  bool passed = true;
  std::string message;  // which input, which element, by how much; empty when passed
  explicit operator bool() const { return passed; }  // if (gradcheck(..))
};
std::ostream& operator<<(std::ostream& out,
                         const GradcheckResult& result);  // "gradients agree", or the message

using Function = std::function<Tensor(const std::vector<Tensor>&)>;

// Every float64 input is checked; others (indices, masks) are passed through. An output of several
// elements is reduced to a sum with fixed irregular weights, so that errors do not cancel. An
// Error without a float64 input. The cost is two calls of the function for each element.
GradcheckResult gradcheck(const Function& function, const std::vector<Tensor>& inputs,
                          const GradcheckOptions& options = {});
// The same for the gradients themselves: are second derivatives right?
GradcheckResult gradgradcheck(const Function& function, const std::vector<Tensor>& inputs,
                              const GradcheckOptions& options = {});

}  // namespace regrad

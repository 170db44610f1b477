// One step of an optimiser, in place, for all parameters in one pass (the formulas: optim/sgd.h,
// optim/adam.h). Internal: optim/ is how a user reaches it.
#pragma once

#include <vector>

#include "autograd/tensor.h"

namespace regrad {

// A parameter, its gradient, and what the optimiser remembers of it; all of one shape. Dtypes may
// differ from parameter to parameter. What is remembered starts as zeros.
struct ParameterUpdate {
  Tensor parameter, gradient;
  Tensor first = {}, second = {};  // SGD: the velocity or none; Adam: the means of g and g²
  int64_t step = 1;                // the number of this step, from 1
};

struct SgdFormula {
  double lr, momentum, dampening, weight_decay;
  bool nesterov;
};
// Nothing is moved where one of the parameters cannot be.
void sgd_update(std::vector<ParameterUpdate>& updates, const SgdFormula& formula);

struct AdamFormula {
  double lr, beta1, beta2, eps, weight_decay;
  bool decoupled;  // AdamW: weight decay acts on the parameter itself
};
void adam_update(std::vector<ParameterUpdate>& updates, const AdamFormula& formula);

}  // namespace regrad

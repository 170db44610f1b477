// One step of an optimiser, in place, for all parameters in one pass (the formulas: optim/sgd.h,
// optim/adam.h). Internal: optim/ is how a user reaches it.
#pragma once

#include <vector>

#include "autograd/tensor.h"

namespace regrad {

// A parameter, its gradient, and the optimiser's state for it, which starts as zeros: all of one
// shape and dtype. Dtypes may differ between parameters.
struct ParameterUpdate {
  Tensor parameter, gradient;
  Tensor first = {}, second = {};  // SGD: the velocity or none; Adam: the means of g and g²
  int64_t step = 1;                // the number of this step, from 1
};

struct SgdFormula {
  double lr, momentum, dampening, weight_decay;
  bool nesterov;
};
// An Error, such as for a parameter that is not contiguous, leaves all parameters as they were.
void sgd_update(std::vector<ParameterUpdate>& updates, const SgdFormula& formula);

struct AdamFormula {
  double lr, beta1, beta2, eps, weight_decay;
  bool decoupled;  // AdamW: weight decay acts on the parameter itself
};
void adam_update(std::vector<ParameterUpdate>& updates, const AdamFormula& formula);

}  // namespace regrad

// One step of an optimiser, in place, for all parameters in one pass (the formulas:
// ops/kernels/update.h). optim/ is how a user reaches it; an optimiser of one's own needs
// ParameterUpdate alone.
#pragma once

#include <array>
#include <vector>

#include "autograd/tensor.h"

namespace regrad {

// A parameter, its gradient, and the optimiser's state for it: all of one shape and dtype. Dtypes
// may differ between parameters.
struct ParameterUpdate {
  Tensor parameter, gradient;
  size_t index = 0;                  // the parameter's number
  size_t group = 0;                  // whose formula it takes
  int64_t step = 1;                  // the number of this step, from 1
  std::array<Tensor, 3> state = {};  // by the optimiser's slots; undefined: the group has none
};

// Each of these takes one formula for each group. An Error, such as for a parameter that is not
// contiguous, leaves all parameters as they were.
struct SgdFormula {
  double lr, momentum, dampening, weight_decay;
  bool nesterov;
};
void sgd_update(std::vector<ParameterUpdate>& updates, const std::vector<SgdFormula>& formulas);

struct AdamFormula {
  double lr, beta1, beta2, eps, weight_decay;
  bool decoupled;  // AdamW: weight decay acts on the parameter itself
};
void adam_update(std::vector<ParameterUpdate>& updates, const std::vector<AdamFormula>& formulas);

struct RmspropFormula {
  double lr, alpha, eps, momentum, weight_decay;
};
void rmsprop_update(std::vector<ParameterUpdate>& updates,
                    const std::vector<RmspropFormula>& formulas);

struct AdagradFormula {
  double lr, lr_decay, eps, weight_decay;
};
void adagrad_update(std::vector<ParameterUpdate>& updates,
                    const std::vector<AdagradFormula>& formulas);

struct AdadeltaFormula {
  double lr, rho, eps, weight_decay;
};
void adadelta_update(std::vector<ParameterUpdate>& updates,
                     const std::vector<AdadeltaFormula>& formulas);

}  // namespace regrad

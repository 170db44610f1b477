// audit() of a module; autograd/audit.h says what it tells.
#pragma once

#include "autograd/audit.h"
#include "nn/module.h"

namespace regrad {

// What loss.backward() brought to each parameter of the model, under its dotted name.
template <nn::Module M>
Audit audit(const M& model, const Tensor& loss) {
  return audit(nn::named_parameters(model), loss);
}

}  // namespace regrad

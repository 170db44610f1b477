#include "optim/sgd.h"

#include "autograd/check.h"
#include "ops/ops.h"

namespace regrad::optim {

SGD::SGD(std::vector<Tensor> parameters, SGDOptions options)
    : Optimizer("SGD", std::move(parameters), options.lr),
      options_(options),
      momentum_(parameters_.size()) {
  check(options.momentum >= 0 && options.weight_decay >= 0,
        "SGD: momentum and weight_decay must be 0 or more, not {} and {}", options.momentum,
        options.weight_decay);
  check(!options.nesterov || (options.momentum > 0 && options.dampening == 0),
        "SGD: nesterov needs a momentum above 0 and no dampening, not {} and {}", options.momentum,
        options.dampening);
}

std::vector<std::pair<std::string, Optimizer::Slots*>> SGD::slots() {
  return {{"momentum", &momentum_}};
}

void SGD::step() {
  const NoGrad guard;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    Tensor& parameter = parameters_[i];
    Tensor g = parameter.grad();
    if (!g.defined()) continue;
    if (options_.weight_decay != 0) g = g + options_.weight_decay * parameter;
    if (options_.momentum != 0) {
      Tensor& v = momentum_[i];
      if (v.defined()) {
        v.mul_(options_.momentum).add_(g, 1 - options_.dampening);
      } else {
        v = g.detach().clone();
      }
      g = options_.nesterov ? g + options_.momentum * v : v;
    }
    parameter.add_(g, -lr_);
  }
}

}  // namespace regrad::optim

#include "optim/sgd.h"

#include "autograd/check.h"
#include "ops/ops.h"
#include "ops/update.h"

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
  std::vector<ParameterUpdate> updates;
  updates.reserve(parameters_.size());
  for (size_t i = 0; i < parameters_.size(); ++i) {
    ParameterUpdate update{parameters_[i], parameters_[i].grad()};
    if (!update.gradient.defined()) continue;
    if (options_.momentum != 0) {
      update.step = momentum_[i].defined() ? 2 : 1;
      update.first = slot_or_zeros(momentum_[i], parameters_[i]);
    }
    updates.push_back(std::move(update));
  }
  check_in_use(!updates.empty());
  sgd_update(updates, {lr_, options_.momentum, options_.dampening, options_.weight_decay,
                       options_.nesterov});
  if (options_.momentum == 0) return;
  for (size_t i = 0, next = 0; next < updates.size(); ++i) {  // nothing can fail from here on
    if (parameters_[i].grad().defined()) momentum_[i] = std::move(updates[next++].first);
  }
}

}  // namespace regrad::optim

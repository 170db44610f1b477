#include "optim/adam.h"

#include "autograd/check.h"
#include "ops/ops.h"
#include "ops/update.h"

namespace regrad::optim {

Adam::Adam(const char* name, std::vector<Tensor> parameters, const AdamOptions& options,
           bool decoupled)
    : Optimizer(name, std::move(parameters), options.lr),
      options_(options),
      decoupled_(decoupled),
      mean_(parameters_.size()),
      square_(parameters_.size()),
      steps_(parameters_.size(), 0) {
  const auto [beta1, beta2] = options.betas;
  check(beta1 >= 0 && beta1 < 1 && beta2 >= 0 && beta2 < 1,
        "{}: betas must be in [0, 1), not {} and {}", name, beta1, beta2);
  check(options.eps >= 0 && options.weight_decay >= 0,
        "{}: eps and weight_decay must be 0 or more, not {} and {}", name, options.eps,
        options.weight_decay);
}

Adam::Adam(std::vector<Tensor> parameters, AdamOptions options)
    : Adam("Adam", std::move(parameters), options, false) {}

AdamW::AdamW(std::vector<Tensor> parameters, AdamWOptions options)
    : Adam("AdamW", std::move(parameters),
           {options.lr, options.betas, options.eps, options.weight_decay}, true) {}

std::vector<std::pair<std::string, Optimizer::Slots*>> Adam::slots() {
  return {{"mean", &mean_}, {"square", &square_}};
}

std::vector<std::pair<std::string, std::vector<int64_t>*>> Adam::counters() {
  return {{"steps", &steps_}};
}

void Adam::step() {
  std::vector<ParameterUpdate> updates;
  updates.reserve(parameters_.size());
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const Tensor& parameter = parameters_[i];
    if (!parameter.grad().defined()) continue;
    updates.push_back({parameter, parameter.grad(), slot_or_zeros(mean_[i], parameter),
                       slot_or_zeros(square_[i], parameter), steps_[i] + 1});
  }
  check_in_use(!updates.empty());
  const auto [beta1, beta2] = options_.betas;
  adam_update(updates, {lr_, beta1, beta2, options_.eps, options_.weight_decay, decoupled_});
  for (size_t i = 0, next = 0; next < updates.size(); ++i) {  // nothing can fail from here on
    if (!parameters_[i].grad().defined()) continue;
    ParameterUpdate& update = updates[next++];
    mean_[i] = std::move(update.first);
    square_[i] = std::move(update.second);
    steps_[i] = update.step;
  }
}

}  // namespace regrad::optim

#include "optim/adam.h"

#include <cmath>

#include "autograd/check.h"
#include "ops/ops.h"

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
  const NoGrad guard;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    if (parameters_[i].grad().defined()) step_one(i);
  }
}

void Adam::step_one(size_t i) {
  Tensor& parameter = parameters_[i];
  Tensor g = parameter.grad();
  if (options_.weight_decay != 0) {
    if (decoupled_) {
      parameter.mul_(1 - lr_ * options_.weight_decay);
    } else {
      g = g + options_.weight_decay * parameter;
    }
  }
  Tensor &m = mean_[i], &v = square_[i];
  if (!m.defined()) m = zeros_like(parameter);
  if (!v.defined()) v = zeros_like(parameter);
  const auto [beta1, beta2] = options_.betas;
  const auto t = static_cast<double>(++steps_[i]);
  m.mul_(beta1).add_(g, 1 - beta1);
  v.mul_(beta2).add_(square(g), 1 - beta2);
  const double m_correction = 1 - std::pow(beta1, t), v_correction = 1 - std::pow(beta2, t);
  const Tensor length = sqrt(v) * (1 / std::sqrt(v_correction)) + options_.eps;
  parameter.add_(m / length, -lr_ / m_correction);
}

}  // namespace regrad::optim

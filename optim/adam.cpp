#include "optim/adam.h"

#include "autograd/check.h"
#include "ops/update.h"

namespace regrad::optim {
namespace {

AdamOptions merged(const char* name, const AdamGroup& group, const AdamOptions& all) {
  const AdamOptions options = {.lr = group.lr.value_or(all.lr),
                               .betas = group.betas.value_or(all.betas),
                               .eps = group.eps.value_or(all.eps),
                               .weight_decay = group.weight_decay.value_or(all.weight_decay)};
  const auto [beta1, beta2] = options.betas;
  check(beta1 >= 0 && beta1 < 1 && beta2 >= 0 && beta2 < 1,
        "{}: betas must be in [0, 1), not {} and {}", name, beta1, beta2);
  check(options.eps >= 0 && options.weight_decay >= 0,
        "{}: eps and weight_decay must be 0 or more, not {} and {}", name, options.eps,
        options.weight_decay);
  return options;
}

std::vector<AdamGroup> one_group(std::vector<Tensor> parameters) {
  return {{.params = std::move(parameters)}};
}

}  // namespace

Adam::Adam(const char* name, const std::vector<AdamGroup>& groups, const AdamOptions& options,
           bool decoupled)
    : Optimizer(name, groups_of(groups, options.lr), {"mean", "square"}), decoupled_(decoupled) {
  for (const AdamGroup& group : groups) options_.push_back(merged(name, group, options));
}

Adam::Adam(std::vector<Tensor> parameters, AdamOptions options)
    : Adam("Adam", one_group(std::move(parameters)), options, false) {}

Adam::Adam(std::vector<AdamGroup> groups, AdamOptions options)
    : Adam("Adam", groups, options, false) {}

AdamW::AdamW(std::vector<Tensor> parameters, AdamWOptions options)
    : AdamW(one_group(std::move(parameters)), options) {}

AdamW::AdamW(std::vector<AdamGroup> groups, AdamWOptions options)
    : Adam("AdamW", groups, {options.lr, options.betas, options.eps, options.weight_decay}, true) {}

void Adam::step() {
  std::vector<ParameterUpdate> all = updates();
  std::vector<AdamFormula> formulas;
  for (const AdamOptions& of : options_) {
    const double rate = lr(static_cast<int64_t>(formulas.size()));
    formulas.push_back(
        {rate, of.betas.first, of.betas.second, of.eps, of.weight_decay, decoupled_});
  }
  adam_update(all, formulas);
  remember(all);
}

}  // namespace regrad::optim

#include "optim/adadelta.h"

#include "autograd/check.h"
#include "ops/update.h"

namespace regrad::optim {
namespace {

AdadeltaOptions merged(const AdadeltaGroup& group, const AdadeltaOptions& all) {
  const AdadeltaOptions options = {.lr = group.lr.value_or(all.lr),
                                   .rho = group.rho.value_or(all.rho),
                                   .eps = group.eps.value_or(all.eps),
                                   .weight_decay = group.weight_decay.value_or(all.weight_decay)};
  check(options.rho >= 0 && options.rho <= 1, "Adadelta: rho must be in [0, 1], not {}",
        options.rho);
  check(options.eps >= 0 && options.weight_decay >= 0,
        "Adadelta: eps and weight_decay must be 0 or more, not {} and {}", options.eps,
        options.weight_decay);
  return options;
}

}  // namespace

Adadelta::Adadelta(std::vector<Tensor> parameters, AdadeltaOptions options)
    : Adadelta(std::vector<AdadeltaGroup>{{.params = std::move(parameters)}}, options) {}

Adadelta::Adadelta(std::vector<AdadeltaGroup> groups, AdadeltaOptions options)
    : Optimizer("Adadelta", groups_of(groups, options.lr), {"square", "moved"}) {
  for (const AdadeltaGroup& group : groups) options_.push_back(merged(group, options));
}

void Adadelta::step() {
  std::vector<ParameterUpdate> all = updates();
  std::vector<AdadeltaFormula> formulas;
  for (const AdadeltaOptions& of : options_) {
    const double rate = lr(static_cast<int64_t>(formulas.size()));
    formulas.push_back({rate, of.rho, of.eps, of.weight_decay});
  }
  adadelta_update(all, formulas);
  remember(all);
}

}  // namespace regrad::optim

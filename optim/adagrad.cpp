#include "optim/adagrad.h"

#include "autograd/check.h"
#include "ops/update.h"

namespace regrad::optim {
namespace {

AdagradOptions merged(const AdagradGroup& group, const AdagradOptions& all) {
  const AdagradOptions options = {
      .lr = group.lr.value_or(all.lr),
      .lr_decay = group.lr_decay.value_or(all.lr_decay),
      .weight_decay = group.weight_decay.value_or(all.weight_decay),
      .initial_accumulator_value =
          group.initial_accumulator_value.value_or(all.initial_accumulator_value),
      .eps = group.eps.value_or(all.eps)};
  check(options.lr_decay >= 0 && options.weight_decay >= 0 &&
            options.initial_accumulator_value >= 0 && options.eps >= 0,
        "Adagrad: lr_decay, weight_decay, initial_accumulator_value and eps must be 0 or more, not "
        "{}, {}, {} and {}",
        options.lr_decay, options.weight_decay, options.initial_accumulator_value, options.eps);
  return options;
}

}  // namespace

Adagrad::Adagrad(std::vector<Tensor> parameters, AdagradOptions options)
    : Adagrad(std::vector<AdagradGroup>{{.params = std::move(parameters)}}, options) {}

Adagrad::Adagrad(std::vector<AdagradGroup> groups, AdagradOptions options)
    : Optimizer("Adagrad", groups_of(groups, options.lr), {"sum"}) {
  for (const AdagradGroup& group : groups) options_.push_back(merged(group, options));
}

double Adagrad::initial_value(size_t, size_t group) const {
  return options_[group].initial_accumulator_value;
}

void Adagrad::step() {
  std::vector<ParameterUpdate> all = updates();
  std::vector<AdagradFormula> formulas;
  for (const AdagradOptions& of : options_) {
    const double rate = lr(static_cast<int64_t>(formulas.size()));
    formulas.push_back({rate, of.lr_decay, of.eps, of.weight_decay});
  }
  adagrad_update(all, formulas);
  remember(all);
}

}  // namespace regrad::optim

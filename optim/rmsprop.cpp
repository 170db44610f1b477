#include "optim/rmsprop.h"

#include "autograd/check.h"
#include "ops/update.h"

namespace regrad::optim {
namespace {

RMSpropOptions merged(const RMSpropGroup& group, const RMSpropOptions& all) {
  const RMSpropOptions options = {.lr = group.lr.value_or(all.lr),
                                  .alpha = group.alpha.value_or(all.alpha),
                                  .eps = group.eps.value_or(all.eps),
                                  .weight_decay = group.weight_decay.value_or(all.weight_decay),
                                  .momentum = group.momentum.value_or(all.momentum),
                                  .centered = group.centered.value_or(all.centered)};
  check(options.alpha >= 0 && options.alpha <= 1, "RMSprop: alpha must be in [0, 1], not {}",
        options.alpha);
  check(options.eps >= 0 && options.weight_decay >= 0 && options.momentum >= 0,
        "RMSprop: eps, weight_decay and momentum must be 0 or more, not {}, {} and {}", options.eps,
        options.weight_decay, options.momentum);
  return options;
}

}  // namespace

RMSprop::RMSprop(std::vector<Tensor> parameters, RMSpropOptions options)
    : RMSprop(std::vector<RMSpropGroup>{{.params = std::move(parameters)}}, options) {}

RMSprop::RMSprop(std::vector<RMSpropGroup> groups, RMSpropOptions options)
    : Optimizer("RMSprop", groups_of(groups, options.lr), {"square", "mean", "momentum"}) {
  for (const RMSpropGroup& group : groups) options_.push_back(merged(group, options));
}

bool RMSprop::has_slot(size_t slot, size_t group) const {
  const RMSpropOptions& of = options_[group];
  return slot == 0 || (slot == 1 ? of.centered : of.momentum > 0);
}

void RMSprop::step() {
  std::vector<ParameterUpdate> all = updates();
  std::vector<RmspropFormula> formulas;
  for (const RMSpropOptions& of : options_) {
    const double rate = lr(static_cast<int64_t>(formulas.size()));
    formulas.push_back({rate, of.alpha, of.eps, of.momentum, of.weight_decay});
  }
  rmsprop_update(all, formulas);
  remember(all);
}

}  // namespace regrad::optim

#include "optim/sgd.h"

#include "autograd/check.h"
#include "ops/update.h"

namespace regrad::optim {
namespace {

SGDOptions merged(const SGDGroup& group, const SGDOptions& all) {
  const SGDOptions options = {.lr = group.lr.value_or(all.lr),
                              .momentum = group.momentum.value_or(all.momentum),
                              .dampening = group.dampening.value_or(all.dampening),
                              .nesterov = group.nesterov.value_or(all.nesterov),
                              .weight_decay = group.weight_decay.value_or(all.weight_decay)};
  check(options.momentum >= 0 && options.weight_decay >= 0,
        "SGD: momentum and weight_decay must be 0 or more, not {} and {}", options.momentum,
        options.weight_decay);
  check(!options.nesterov || (options.momentum > 0 && options.dampening == 0),
        "SGD: nesterov needs a momentum above 0 and no dampening, not {} and {}", options.momentum,
        options.dampening);
  return options;
}

}  // namespace

SGD::SGD(std::vector<Tensor> parameters, SGDOptions options)
    : SGD(std::vector<SGDGroup>{{.params = std::move(parameters)}}, options) {}

// The steps are not counted, so that states saved by earlier versions still fit.
SGD::SGD(std::vector<SGDGroup> groups, SGDOptions options)
    : Optimizer("SGD", groups_of(groups, options.lr), {"momentum"}, false) {
  for (const SGDGroup& group : groups) options_.push_back(merged(group, options));
}

bool SGD::has_slot(size_t, size_t group) const { return options_[group].momentum != 0; }

void SGD::step() {
  std::vector<ParameterUpdate> all = updates();
  std::vector<SgdFormula> formulas;
  for (const SGDOptions& of : options_) {
    const double rate = lr(static_cast<int64_t>(formulas.size()));
    formulas.push_back({rate, of.momentum, of.dampening, of.weight_decay, of.nesterov});
  }
  sgd_update(all, formulas);
  remember(all);
}

}  // namespace regrad::optim

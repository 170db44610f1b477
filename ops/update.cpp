#include "ops/update.h"

#include <cmath>

#include "ops/dispatch.h"

namespace regrad {
namespace {

// Everything that can fail is done before any parameter is written.
void prepare(std::vector<ParameterUpdate>& updates) {
  for (ParameterUpdate& update : updates) {
    const Tensor& parameter = update.parameter;
    check(parameter.is_contiguous(), "step: parameter {} must be contiguous", called(parameter));
    check_same_device("step", updates[0].parameter, parameter);
    check_same_device("step", parameter, update.gradient);
    update.gradient = without_overlap(update.gradient.contiguous(), parameter);
  }
}

// What a kernel takes, for the parameters of one dtype, by their groups.
template <class T, class Formula, class Row>
auto rows_of(const std::vector<ParameterUpdate>& updates, const std::vector<Formula>& formulas,
             const Row& row) {
  std::vector<std::vector<decltype(row(formulas[0], updates[0], T()))>> rows(formulas.size());
  for (const ParameterUpdate& update : updates) {
    if (update.parameter.dtype() != dtype_of<T>) continue;
    auto& of_group = rows[update.group];
    if (of_group.empty()) of_group.reserve(updates.size());
    of_group.push_back(row(formulas[update.group], update, T()));
  }
  return rows;
}

// row(formula, update, T()) is what the kernel takes for a parameter, step(formula, T()) for all of
// a group, and kernel(table) the kernel.
template <class Formula, class Row, class Step, class Kernel>
void run_all(std::vector<ParameterUpdate>& updates, const std::vector<Formula>& formulas,
             const Row& row, const Step& step, const Kernel& kernel) {
  if (updates.empty()) return;
  const InsideOp guard;
  prepare(updates);
  const auto narrow = rows_of<float>(updates, formulas, row);
  const auto wide = rows_of<double>(updates, formulas, row);
  const Tensor& some = updates[0].parameter;
  for (ParameterUpdate& update : updates) update.parameter.mark_written("step");
  const auto run = [&]<class T>(const auto& rows) {
    for (size_t group = 0; group < rows.size(); ++group) {
      if (rows[group].empty()) continue;
      kernel(kernels<T>(some).optimiser)(static_cast<int64_t>(rows[group].size()),
                                         rows[group].data(), step(formulas[group], T()));
    }
  };
  run.template operator()<float>(narrow);
  run.template operator()<double>(wide);
}

// A slot of the state, or null where the group has none.
template <class T>
T* state(const ParameterUpdate& update, size_t slot) {
  return raw_or_null<T>(update.state[slot]);
}

}  // namespace

void sgd_update(std::vector<ParameterUpdate>& updates, const std::vector<SgdFormula>& formulas) {
  run_all(
      updates, formulas,
      []<class T>(const SgdFormula& formula, const ParameterUpdate& of, T) {
        return SgdUpdate<T>{of.parameter.numel(), raw<T>(of.parameter), raw<T>(of.gradient),
                            state<T>(of, 0),
                            static_cast<T>(of.step == 1 ? 1 : 1 - formula.dampening)};
      },
      []<class T>(const SgdFormula& formula, T) {
        return SgdStep<T>{static_cast<T>(formula.lr), static_cast<T>(formula.momentum),
                          static_cast<T>(formula.weight_decay), formula.nesterov};
      },
      [](const auto& table) { return table.sgd; });
}

void adam_update(std::vector<ParameterUpdate>& updates, const std::vector<AdamFormula>& formulas) {
  run_all(
      updates, formulas,
      []<class T>(const AdamFormula& formula, const ParameterUpdate& of, T) {
        const auto t = static_cast<double>(of.step);
        return AdamUpdate<T>{of.parameter.numel(),
                             raw<T>(of.parameter),
                             raw<T>(of.gradient),
                             state<T>(of, 0),
                             state<T>(of, 1),
                             static_cast<T>(formula.lr / (1 - std::pow(formula.beta1, t))),
                             static_cast<T>(1 / std::sqrt(1 - std::pow(formula.beta2, t)))};
      },
      []<class T>(const AdamFormula& formula, T) {
        const double decay = formula.weight_decay;
        return AdamStep<T>{static_cast<T>(formula.beta1),
                           static_cast<T>(1 - formula.beta1),
                           static_cast<T>(formula.beta2),
                           static_cast<T>(1 - formula.beta2),
                           static_cast<T>(formula.eps),
                           static_cast<T>(formula.decoupled ? 1 - formula.lr * decay : 1),
                           static_cast<T>(formula.decoupled ? 0 : decay)};
      },
      [](const auto& table) { return table.adam; });
}

void rmsprop_update(std::vector<ParameterUpdate>& updates,
                    const std::vector<RmspropFormula>& formulas) {
  run_all(
      updates, formulas,
      []<class T>(const RmspropFormula&, const ParameterUpdate& of, T) {
        return RmspropUpdate<T>{of.parameter.numel(), raw<T>(of.parameter), raw<T>(of.gradient),
                                state<T>(of, 0),      state<T>(of, 1),      state<T>(of, 2)};
      },
      []<class T>(const RmspropFormula& formula, T) {
        return RmspropStep<T>{
            static_cast<T>(formula.lr),        static_cast<T>(formula.alpha),
            static_cast<T>(1 - formula.alpha), static_cast<T>(formula.eps),
            static_cast<T>(formula.momentum),  static_cast<T>(formula.weight_decay)};
      },
      [](const auto& table) { return table.rmsprop; });
}

void adagrad_update(std::vector<ParameterUpdate>& updates,
                    const std::vector<AdagradFormula>& formulas) {
  run_all(
      updates, formulas,
      []<class T>(const AdagradFormula& formula, const ParameterUpdate& of, T) {
        const double steps_before = static_cast<double>(of.step - 1);
        return AdagradUpdate<T>{of.parameter.numel(), raw<T>(of.parameter), raw<T>(of.gradient),
                                state<T>(of, 0),
                                static_cast<T>(formula.lr / (1 + steps_before * formula.lr_decay))};
      },
      []<class T>(const AdagradFormula& formula, T) {
        return AdagradStep<T>{static_cast<T>(formula.eps), static_cast<T>(formula.weight_decay)};
      },
      [](const auto& table) { return table.adagrad; });
}

void adadelta_update(std::vector<ParameterUpdate>& updates,
                     const std::vector<AdadeltaFormula>& formulas) {
  run_all(
      updates, formulas,
      []<class T>(const AdadeltaFormula&, const ParameterUpdate& of, T) {
        return AdadeltaUpdate<T>{of.parameter.numel(), raw<T>(of.parameter), raw<T>(of.gradient),
                                 state<T>(of, 0), state<T>(of, 1)};
      },
      []<class T>(const AdadeltaFormula& formula, T) {
        return AdadeltaStep<T>{static_cast<T>(formula.lr), static_cast<T>(formula.rho),
                               static_cast<T>(1 - formula.rho), static_cast<T>(formula.eps),
                               static_cast<T>(formula.weight_decay)};
      },
      [](const auto& table) { return table.adadelta; });
}

}  // namespace regrad

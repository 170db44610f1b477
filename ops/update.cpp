#include "ops/update.h"

#include <cmath>

#include "ops/dispatch.h"

namespace regrad {
namespace {

// Gathers what a kernel takes, for the float32 parameters and then for the float64 ones.
template <class Row, class T, class Kernel>
void run(std::vector<ParameterUpdate>& updates, const Row& row, const Kernel& kernel) {
  std::vector<decltype(row(updates[0], T()))> rows;
  rows.reserve(updates.size());
  const Tensor* some = nullptr;
  for (ParameterUpdate& update : updates) {
    if (update.parameter.dtype() != dtype_of<T>) continue;
    check(update.parameter.is_contiguous(), "step: parameter {} must be contiguous",
          called(update.parameter));
    update.gradient = update.gradient.contiguous();
    update.parameter.written("step");
    rows.push_back(row(update, T()));
    some = &update.parameter;
  }
  if (some != nullptr) {
    kernel(kernels<T>(*some), static_cast<int64_t>(rows.size()), rows.data());
  }
}

template <class Row, class Kernel>
void run_all(std::vector<ParameterUpdate>& updates, const Row& row, const Kernel& kernel) {
  const NoGrad guard;
  run<Row, float>(updates, row, kernel);
  run<Row, double>(updates, row, kernel);
}

}  // namespace

void sgd_update(std::vector<ParameterUpdate>& updates, const SgdFormula& formula) {
  run_all(
      updates,
      [&]<class T>(const ParameterUpdate& of, T) {
        return SgdUpdate<T>{of.parameter.numel(), raw<T>(of.parameter), raw<T>(of.gradient),
                            of.first.defined() ? raw<T>(of.first) : nullptr,
                            static_cast<T>(of.step == 1 ? 1 : 1 - formula.dampening)};
      },
      [&]<class T>(const Kernels<T>& table, int64_t count, const SgdUpdate<T>* rows) {
        table.sgd(count, rows,
                  {static_cast<T>(formula.lr), static_cast<T>(formula.momentum),
                   static_cast<T>(formula.weight_decay), formula.nesterov});
      });
}

void adam_update(std::vector<ParameterUpdate>& updates, const AdamFormula& formula) {
  run_all(
      updates,
      [&]<class T>(const ParameterUpdate& of, T) {
        const auto t = static_cast<double>(of.step);
        return AdamUpdate<T>{of.parameter.numel(),
                             raw<T>(of.parameter),
                             raw<T>(of.gradient),
                             raw<T>(of.first),
                             raw<T>(of.second),
                             static_cast<T>(formula.lr / (1 - std::pow(formula.beta1, t))),
                             static_cast<T>(1 / std::sqrt(1 - std::pow(formula.beta2, t)))};
      },
      [&]<class T>(const Kernels<T>& table, int64_t count, const AdamUpdate<T>* rows) {
        const double decay = formula.weight_decay;
        table.adam(count, rows,
                   {static_cast<T>(formula.beta1), static_cast<T>(1 - formula.beta1),
                    static_cast<T>(formula.beta2), static_cast<T>(1 - formula.beta2),
                    static_cast<T>(formula.eps),
                    static_cast<T>(formula.decoupled ? 1 - formula.lr * decay : 1),
                    static_cast<T>(formula.decoupled ? 0 : decay)});
      });
}

}  // namespace regrad

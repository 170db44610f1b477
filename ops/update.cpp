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

// What a kernel takes, for the parameters of one dtype.
template <class T, class Row>
auto rows_of(const std::vector<ParameterUpdate>& updates, const Row& row) {
  std::vector<decltype(row(updates[0], T()))> rows;
  rows.reserve(updates.size());
  for (const ParameterUpdate& update : updates) {
    if (update.parameter.dtype() == dtype_of<T>) rows.push_back(row(update, T()));
  }
  return rows;
}

template <class Row, class Kernel>
void run_all(std::vector<ParameterUpdate>& updates, const Row& row, const Kernel& kernel) {
  if (updates.empty()) return;
  const InsideOp guard;
  prepare(updates);
  const auto narrow = rows_of<float>(updates, row);
  const auto wide = rows_of<double>(updates, row);
  const Tensor& some = updates[0].parameter;
  for (ParameterUpdate& update : updates) update.parameter.mark_written("step");
  const auto run = [&]<class T>(const auto& rows) {
    if (rows.empty()) return;
    kernel(kernels<T>(some), static_cast<int64_t>(rows.size()), rows.data());
  };
  run.template operator()<float>(narrow);
  run.template operator()<double>(wide);
}

}  // namespace

void sgd_update(std::vector<ParameterUpdate>& updates, const SgdFormula& formula) {
  run_all(
      updates,
      [&]<class T>(const ParameterUpdate& update, T) {
        return SgdUpdate<T>{update.parameter.numel(), raw<T>(update.parameter),
                            raw<T>(update.gradient),
                            update.first.defined() ? raw<T>(update.first) : nullptr,
                            static_cast<T>(update.step == 1 ? 1 : 1 - formula.dampening)};
      },
      [&]<class T>(const Kernels<T>& table, int64_t count, const SgdUpdate<T>* rows) {
        table.optimiser.sgd(count, rows,
                            {static_cast<T>(formula.lr), static_cast<T>(formula.momentum),
                             static_cast<T>(formula.weight_decay), formula.nesterov});
      });
}

void adam_update(std::vector<ParameterUpdate>& updates, const AdamFormula& formula) {
  run_all(
      updates,
      [&]<class T>(const ParameterUpdate& update, T) {
        const auto t = static_cast<double>(update.step);
        return AdamUpdate<T>{update.parameter.numel(),
                             raw<T>(update.parameter),
                             raw<T>(update.gradient),
                             raw<T>(update.first),
                             raw<T>(update.second),
                             static_cast<T>(formula.lr / (1 - std::pow(formula.beta1, t))),
                             static_cast<T>(1 / std::sqrt(1 - std::pow(formula.beta2, t)))};
      },
      [&]<class T>(const Kernels<T>& table, int64_t count, const AdamUpdate<T>* rows) {
        const double decay = formula.weight_decay;
        table.optimiser.adam(count, rows,
                             {static_cast<T>(formula.beta1), static_cast<T>(1 - formula.beta1),
                              static_cast<T>(formula.beta2), static_cast<T>(1 - formula.beta2),
                              static_cast<T>(formula.eps),
                              static_cast<T>(formula.decoupled ? 1 - formula.lr * decay : 1),
                              static_cast<T>(formula.decoupled ? 0 : decay)});
      });
}

}  // namespace regrad

// Adagrad (Duchi, Hazan and Singer, 2011).
#pragma once

#include <optional>

#include "optim/optimizer.h"

namespace regrad::optim {

struct AdagradOptions {
  double lr = 1e-2;
  double lr_decay = 0;
  double weight_decay = 0;
  double initial_accumulator_value = 0;
  double eps = 1e-10;
};

// A parameter group: what is set here replaces the option that the constructor is given.
struct AdagradGroup {
  std::vector<Tensor> params = {};
  std::optional<double> lr = {}, lr_decay = {}, weight_decay = {}, initial_accumulator_value = {},
                        eps = {};
};

// With g = gradient + weight_decay θ, in step t of a parameter, counted from 1:
// s = s + g², at first initial_accumulator_value;  θ = θ - lr_t g / (sqrt(s) + eps),
// where lr_t = lr / (1 + (t - 1) lr_decay)
class Adagrad : public Optimizer {
 public:
  // Besides Optimizer's, an Error unless the options of each group are 0 or more, and lr finite.
  explicit Adagrad(std::vector<Tensor> parameters, AdagradOptions options = {});
  explicit Adagrad(std::vector<AdagradGroup> groups, AdagradOptions options = {});
  void step() override;  // the formula above, for every parameter that has a gradient

 private:
  double initial_value(size_t slot, size_t group) const override;

  std::vector<AdagradOptions> options_;  // of each group
};

}  // namespace regrad::optim

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

// Some of the parameters, and what they have instead of the options of all.
struct AdagradGroup {
  std::vector<Tensor> params = {};
  std::optional<double> lr = {}, lr_decay = {}, weight_decay = {}, initial_accumulator_value = {},
                        eps = {};
};

// s = s + g², which starts from initial_accumulator_value;  g = gradient + weight_decay θ
// θ = θ - lr / (1 + (t - 1) lr_decay) g / (sqrt(s) + eps),  where t counts a parameter's steps
class Adagrad : public Optimizer {
 public:
  // An Error unless all options are 0 or more.
  explicit Adagrad(std::vector<Tensor> parameters, AdagradOptions options = {});
  explicit Adagrad(std::vector<AdagradGroup> groups, AdagradOptions options = {});
  void step() override;  // the formula above, for every parameter that has a gradient

 private:
  double initial_value(size_t slot, size_t group) const override;

  std::vector<AdagradOptions> options_;  // of each group
};

}  // namespace regrad::optim

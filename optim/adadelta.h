// Adadelta (Zeiler, 2012).
#pragma once

#include <optional>

#include "optim/optimizer.h"

namespace regrad::optim {

struct AdadeltaOptions {
  double lr = 1;
  double rho = 0.9;
  double eps = 1e-6;
  double weight_decay = 0;
};

// A parameter group: what is set here replaces the option that the constructor is given.
struct AdadeltaGroup {
  std::vector<Tensor> params = {};
  std::optional<double> lr = {}, rho = {}, eps = {}, weight_decay = {};
};

// v = ρ v + (1 - ρ) g²,  with g = gradient + weight_decay θ
// d = sqrt(u + eps) / sqrt(v + eps) g;  then u = ρ u + (1 - ρ) d²
// θ = θ - lr d
class Adadelta : public Optimizer {
 public:
  // An Error unless rho is in [0, 1], and eps and weight_decay 0 or more.
  explicit Adadelta(std::vector<Tensor> parameters, AdadeltaOptions options = {});
  explicit Adadelta(std::vector<AdadeltaGroup> groups, AdadeltaOptions options = {});
  void step() override;  // the formula above, for every parameter that has a gradient

 private:
  std::vector<AdadeltaOptions> options_;  // of each group
};

}  // namespace regrad::optim

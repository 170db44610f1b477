// RMSprop (Tieleman and Hinton, 2012), also centered (Graves, 2013).
#pragma once

#include <optional>

#include "optim/optimizer.h"

namespace regrad::optim {

struct RMSpropOptions {
  double lr = 1e-2;
  double alpha = 0.99;
  double eps = 1e-8;
  double weight_decay = 0;
  double momentum = 0;
  bool centered = false;
};

// A parameter group: what is set here replaces the option that the constructor is given.
struct RMSpropGroup {
  std::vector<Tensor> params = {};
  std::optional<double> lr = {}, alpha = {}, eps = {}, weight_decay = {}, momentum = {};
  std::optional<bool> centered = {};
};

// v = α v + (1 - α) g²,  with g = gradient + weight_decay θ;  centered: m = α m + (1 - α) g
// d = g / (sqrt(v) + eps), centered g / (sqrt(max(v - m², 0)) + eps);  b = momentum b + d
// θ = θ - lr b
class RMSprop : public Optimizer {
 public:
  // An Error unless alpha is in [0, 1], and eps, weight_decay and momentum 0 or more.
  explicit RMSprop(std::vector<Tensor> parameters, RMSpropOptions options = {});
  explicit RMSprop(std::vector<RMSpropGroup> groups, RMSpropOptions options = {});
  void step() override;  // the formula above, for every parameter that has a gradient

 private:
  bool has_slot(size_t slot, size_t group) const override;

  std::vector<RMSpropOptions> options_;  // of each group
};

}  // namespace regrad::optim

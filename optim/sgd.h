// Gradient descent, plain or with momentum.
#pragma once

#include <optional>

#include "optim/optimizer.h"

namespace regrad::optim {

struct SGDOptions {
  double lr = 1e-3;
  double momentum = 0, dampening = 0;
  bool nesterov = false;
  double weight_decay = 0;
};

// A parameter group: what is set here replaces the option that the constructor is given.
struct SGDGroup {
  std::vector<Tensor> params = {};
  std::optional<double> lr = {}, momentum = {}, dampening = {};
  std::optional<bool> nesterov = {};
  std::optional<double> weight_decay = {};
};

// g = gradient + weight_decay θ
// v = momentum v + (1 - dampening) g, the first time v = g;  g = v, or g + momentum v (Nesterov)
// θ = θ - lr g
class SGD : public Optimizer {
 public:
  // An Error for a momentum or weight_decay below 0, and for nesterov without momentum or with
  // dampening.
  explicit SGD(std::vector<Tensor> parameters, SGDOptions options = {});
  explicit SGD(std::vector<SGDGroup> groups, SGDOptions options = {});
  void step() override;  // the formula above, for every parameter that has a gradient

 private:
  bool has_slot(size_t slot, size_t group) const override;

  std::vector<SGDOptions> options_;  // of each group
};

}  // namespace regrad::optim

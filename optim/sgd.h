// Gradient descent, plain or with momentum.
#pragma once

#include "optim/optimizer.h"

namespace regrad::optim {

struct SGDOptions {
  double lr = 1e-3;
  double momentum = 0, dampening = 0;
  bool nesterov = false;
  double weight_decay = 0;
};

// g = gradient + weight_decay θ
// v = momentum v + (1 - dampening) g, the first time v = g;  g = v, or g + momentum v (Nesterov)
// θ = θ - lr g
class SGD : public Optimizer {
 public:
  // An Error for a momentum or weight_decay below 0, and for nesterov without momentum or with
  // dampening.
  explicit SGD(std::vector<Tensor> parameters, SGDOptions options = {});
  void step() override;  // the formula above, for every parameter that has a gradient

 private:
  std::vector<std::pair<std::string, Slots*>> slots() override;

  SGDOptions options_;
  Slots momentum_;
};

}  // namespace regrad::optim

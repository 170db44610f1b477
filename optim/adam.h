// Adam (Kingma and Ba, 2015) and AdamW (Loshchilov and Hutter, 2019).
#pragma once

#include <optional>

#include "optim/optimizer.h"

namespace regrad::optim {

struct AdamOptions {
  double lr = 1e-3;
  std::pair<double, double> betas = {0.9, 0.999};
  double eps = 1e-8;
  double weight_decay = 0;
};

struct AdamWOptions {
  double lr = 1e-3;
  std::pair<double, double> betas = {0.9, 0.999};
  double eps = 1e-8;
  double weight_decay = 1e-2;
};

// Some of the parameters, and what they have instead of the options of all; of both optimisers.
struct AdamGroup {
  std::vector<Tensor> params = {};
  std::optional<double> lr = {};
  std::optional<std::pair<double, double>> betas = {};
  std::optional<double> eps = {}, weight_decay = {};
};

// m = β1 m + (1 - β1) g      v = β2 v + (1 - β2) g²      t counts a parameter's steps
// θ = θ - lr m / (1 - β1^t) / (sqrt(v / (1 - β2^t)) + eps),  with g = gradient + weight_decay θ
class Adam : public Optimizer {
 public:
  // An Error unless betas are in [0, 1), and eps and weight_decay 0 or more.
  explicit Adam(std::vector<Tensor> parameters, AdamOptions options = {});
  explicit Adam(std::vector<AdamGroup> groups, AdamOptions options = {});
  void step() override;  // the formula above, for every parameter that has a gradient

 protected:
  Adam(const char* name, const std::vector<AdamGroup>& groups, const AdamOptions& options,
       bool decoupled);

 private:
  std::vector<AdamOptions> options_;  // of each group
  bool decoupled_;                    // weight decay acts on θ itself, not through the gradient
};

// As Adam, but θ = (1 - lr weight_decay) θ before the step, and g is the gradient alone.
class AdamW : public Adam {
 public:
  // As for Adam.
  explicit AdamW(std::vector<Tensor> parameters, AdamWOptions options = {});
  explicit AdamW(std::vector<AdamGroup> groups, AdamWOptions options = {});
};

}  // namespace regrad::optim

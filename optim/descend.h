// The tutorial's training rule: θ ← θ - α ∇L, until the loss is under a threshold or the iterations
// are used up.
#pragma once

#include <functional>
#include <limits>

#include "optim/optimizer.h"

namespace regrad::optim {

struct DescendOptions {
  double threshold = 0;  // stop once the loss is at most this
  int64_t max_iterations = 1000;
};

struct Descent {
  int64_t iterations = 0;                                  // steps taken
  double loss = std::numeric_limits<double>::quiet_NaN();  // where it stopped
  bool reached = false;                                    // the threshold
};

// Steps until loss() <= threshold, or max_iterations times. loss() computes the loss, of shape [],
// from the parameters: before each step, and after the last. An Error for a loss that is not
// finite.
Descent descend(const std::function<Tensor()>& loss, Optimizer& optimizer,
                DescendOptions options = {});

}  // namespace regrad::optim

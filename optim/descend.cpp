#include "optim/descend.h"

#include <cmath>

#include "autograd/check.h"

namespace regrad::optim {

Descent descend(const std::function<Tensor()>& loss, Optimizer& optimizer, DescendOptions options) {
  check(options.max_iterations >= 0, "descend: max_iterations must be 0 or more, not {}",
        options.max_iterations);
  Descent descent;
  while (true) {
    const Tensor now = loss();
    descent.loss = now.item<double>();
    check(std::isfinite(descent.loss), "descend: the loss became {} after {} iterations",
          descent.loss, descent.iterations);
    descent.reached = descent.loss <= options.threshold;
    if (descent.reached || descent.iterations == options.max_iterations) return descent;
    optimizer.zero_grad();
    now.backward();
    optimizer.step();
    ++descent.iterations;
  }
}

}  // namespace regrad::optim

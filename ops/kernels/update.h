// The formula of every optimiser, written once for all backends and vector widths (the sources:
// optim/sgd.h, optim/adam.h, ...). `at` is the backend's way to one place of every array: load(p)
// and store(p, v) read and write a vector (ops/cpu) or a scalar there, and all(x) is x in every
// lane.
#pragma once

#include "ops/kernels/optimiser.h"

namespace regrad::pointwise {

template <class T, class At>
[[gnu::always_inline]] constexpr void update(const SgdStep<T>& step, const SgdUpdate<T>& of,
                                             const At& at) {
  const auto x = at.load(of.parameter), momentum = at.all(step.momentum);
  auto g = multiply_add(at.all(step.weight_decay), x, at.load(of.gradient));
  if (of.velocity != nullptr) {
    const auto v = multiply_add(momentum, at.load(of.velocity), at.all(of.gradient_weight) * g);
    at.store(of.velocity, v);
    g = step.nesterov ? multiply_add(momentum, v, g) : v;
  }
  at.store(of.parameter, multiply_add(at.all(-step.lr), g, x));
}

template <class T, class At>
[[gnu::always_inline]] constexpr void update(const AdamStep<T>& step, const AdamUpdate<T>& of,
                                             const At& at) {
  const auto old = at.load(of.parameter);
  const auto g = multiply_add(at.all(step.weight_decay), old, at.load(of.gradient));
  const auto m =
      multiply_add(at.all(step.beta1), at.load(of.mean), at.all(step.one_minus_beta1) * g);
  const auto v =
      multiply_add(at.all(step.beta2), at.load(of.square), at.all(step.one_minus_beta2) * g * g);
  at.store(of.mean, m);
  at.store(of.square, v);
  const auto denominator = multiply_add(v_sqrt(v), at.all(of.correction), at.all(step.eps));
  at.store(of.parameter,
           multiply_add(at.all(-of.rate), m / denominator, old * at.all(step.parameter_decay)));
}

}  // namespace regrad::pointwise

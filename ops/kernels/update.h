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

// Rounding can make the mean of g² less than the square of the mean: at least 0, or NaN.
template <class T, class At>
[[gnu::always_inline]] constexpr void update(const RmspropStep<T>& step, const RmspropUpdate<T>& of,
                                             const At& at) {
  const auto x = at.load(of.parameter), alpha = at.all(step.alpha),
             one_minus_alpha = at.all(step.one_minus_alpha);
  const auto g = multiply_add(at.all(step.weight_decay), x, at.load(of.gradient));
  auto v = multiply_add(alpha, at.load(of.square), one_minus_alpha * g * g);
  at.store(of.square, v);
  if (of.mean != nullptr) {
    const auto m = multiply_add(alpha, at.load(of.mean), one_minus_alpha * g);
    at.store(of.mean, m);
    v = v_max(multiply_add(v_neg(m), m, v), at.all(T(0)));
  }
  auto change = g / (v_sqrt(v) + at.all(step.eps));
  if (of.velocity != nullptr) {
    change = multiply_add(at.all(step.momentum), at.load(of.velocity), change);
    at.store(of.velocity, change);
  }
  at.store(of.parameter, multiply_add(at.all(-step.lr), change, x));
}

template <class T, class At>
[[gnu::always_inline]] constexpr void update(const AdagradStep<T>& step, const AdagradUpdate<T>& of,
                                             const At& at) {
  const auto x = at.load(of.parameter);
  const auto g = multiply_add(at.all(step.weight_decay), x, at.load(of.gradient));
  const auto sum = multiply_add(g, g, at.load(of.sum));
  at.store(of.sum, sum);
  at.store(of.parameter, multiply_add(at.all(-of.rate), g / (v_sqrt(sum) + at.all(step.eps)), x));
}

template <class T, class At>
[[gnu::always_inline]] constexpr void update(const AdadeltaStep<T>& step,
                                             const AdadeltaUpdate<T>& of, const At& at) {
  const auto x = at.load(of.parameter), rho = at.all(step.rho),
             one_minus_rho = at.all(step.one_minus_rho), eps = at.all(step.eps);
  const auto g = multiply_add(at.all(step.weight_decay), x, at.load(of.gradient));
  const auto v = multiply_add(rho, at.load(of.square), one_minus_rho * g * g);
  const auto moved = at.load(of.moved);
  const auto change = v_sqrt(moved + eps) / v_sqrt(v + eps) * g;
  at.store(of.square, v);
  at.store(of.moved, multiply_add(rho, moved, one_minus_rho * change * change));
  at.store(of.parameter, multiply_add(at.all(-step.lr), change, x));
}

}  // namespace regrad::pointwise

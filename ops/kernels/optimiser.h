// One step of an optimiser as every backend sees it: pointers and sizes (the formulas:
// ops/kernels/update.h).
#pragma once

#include <cstdint>

namespace regrad {

// One parameter of an optimiser's step: n numbers, their gradient, and the optimiser's state.
template <class T>
struct SgdUpdate {
  int64_t n;
  T* parameter;
  const T* gradient;
  T* velocity;        // null: no momentum
  T gradient_weight;  // velocity = momentum velocity + gradient_weight gradient
};
template <class T>
struct SgdStep {
  T lr, momentum, weight_decay;
  bool nesterov;
};
template <class T>
struct AdamUpdate {
  int64_t n;
  T* parameter;
  const T* gradient;
  T *mean, *square;
  T rate, correction;  // lr / (1 - β1^t), 1 / sqrt(1 - β2^t)
};
template <class T>
struct AdamStep {
  T beta1, one_minus_beta1, beta2, one_minus_beta2;
  T eps, parameter_decay, weight_decay;  // the parameter is multiplied by parameter_decay first
};
template <class T>
struct RmspropUpdate {
  int64_t n;
  T* parameter;
  const T* gradient;
  T *square, *mean, *velocity;  // mean null: not centered; velocity null: no momentum
};
template <class T>
struct RmspropStep {
  T lr, alpha, one_minus_alpha, eps, momentum, weight_decay;
};
template <class T>
struct AdagradUpdate {
  int64_t n;
  T* parameter;
  const T* gradient;
  T* sum;
  T rate;  // lr / (1 + (t - 1) lr_decay)
};
template <class T>
struct AdagradStep {
  T eps, weight_decay;
};
template <class T>
struct AdadeltaUpdate {
  int64_t n;
  T* parameter;
  const T* gradient;
  T *square, *moved;  // the means of g² and of the squared changes
};
template <class T>
struct AdadeltaStep {
  T lr, rho, one_minus_rho, eps, weight_decay;
};

}  // namespace regrad

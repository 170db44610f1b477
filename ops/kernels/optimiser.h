// One step of an optimiser as every backend sees it: pointers and sizes (the formulas: optim/sgd.h,
// optim/adam.h).
#pragma once

#include <cstdint>

namespace regrad {

// One parameter's part of an optimiser's step: n numbers, their gradient, and what is remembered.
template <class T>
struct SgdUpdate {
  int64_t n;
  T* parameter;
  const T* gradient;
  T* velocity;  // null: no momentum
  T keep;       // the share of the gradient that joins the velocity
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
  T beta1, rest1, beta2, rest2;  // rest = 1 - β
  T eps, shrink, weight_decay;   // shrink: what the parameter is multiplied with first
};

}  // namespace regrad

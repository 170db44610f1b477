// One step of an optimiser for all parameters in one pass: each number is read and written once.
// The parameters are treated as one concatenated array, cut into chunks by its length alone: many
// small parameters share a chunk, a large one is split over several.
#pragma once

#include "ops/cpu/chunks.h"
#include "ops/cpu/math_lanes.h"
#include "ops/kernels/table.h"

namespace regrad::simd {

// Calls body(update, begin, end) for ranges of elements of each parameter.
template <class Update, class Body>
REGRAD_INLINE void for_updates(int64_t count, const Update* updates, const Body& body) {
  int64_t total = 0;
  for (int64_t i = 0; i < count; ++i) total += updates[i].n;
  for_elements(total, [&](int64_t begin, int64_t end) {
    for (const Update* update = updates; begin < end; ++update) {
      if (begin < update->n) body(*update, begin, min(end, update->n));
      end -= update->n;
      begin = max(begin - update->n, 0);
    }
  });
}

template <class T, class Arch>
void sgd(int64_t count, const SgdUpdate<T>* updates, const SgdStep<T>& step) {
  using V = Vec<T, Arch>;
  const V rate(-step.lr), momentum(step.momentum), decay(step.weight_decay);
  const bool nesterov = step.nesterov;
  for_updates(count, updates,
              [=](const SgdUpdate<T>& update, int64_t begin, int64_t end) REGRAD_LAMBDA {
                const V gradient_weight(update.gradient_weight);
                for (int64_t i = begin; i < end; i += lanes_of<T, Arch>) {
                  const int64_t left = end - i;
                  const V x = load<T, Arch>(update.parameter + i, left);
                  V g = multiply_add(decay, x, load<T, Arch>(update.gradient + i, left));
                  if (update.velocity != nullptr) {
                    const V v = multiply_add(momentum, load<T, Arch>(update.velocity + i, left),
                                             gradient_weight * g);
                    store<T, Arch>(update.velocity + i, left, v);
                    g = nesterov ? multiply_add(momentum, v, g) : v;
                  }
                  store<T, Arch>(update.parameter + i, left, multiply_add(rate, g, x));
                }
              });
}

template <class T, class Arch>
void adam(int64_t count, const AdamUpdate<T>* updates, const AdamStep<T>& step) {
  using V = Vec<T, Arch>;
  const V beta1(step.beta1), beta2(step.beta2), one_minus_beta1(step.one_minus_beta1),
      one_minus_beta2(step.one_minus_beta2);
  const V eps(step.eps), parameter_decay(step.parameter_decay), decay(step.weight_decay);
  for_updates(
      count, updates, [=](const AdamUpdate<T>& update, int64_t begin, int64_t end) REGRAD_LAMBDA {
        const V rate(-update.rate), correction(update.correction);
        for (int64_t i = begin; i < end; i += lanes_of<T, Arch>) {
          const int64_t left = end - i;
          const V old = load<T, Arch>(update.parameter + i, left);
          const V g = multiply_add(decay, old, load<T, Arch>(update.gradient + i, left));
          const V m =
              multiply_add(beta1, load<T, Arch>(update.mean + i, left), one_minus_beta1 * g);
          const V v =
              multiply_add(beta2, load<T, Arch>(update.square + i, left), one_minus_beta2 * g * g);
          store<T, Arch>(update.mean + i, left, m);
          store<T, Arch>(update.square + i, left, v);
          const V denominator = multiply_add(v_sqrt(v), correction, eps);
          store<T, Arch>(update.parameter + i, left,
                         multiply_add(rate, m / denominator, old * parameter_decay));
        }
      });
}

}  // namespace regrad::simd

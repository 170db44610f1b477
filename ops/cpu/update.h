// One step of an optimiser for all parameters in one pass: each number is read and written once.
// The parameters count as one long row, which is cut into chunks by its length alone: many small
// ones share a chunk, a large one is shared out.
#pragma once

#include "ops/cpu/chunks.h"
#include "ops/kernels/table.h"

namespace regrad::simd {

// body(update, begin, end): a range of the numbers of one parameter.
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
  for_updates(
      count, updates, [=](const SgdUpdate<T>& of, int64_t begin, int64_t end) REGRAD_LAMBDA {
        const V keep(of.keep);
        for (int64_t i = begin; i < end; i += lanes_of<T, Arch>) {
          const int64_t left = end - i;
          const V x = load<T, Arch>(of.parameter + i, left);
          V g = multiply_add(decay, x, load<T, Arch>(of.gradient + i, left));
          if (of.velocity != nullptr) {
            const V v = multiply_add(momentum, load<T, Arch>(of.velocity + i, left), keep * g);
            store<T, Arch>(of.velocity + i, left, v);
            g = nesterov ? multiply_add(momentum, v, g) : v;
          }
          store<T, Arch>(of.parameter + i, left, multiply_add(rate, g, x));
        }
      });
}

template <class T, class Arch>
void adam(int64_t count, const AdamUpdate<T>* updates, const AdamStep<T>& step) {
  using V = Vec<T, Arch>;
  const V beta1(step.beta1), beta2(step.beta2), rest1(step.rest1), rest2(step.rest2);
  const V eps(step.eps), shrink(step.shrink), decay(step.weight_decay);
  for_updates(
      count, updates, [=](const AdamUpdate<T>& of, int64_t begin, int64_t end) REGRAD_LAMBDA {
        const V rate(-of.rate), correction(of.correction);
        for (int64_t i = begin; i < end; i += lanes_of<T, Arch>) {
          const int64_t left = end - i;
          const V old = load<T, Arch>(of.parameter + i, left);
          const V g = multiply_add(decay, old, load<T, Arch>(of.gradient + i, left));
          const V m = multiply_add(beta1, load<T, Arch>(of.mean + i, left), rest1 * g);
          const V v = multiply_add(beta2, load<T, Arch>(of.square + i, left), rest2 * g * g);
          store<T, Arch>(of.mean + i, left, m);
          store<T, Arch>(of.square + i, left, v);
          const V length = multiply_add(v_sqrt(v), correction, eps);
          store<T, Arch>(of.parameter + i, left, multiply_add(rate, m / length, old * shrink));
        }
      });
}

}  // namespace regrad::simd

// One step of an optimiser for all parameters in one pass: each number is read and written once.
// The parameters are treated as one concatenated array, cut into chunks by its length alone: many
// small parameters share a chunk, a large one is split over several.
#pragma once

#include "ops/cpu/chunks.h"
#include "ops/cpu/math.h"
#include "ops/kernels/update.h"

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

// One vector of elements, at the same place of every array: what ops/kernels/update.h calls `at`.
template <class T, class Arch>
struct VectorAt {
  using V = Vec<T, Arch>;
  int64_t begin, left;
  REGRAD_INLINE V load(const T* x) const { return simd::load<T, Arch>(x + begin, left); }
  REGRAD_INLINE void store(T* x, V value) const { simd::store<T, Arch>(x + begin, left, value); }
  REGRAD_INLINE V all(T value) const { return V(value); }
};

template <template <class> class Update, template <class> class Step, class T, class Arch>
void update_all(int64_t count, const Update<T>* updates, const Step<T>& step) {
  for_updates(count, updates,
              [=](const Update<T>& update, int64_t begin, int64_t end) REGRAD_LAMBDA {
                // Copies whose address nobody has: what a loop stores cannot change them, so they
                // stay in registers.
                const Update<T> of = update;
                const Step<T> how = step;
                for (int64_t i = begin; i < end; i += lanes_of<T, Arch>) {
                  pointwise::update(how, of, VectorAt<T, Arch>{i, end - i});
                }
              });
}

}  // namespace regrad::simd

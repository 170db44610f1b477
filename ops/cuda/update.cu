// One step of an optimiser for all parameters (formulas: optim/sgd.h, optim/adam.h): as many of
// them in a launch as its arguments hold, cut into pieces of one length that the blocks share.
#include "ops/cuda/families.h"
#include "ops/cuda/launch.h"
#include "ops/cuda/numbers.h"

namespace regrad::gpu {
namespace {

constexpr int64_t most_updates = 48, piece = 4096;

template <class Update>
struct Some {
  int count = 0;
  Update updates[most_updates];
  int64_t first_piece[most_updates + 1];  // of each, and the end
};

template <class Update, class Rule>
__global__ void update_pieces(Some<Update> some, Rule rule) {
  const int64_t pieces = some.first_piece[some.count];
  for (int64_t at = blockIdx.x; at < pieces; at += gridDim.x) {
    int which = 0;
    while (some.first_piece[which + 1] <= at) ++which;
    const Update of = some.updates[which];
    const int64_t begin = (at - some.first_piece[which]) * piece;
    const int64_t end = begin + piece < of.n ? begin + piece : of.n;
    for (int64_t i = begin + threadIdx.x; i < end; i += blockDim.x) rule(of, i);
  }
}

template <class Update, class Rule>
void update_all(int64_t count, const Update* updates, const Rule& rule) {
  for (int64_t begin = 0; begin < count; begin += most_updates) {
    Some<Update> some;
    some.first_piece[0] = 0;
    for (int64_t i = begin; i < std::min(count, begin + most_updates); ++i) {
      const int64_t pieces = (updates[i].n + piece - 1) / piece;
      some.updates[some.count] = updates[i];
      some.first_piece[some.count + 1] = some.first_piece[some.count] + pieces;
      ++some.count;
    }
    const int64_t pieces = some.first_piece[some.count];
    if (pieces > 0) {
      launch(update_pieces<Update, Rule>, std::min(pieces, most_blocks), block_threads, some, rule);
    }
  }
}

template <class T>
struct Sgd {
  SgdStep<T> step;
  __device__ void operator()(const SgdUpdate<T>& of, int64_t i) const {
    const T x = of.parameter[i];
    T g = multiply_add(step.weight_decay, x, of.gradient[i]);
    if (of.velocity != nullptr) {
      const T v = multiply_add(step.momentum, of.velocity[i], of.keep * g);
      of.velocity[i] = v;
      g = step.nesterov ? multiply_add(step.momentum, v, g) : v;
    }
    of.parameter[i] = multiply_add(-step.lr, g, x);
  }
};

template <class T>
struct Adam {
  AdamStep<T> step;
  __device__ void operator()(const AdamUpdate<T>& of, int64_t i) const {
    const T old = of.parameter[i], g = multiply_add(step.weight_decay, old, of.gradient[i]);
    const T m = multiply_add(step.beta1, of.mean[i], step.rest1 * g);
    const T v = multiply_add(step.beta2, of.square[i], step.rest2 * g * g);
    of.mean[i] = m;
    of.square[i] = v;
    const T length = multiply_add(v_sqrt(v), of.correction, step.eps);
    of.parameter[i] = multiply_add(-of.rate, m / length, old * step.shrink);
  }
};

}  // namespace

template <class T>
void sgd(int64_t count, const SgdUpdate<T>* updates, const SgdStep<T>& step) {
  update_all(count, updates, Sgd<T>{step});
}
template <class T>
void adam(int64_t count, const AdamUpdate<T>* updates, const AdamStep<T>& step) {
  update_all(count, updates, Adam<T>{step});
}

template <class T>
OptimiserKernels<T> optimiser_kernels() {
  return {
      .sgd = sgd<T>,
      .adam = adam<T>,
  };
}

template OptimiserKernels<float> optimiser_kernels();
template OptimiserKernels<double> optimiser_kernels();

}  // namespace regrad::gpu

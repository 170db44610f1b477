// One step of an optimiser for all parameters (formulas: optim/sgd.h, optim/adam.h). A launch takes
// as many parameters as its arguments can hold; they are cut into pieces of a fixed size, which are
// distributed over the blocks.
#include "ops/cuda/families.h"
#include "ops/cuda/launch.h"
#include "ops/cuda/numbers.h"

namespace regrad::gpu {
namespace {

constexpr int64_t max_updates = 48, piece_size = 4096;

template <class Update>
struct UpdateBatch {
  int count = 0;
  Update updates[max_updates];
  int64_t first_piece[max_updates + 1];  // of each update; the last entry is the total
};

template <class Update, class Rule>
__global__ void update_pieces(UpdateBatch<Update> batch, Rule rule) {
  const int64_t pieces = batch.first_piece[batch.count];
  for (int64_t p = blockIdx.x; p < pieces; p += gridDim.x) {
    int u = 0;
    while (batch.first_piece[u + 1] <= p) ++u;
    const Update update = batch.updates[u];
    const int64_t begin = (p - batch.first_piece[u]) * piece_size;
    const int64_t end = begin + piece_size < update.n ? begin + piece_size : update.n;
    for (int64_t i = begin + threadIdx.x; i < end; i += blockDim.x) rule(update, i);
  }
}

template <class Update, class Rule>
void update_all(int64_t count, const Update* updates, const Rule& rule) {
  for (int64_t begin = 0; begin < count; begin += max_updates) {
    UpdateBatch<Update> batch;
    batch.first_piece[0] = 0;
    for (int64_t i = begin; i < std::min(count, begin + max_updates); ++i) {
      const int64_t pieces = (updates[i].n + piece_size - 1) / piece_size;
      batch.updates[batch.count] = updates[i];
      batch.first_piece[batch.count + 1] = batch.first_piece[batch.count] + pieces;
      ++batch.count;
    }
    const int64_t pieces = batch.first_piece[batch.count];
    if (pieces > 0) {
      launch(update_pieces<Update, Rule>, std::min(pieces, max_blocks), block_threads, batch, rule);
    }
  }
}

template <class T>
struct Sgd {
  SgdStep<T> step;
  __device__ void operator()(const SgdUpdate<T>& update, int64_t i) const {
    const T x = update.parameter[i];
    T g = multiply_add(step.weight_decay, x, update.gradient[i]);
    if (update.velocity != nullptr) {
      const T v = multiply_add(step.momentum, update.velocity[i], update.gradient_weight * g);
      update.velocity[i] = v;
      g = step.nesterov ? multiply_add(step.momentum, v, g) : v;
    }
    update.parameter[i] = multiply_add(-step.lr, g, x);
  }
};

template <class T>
struct Adam {
  AdamStep<T> step;
  __device__ void operator()(const AdamUpdate<T>& update, int64_t i) const {
    const T old = update.parameter[i], g = multiply_add(step.weight_decay, old, update.gradient[i]);
    const T m = multiply_add(step.beta1, update.mean[i], step.one_minus_beta1 * g);
    const T v = multiply_add(step.beta2, update.square[i], step.one_minus_beta2 * g * g);
    update.mean[i] = m;
    update.square[i] = v;
    const T denominator = multiply_add(v_sqrt(v), update.correction, step.eps);
    update.parameter[i] = multiply_add(-update.rate, m / denominator, old * step.parameter_decay);
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

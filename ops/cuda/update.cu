// One step of an optimiser for all parameters (formulas: ops/kernels/update.h). A launch takes
// as many parameters as its arguments can hold; they are cut into pieces of a fixed size, which are
// distributed over the blocks.
#include "ops/cuda/families.h"
#include "ops/cuda/launch.h"
#include "ops/cuda/numbers.h"
#include "ops/kernels/update.h"

namespace regrad::gpu {
namespace {

constexpr int64_t max_updates = 48, piece_size = 4096;

template <class Update>
struct UpdateBatch {
  int count = 0;
  Update updates[max_updates];
  int64_t first_piece[max_updates + 1];  // of each update; the last entry is the total
};

// One element, at the same place of every array: what ops/kernels/update.h calls `at`.
template <class T>
struct ElementAt {
  int64_t i;
  __host__ __device__ T load(const T* x) const { return x[i]; }
  __host__ __device__ void store(T* x, T value) const { x[i] = value; }
  __host__ __device__ T all(T value) const { return value; }
};

template <template <class> class Update, template <class> class Step, class T>
__global__ void update_pieces(UpdateBatch<Update<T>> batch, Step<T> step) {
  const int64_t pieces = batch.first_piece[batch.count];
  for (int64_t p = blockIdx.x; p < pieces; p += gridDim.x) {
    int u = 0;
    while (batch.first_piece[u + 1] <= p) ++u;
    const Update<T> update = batch.updates[u];
    const int64_t begin = (p - batch.first_piece[u]) * piece_size;
    const int64_t end = begin + piece_size < update.n ? begin + piece_size : update.n;
    for (int64_t i = begin + threadIdx.x; i < end; i += blockDim.x) {
      pointwise::update(step, update, ElementAt<T>{i});
    }
  }
}

template <template <class> class Update, template <class> class Step, class T>
void update_all(int64_t count, const Update<T>* updates, const Step<T>& step) {
  for (int64_t begin = 0; begin < count; begin += max_updates) {
    UpdateBatch<Update<T>> batch;
    batch.first_piece[0] = 0;
    for (int64_t i = begin; i < std::min(count, begin + max_updates); ++i) {
      const int64_t pieces = (updates[i].n + piece_size - 1) / piece_size;
      batch.updates[batch.count] = updates[i];
      batch.first_piece[batch.count + 1] = batch.first_piece[batch.count] + pieces;
      ++batch.count;
    }
    const int64_t pieces = batch.first_piece[batch.count];
    if (pieces > 0) {
      launch(update_pieces<Update, Step, T>, std::min(pieces, max_blocks), block_threads, batch,
             step);
    }
  }
}

}  // namespace

template <class T>
OptimiserKernels<T> optimiser_kernels() {
  return {
      .sgd = update_all<SgdUpdate, SgdStep, T>,
      .adam = update_all<AdamUpdate, AdamStep, T>,
      .rmsprop = update_all<RmspropUpdate, RmspropStep, T>,
      .adagrad = update_all<AdagradUpdate, AdagradStep, T>,
      .adadelta = update_all<AdadeltaUpdate, AdadeltaStep, T>,
  };
}

template OptimiserKernels<float> optimiser_kernels();
template OptimiserKernels<double> optimiser_kernels();

}  // namespace regrad::gpu

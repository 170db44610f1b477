// Cross entropy of rows of logits (formulas: ops/cpu/loss.h), and the logistic loss. bad_index()
// reports targets that are neither a class nor ignored; these kernels treat them as ignored.
#include "ops/cuda/families.h"
#include "ops/cuda/loop.h"
#include "ops/cuda/slice.h"
#include "ops/kernels/pointwise.h"

namespace regrad::gpu {
namespace {

struct Targets {
  const int64_t* values;
  int64_t ignore, classes;
  __device__ bool is_counted(int64_t row) const {
    return values[row] != ignore && values[row] >= 0 && values[row] < classes;
  }
};

template <class T>
struct CrossEntropy {
  T *loss, *log_sum;
  const T* x_data;
  Targets targets;
  T smoothing;
  template <class Slice>
  __device__ void operator()(const Slice& slice) const {
    const SliceValues x(slice, x_data);
    const SoftmaxSums<T> sums = softmax_sums(slice, x);
    double distance = 0;  // the sum of maximum - logit
    if (smoothing > T(0)) {
      slice.for_each([&](int k, int64_t offset) {
        distance += static_cast<double>(sums.shift - x(k, offset));
      });
      distance = slice.sum(distance);
    }
    if (!slice.is_leader()) return;
    const int64_t o = slice.index;
    const bool is_counted = targets.is_counted(o);
    const double shift = static_cast<double>(sums.shift), s = static_cast<double>(smoothing);
    const double log_of_sum = ::log(sums.sum);
    log_sum[o] = is_counted ? static_cast<T>(shift + log_of_sum) : T(0);
    double value = log_of_sum;
    if (is_counted && s < 1) {
      value += (1 - s) * (shift - static_cast<double>(x_data[slice.begin + targets.values[o]]));
    }
    if (s > 0) value += s * distance / static_cast<double>(slice.n);
    loss[o] = is_counted ? static_cast<T>(value) : T(0);
  }
};

// The log-sum-exp is computed again as shift and log(sum): a single number would lose digits of the
// logarithm beside a large maximum.
template <class T>
struct CrossEntropyBackward {
  T* dx;
  const T* g;
  int64_t g_stride;
  const T* x_data;
  Targets targets;
  T smoothing;
  template <class Slice>
  __device__ void operator()(const Slice& slice) const {
    const SliceValues x(slice, x_data);
    const SoftmaxSums<T> sums = softmax_sums(slice, x);
    const T log_sum = static_cast<T>(::log(sums.sum)), gradient = g[slice.index * g_stride];
    const T other_share = smoothing / static_cast<T>(slice.n),
            target_share = T(1) - smoothing + other_share;
    const bool is_counted = targets.is_counted(slice.index);
    const int64_t target = targets.values[slice.index];
    slice.write(dx, [&](int k, int64_t offset) {
      const T probability = v_exp((x(k, offset) - sums.shift) - log_sum);
      return is_counted ? gradient * (probability - (offset == target ? target_share : other_share))
                        : T(0);
    });
  }
};

template <class T>
struct Zero {
  T *loss, *log_sum;
  __device__ void operator()(int64_t i) const { loss[i] = log_sum[i] = T(0); }
};

template <class T>
struct LogisticLoss {
  __device__ T operator()(T x, T t) const { return pointwise::logistic_loss(x, t); }
};

template <class T>
struct LogisticSlope {
  __device__ T operator()(T g, T x, T t) const { return g * pointwise::logistic_slope(x, t); }
};

}  // namespace

template <class T>
void cross_entropy(Rows rows, T* loss, T* log_sum, const T* x, const int64_t* targets,
                   int64_t ignore, T smoothing) {
  if (rows.n == 0) return for_each(rows.outer, Zero<T>{loss, log_sum});  // all are ignored
  for_each_row(rows, CrossEntropy<T>{loss, log_sum, x, Targets{targets, ignore, rows.n}, smoothing},
               x);
}

template <class T>
void cross_entropy_backward(Rows rows, T* dx, const T* g, int64_t g_stride, const T* x, const T*,
                            const int64_t* targets, int64_t ignore, T smoothing) {
  if (rows.n == 0) return;
  for_each_row(
      rows,
      CrossEntropyBackward<T>{dx, g, g_stride, x, Targets{targets, ignore, rows.n}, smoothing}, dx,
      x);
}

template <class T>
void logistic_loss(const Loop& loop, T* out, const T* x, const T* t) {
  run_loop(loop, LogisticLoss<T>{}, out, x, t);
}

template <class T>
void logistic_slope(const Loop& loop, T* out, const T* g, const T* x, const T* t) {
  run_loop(loop, LogisticSlope<T>{}, out, g, x, t);
}

template <class T>
LossKernels<T> loss_kernels() {
  return {
      .cross_entropy = cross_entropy<T>,
      .cross_entropy_backward = cross_entropy_backward<T>,
      .logistic = logistic_loss<T>,
      .logistic_slope = logistic_slope<T>,
  };
}

template LossKernels<float> loss_kernels();
template LossKernels<double> loss_kernels();

}  // namespace regrad::gpu

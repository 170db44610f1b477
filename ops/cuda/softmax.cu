// Softmax, log-softmax and logsumexp along n, and their derivatives.
#include "ops/cuda/families.h"
#include "ops/cuda/slice.h"

namespace regrad::gpu {
namespace {

template <class T>
struct Softmax {
  T* y;
  const T* x_data;
  template <class Slice>
  __device__ void operator()(const Slice& slice) const {
    const SliceValues x(slice, x_data);
    const SoftmaxSums<T> sums = softmax_sums(slice, x);
    const T factor = sums.sum == 0 ? T(0) : static_cast<T>(1 / sums.sum);
    slice.write(y,
                [&](int k, int64_t offset) { return v_exp(x(k, offset) - sums.shift) * factor; });
  }
};

// y = (x - max) - log(sum), in two steps: max + log(sum) would lose digits of the logarithm.
template <class T>
struct LogSoftmax {
  T* y;
  const T* x_data;
  template <class Slice>
  __device__ void operator()(const Slice& slice) const {
    const SliceValues x(slice, x_data);
    const SoftmaxSums<T> sums = softmax_sums(slice, x);
    const T log_sum = sums.sum == 0 ? T(0) : static_cast<T>(::log(sums.sum));
    slice.write(y, [&](int k, int64_t offset) { return x(k, offset) - sums.shift - log_sum; });
  }
};

template <class T>
struct LogSumExp {
  T* y;
  const T* x_data;
  template <class Slice>
  __device__ void operator()(const Slice& slice) const {
    const auto [shift, sum] = softmax_sums(slice, SliceValues(slice, x_data));
    if (!slice.is_leader()) return;
    y[slice.index] =
        shift == infinity<T>() ? shift : static_cast<T>(static_cast<double>(shift) + ::log(sum));
  }
};

template <class T>
struct SoftmaxBackward {  // y (g - sum(g y))
  T* dx;
  const T *g_data, *y_data;
  template <class Slice>
  __device__ void operator()(const Slice& slice) const {
    const SliceValues g(slice, g_data), y(slice, y_data);
    double sum = 0;
    slice.for_each([&](int k, int64_t offset) {
      sum += static_cast<double>(g(k, offset)) * static_cast<double>(y(k, offset));
    });
    const T total = static_cast<T>(slice.sum(sum));
    slice.write(dx, [&](int k, int64_t offset) { return y(k, offset) * (g(k, offset) - total); });
  }
};

template <class T>
struct LogSoftmaxBackward {  // g - exp(y) sum(g)
  T* dx;
  const T *g_data, *y_data;
  template <class Slice>
  __device__ void operator()(const Slice& slice) const {
    const SliceValues g(slice, g_data), y(slice, y_data);
    double sum = 0;
    slice.for_each([&](int k, int64_t offset) { sum += static_cast<double>(g(k, offset)); });
    const T total = static_cast<T>(slice.sum(sum));
    slice.write(dx,
                [&](int k, int64_t offset) { return g(k, offset) - v_exp(y(k, offset)) * total; });
  }
};

}  // namespace

template <class T>
void softmax(Rows rows, T* y, const T* x) {
  for_each_slice(rows, Softmax<T>{y, x}, y, x);
}

template <class T>
void log_softmax(Rows rows, T* y, const T* x) {
  for_each_slice(rows, LogSoftmax<T>{y, x}, y, x);
}

template <class T>
void logsumexp(Rows rows, T* out, const T* x) {
  for_each_slice(rows, LogSumExp<T>{out, x}, out, x);
}

template <class T>
void softmax_backward(Rows rows, T* dx, const T* g, const T* y) {
  for_each_slice(rows, SoftmaxBackward<T>{dx, g, y}, dx, g, y);
}

template <class T>
void log_softmax_backward(Rows rows, T* dx, const T* g, const T* y) {
  for_each_slice(rows, LogSoftmaxBackward<T>{dx, g, y}, dx, g, y);
}

template <class T>
SoftmaxKernels<T> softmax_kernels() {
  return {
      .softmax = softmax<T>,
      .log_softmax = log_softmax<T>,
      .logsumexp = logsumexp<T>,
      .softmax_backward = softmax_backward<T>,
      .log_softmax_backward = log_softmax_backward<T>,
  };
}

template SoftmaxKernels<float> softmax_kernels();
template SoftmaxKernels<double> softmax_kernels();

}  // namespace regrad::gpu

// Softmax and its family along n.
#include "ops/cuda/families.h"
#include "ops/cuda/line.h"

namespace regrad::gpu {
namespace {

template <class T>
struct Softmax {
  T* y;
  const T* from;
  template <class Line>
  __device__ void operator()(const Line& line) const {
    const Numbers x(line, from);
    const Shifted<T> all = exponentials(line, x);
    const T by = all.sum == 0 ? T(0) : static_cast<T>(1 / all.sum);
    line.write(y, [&](int k, int64_t at) { return v_exp(x(k, at) - all.shift) * by; });
  }
};

// y = (x - max) - log(sum): two steps, so that what both have in common does not cost digits.
template <class T>
struct LogSoftmax {
  T* y;
  const T* from;
  template <class Line>
  __device__ void operator()(const Line& line) const {
    const Numbers x(line, from);
    const Shifted<T> all = exponentials(line, x);
    const T log_sum = all.sum == 0 ? T(0) : static_cast<T>(::log(all.sum));
    line.write(y, [&](int k, int64_t at) { return x(k, at) - all.shift - log_sum; });
  }
};

template <class T>
struct LogSumExp {
  T* y;
  const T* from;
  template <class Line>
  __device__ void operator()(const Line& line) const {
    const auto [shift, sum] = exponentials(line, Numbers(line, from));
    if (!line.writes_result()) return;
    y[line.index] =
        shift == infinity<T>() ? shift : static_cast<T>(static_cast<double>(shift) + ::log(sum));
  }
};

template <class T>
struct SoftmaxBackward {  // y (g - sum(g y))
  T* dx;
  const T *given, *result;
  template <class Line>
  __device__ void operator()(const Line& line) const {
    const Numbers g(line, given), y(line, result);
    double sum = 0;
    line.each([&](int k, int64_t at) {
      sum += static_cast<double>(g(k, at)) * static_cast<double>(y(k, at));
    });
    const T total = static_cast<T>(line.sum(sum));
    line.write(dx, [&](int k, int64_t at) { return y(k, at) * (g(k, at) - total); });
  }
};

template <class T>
struct LogSoftmaxBackward {  // g - exp(y) sum(g)
  T* dx;
  const T *given, *result;
  template <class Line>
  __device__ void operator()(const Line& line) const {
    const Numbers g(line, given), y(line, result);
    double sum = 0;
    line.each([&](int k, int64_t at) { sum += static_cast<double>(g(k, at)); });
    const T total = static_cast<T>(line.sum(sum));
    line.write(dx, [&](int k, int64_t at) { return g(k, at) - v_exp(y(k, at)) * total; });
  }
};

template <class Body, class T>
void of_one(Rows rows, T* out, const T* x) {
  each_line(rows, Body{out, x}, out, x);
}

template <class Body, class T>
void of_two(Rows rows, T* out, const T* g, const T* y) {
  each_line(rows, Body{out, g, y}, out, g, y);
}

}  // namespace

template <class T>
RowKernels<T> row_kernels() {
  return {of_one<Softmax<T>, T>,
          of_one<LogSoftmax<T>, T>,
          of_one<LogSumExp<T>, T>,
          of_two<SoftmaxBackward<T>, T>,
          of_two<LogSoftmaxBackward<T>, T>,
          layer_norm<T>,
          layer_norm_backward<T>,
          cross_entropy<T>,
          cross_entropy_backward<T>};
}

template RowKernels<float> row_kernels();
template RowKernels<double> row_kernels();

}  // namespace regrad::gpu

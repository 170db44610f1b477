// Softmax and its family along n.
#include "ops/cuda/families.h"
#include "ops/cuda/slice.h"

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

}  // namespace

template <class T>
void softmax(Rows rows, T* y, const T* x) {
  each_line(rows, Softmax<T>{y, x}, y, x);
}

template <class T>
void log_softmax(Rows rows, T* y, const T* x) {
  each_line(rows, LogSoftmax<T>{y, x}, y, x);
}

template <class T>
void logsumexp(Rows rows, T* out, const T* x) {
  each_line(rows, LogSumExp<T>{out, x}, out, x);
}

template <class T>
void softmax_backward(Rows rows, T* dx, const T* g, const T* y) {
  each_line(rows, SoftmaxBackward<T>{dx, g, y}, dx, g, y);
}

template <class T>
void log_softmax_backward(Rows rows, T* dx, const T* g, const T* y) {
  each_line(rows, LogSoftmaxBackward<T>{dx, g, y}, dx, g, y);
}

#define REGRAD_INSTANTIATE(T)                                   \
  template void softmax(Rows, T*, const T*);                    \
  template void log_softmax(Rows, T*, const T*);                \
  template void logsumexp(Rows, T*, const T*);                  \
  template void softmax_backward(Rows, T*, const T*, const T*); \
  template void log_softmax_backward(Rows, T*, const T*, const T*);
REGRAD_INSTANTIATE(float)
REGRAD_INSTANTIATE(double)

}  // namespace regrad::gpu

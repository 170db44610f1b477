// Cross entropy of class scores, a row each (formulas: ops/cpu/loss.h). A target that is neither a
// class nor ignored has been noted by bad_index(); here it counts for nothing.
#include "ops/cuda/families.h"
#include "ops/cuda/slice.h"

namespace regrad::gpu {
namespace {

struct Targets {
  const int64_t* at;
  int64_t ignore, classes;
  __device__ bool counts(int64_t row) const {
    return at[row] != ignore && at[row] >= 0 && at[row] < classes;
  }
};

template <class T>
struct CrossEntropy {
  T *loss, *log_sum;
  const T* from;
  Targets targets;
  T smoothing;
  template <class Line>
  __device__ void operator()(const Line& line) const {
    const Numbers x(line, from);
    const Shifted<T> all = exponentials(line, x);
    double distance = 0;  // of the scores from the greatest
    if (smoothing > T(0)) {
      line.each([&](int k, int64_t at) { distance += static_cast<double>(all.shift - x(k, at)); });
      distance = line.sum(distance);
    }
    if (!line.writes_result()) return;
    const int64_t o = line.index;
    const bool counts = targets.counts(o);
    const double greatest = static_cast<double>(all.shift), s = static_cast<double>(smoothing);
    const double log_of_sum = ::log(all.sum);
    log_sum[o] = counts ? static_cast<T>(greatest + log_of_sum) : T(0);
    double value = log_of_sum;
    if (counts && s < 1) {
      value += (1 - s) * (greatest - static_cast<double>(from[line.begin + targets.at[o]]));
    }
    if (s > 0) value += s * distance / static_cast<double>(line.n);
    loss[o] = counts ? static_cast<T>(value) : T(0);
  }
};

// The logarithm of the sum comes in its two parts: together they lack the digits that a large
// maximum takes.
template <class T>
struct CrossEntropyBackward {
  T* dx;
  const T* g;
  int64_t g_stride;
  const T* from;
  Targets targets;
  T smoothing;
  template <class Line>
  __device__ void operator()(const Line& line) const {
    const Numbers x(line, from);
    const Shifted<T> all = exponentials(line, x);
    const T log_sum = static_cast<T>(::log(all.sum)), gradient = g[line.index * g_stride];
    const T each = smoothing / static_cast<T>(line.n), wanted = T(1) - smoothing + each;
    const bool counts = targets.counts(line.index);
    const int64_t right = targets.at[line.index];
    line.write(dx, [&](int k, int64_t at) {
      const T probability = v_exp((x(k, at) - all.shift) - log_sum);
      return counts ? gradient * (probability - (at == right ? wanted : each)) : T(0);
    });
  }
};

template <class T>
struct Zero {
  T *loss, *log_sum;
  __device__ void operator()(int64_t i) const { loss[i] = log_sum[i] = T(0); }
};

}  // namespace

template <class T>
void cross_entropy(Rows rows, T* loss, T* log_sum, const T* x, const int64_t* targets,
                   int64_t ignore, T smoothing) {
  if (rows.n == 0) return for_each(rows.outer, Zero<T>{loss, log_sum});  // all are ignored
  each_row(rows, CrossEntropy<T>{loss, log_sum, x, Targets{targets, ignore, rows.n}, smoothing}, x);
}

template <class T>
void cross_entropy_backward(Rows rows, T* dx, const T* g, int64_t g_stride, const T* x, const T*,
                            const int64_t* targets, int64_t ignore, T smoothing) {
  if (rows.n == 0) return;
  each_row(rows,
           CrossEntropyBackward<T>{dx, g, g_stride, x, Targets{targets, ignore, rows.n}, smoothing},
           dx, x);
}

#define REGRAD_INSTANTIATE(T)                                                           \
  template void cross_entropy(Rows, T*, T*, const T*, const int64_t*, int64_t, T);      \
  template void cross_entropy_backward(Rows, T*, const T*, int64_t, const T*, const T*, \
                                       const int64_t*, int64_t, T);
REGRAD_INSTANTIATE(float)
REGRAD_INSTANTIATE(double)

}  // namespace regrad::gpu

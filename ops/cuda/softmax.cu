// Softmax and its family along n. Rows (inner is 1) belong to a warp or a block; a column belongs
// to a thread, beside its neighbours'.
#include "ops/cuda/families.h"
#include "ops/cuda/team.h"

namespace regrad::gpu {
namespace {

// How a member walks along its row or column of n: element first, first + step, ...
struct Walk {
  int64_t first, step, n, stride;
};

// Alone: a thread that has a column to itself.
struct Alone {
  template <class V, class Combine>
  __device__ static V all(V value, const Combine&) {
    return value;
  }
};

template <class T>
struct Shifted {
  T shift;
  double sum;  // of exp(x - shift)
};

template <class Members, class T>
__device__ Shifted<T> exponentials(const Walk& way, const T* x) {
  T greatest = -infinity<T>();
  for (int64_t i = way.first; i < way.n; i += way.step) {
    greatest = v_max(greatest, x[i * way.stride]);
  }
  const T shift = shift_of(Members::all(greatest, Larger()));
  double sum = 0;
  for (int64_t i = way.first; i < way.n; i += way.step) {
    sum += static_cast<double>(v_exp(x[i * way.stride] - shift));
  }
  return {shift, Members::all(sum, Sum())};
}

struct Softmax {
  template <class Members, class T>
  __device__ static void run(const Walk& way, T* y, const T* x, const T*) {
    const auto [shift, sum] = exponentials<Members>(way, x);
    const T by = sum == 0 ? T(0) : static_cast<T>(1 / sum);
    for (int64_t i = way.first; i < way.n; i += way.step) {
      y[i * way.stride] = v_exp(x[i * way.stride] - shift) * by;
    }
  }
};

// y = (x - max) - log(sum): two steps, so that what both have in common does not cost digits.
struct LogSoftmax {
  template <class Members, class T>
  __device__ static void run(const Walk& way, T* y, const T* x, const T*) {
    const auto [shift, sum] = exponentials<Members>(way, x);
    const T log_sum = sum == 0 ? T(0) : static_cast<T>(::log(sum));
    for (int64_t i = way.first; i < way.n; i += way.step) {
      y[i * way.stride] = x[i * way.stride] - shift - log_sum;
    }
  }
};

struct LogSumExp {
  template <class Members, class T>
  __device__ static void run(const Walk& way, T* y, const T* x, const T*) {
    const auto [shift, sum] = exponentials<Members>(way, x);
    if (way.first != 0) return;
    *y = shift == infinity<T>() ? shift : static_cast<T>(static_cast<double>(shift) + ::log(sum));
  }
};

struct SoftmaxBackward {  // y (g - sum(g y))
  template <class Members, class T>
  __device__ static void run(const Walk& way, T* dx, const T* g, const T* y) {
    double sum = 0;
    for (int64_t i = way.first; i < way.n; i += way.step) {
      sum += static_cast<double>(g[i * way.stride]) * static_cast<double>(y[i * way.stride]);
    }
    const T total = static_cast<T>(Members::all(sum, Sum()));
    for (int64_t i = way.first; i < way.n; i += way.step) {
      dx[i * way.stride] = y[i * way.stride] * (g[i * way.stride] - total);
    }
  }
};

struct LogSoftmaxBackward {  // g - exp(y) sum(g)
  template <class Members, class T>
  __device__ static void run(const Walk& way, T* dx, const T* g, const T* y) {
    double sum = 0;
    for (int64_t i = way.first; i < way.n; i += way.step) {
      sum += static_cast<double>(g[i * way.stride]);
    }
    const T total = static_cast<T>(Members::all(sum, Sum()));
    for (int64_t i = way.first; i < way.n; i += way.step) {
      dx[i * way.stride] = g[i * way.stride] - v_exp(y[i * way.stride]) * total;
    }
  }
};

template <class What, bool reduces, int threads, class T>
__global__ void of_rows(Rows rows, T* out, const T* a, const T* b) {
  using Members = Team<threads>;
  for (int64_t o = Members::first(); o < rows.outer; o += Members::step()) {
    const int64_t at = o * rows.n;
    What::template run<Members>({Members::rank(), threads, rows.n, 1}, out + (reduces ? o : at),
                                a + at, b == nullptr ? b : b + at);
  }
}

template <class What, bool reduces, class T>
struct OfColumns {
  Rows rows;
  T* out;
  const T *a, *b;
  __device__ void operator()(int64_t i) const {
    const int64_t at = i / rows.inner * rows.n * rows.inner + i % rows.inner;
    What::template run<Alone>({0, 1, rows.n, rows.inner}, out + (reduces ? i : at), a + at,
                              b == nullptr ? b : b + at);
  }
};

template <class What, bool reduces, class T>
void along(Rows rows, T* out, const T* a, const T* b) {
  if (rows.inner == 1) {
    launch_rows(rows.outer, rows.n, of_rows<What, reduces, warp_threads, T>,
                of_rows<What, reduces, block_threads, T>, rows, out, a, b);
  } else {
    for_each(rows.outer * rows.inner, OfColumns<What, reduces, T>{rows, out, a, b});
  }
}

template <class What, bool reduces, class T>
void of_one(Rows rows, T* out, const T* x) {
  along<What, reduces, T>(rows, out, x, nullptr);
}

template <class What, class T>
void of_two(Rows rows, T* out, const T* g, const T* y) {
  along<What, false, T>(rows, out, g, y);
}

}  // namespace

template <class T>
RowKernels<T> row_kernels() {
  return {of_one<Softmax, false, T>,     of_one<LogSoftmax, false, T>,
          of_one<LogSumExp, true, T>,    of_two<SoftmaxBackward, T>,
          of_two<LogSoftmaxBackward, T>, layer_norm<T>,
          layer_norm_backward<T>,        cross_entropy<T>,
          cross_entropy_backward<T>};
}

template RowKernels<float> row_kernels();
template RowKernels<double> row_kernels();

}  // namespace regrad::gpu

// Cross entropy of class scores, a row each (formulas: ops/cpu/loss.h). A target that is neither a
// class nor ignored has been noted by bad_index(); here it counts for nothing.
#include "ops/cuda/families.h"
#include "ops/cuda/team.h"

namespace regrad::gpu {
namespace {

template <class T>
struct ScoreSum {
  T greatest;
  double log_sum;  // of exp(x - greatest)
};

template <class Members, class T>
__device__ ScoreSum<T> score_sum(int64_t n, const T* x, int rank, int threads) {
  T greatest = -infinity<T>();
  for (int64_t i = rank; i < n; i += threads) greatest = v_max(greatest, x[i]);
  greatest = shift_of(Members::all(greatest, Larger()));
  double sum = 0;
  for (int64_t i = rank; i < n; i += threads) sum += static_cast<double>(v_exp(x[i] - greatest));
  return {greatest, ::log(Members::all(sum, Sum()))};
}

struct Targets {
  const int64_t* at;
  int64_t ignore, classes;
  __device__ bool counts(int64_t row) const {
    return at[row] != ignore && at[row] >= 0 && at[row] < classes;
  }
};

template <int threads, class T>
__global__ void forward(Rows rows, T* loss, T* log_sum, const T* x, Targets targets, T smoothing) {
  using Members = Team<threads>;
  const int rank = Members::rank();
  for (int64_t o = Members::first(); o < rows.outer; o += Members::step()) {
    const T* row = x + o * rows.n;
    const ScoreSum<T> sum = score_sum<Members>(rows.n, row, rank, threads);
    double distance = 0;  // of the scores from the greatest
    if (smoothing > T(0)) {
      for (int64_t i = rank; i < rows.n; i += threads) {
        distance += static_cast<double>(sum.greatest - row[i]);
      }
      distance = Members::all(distance, Sum());
    }
    if (rank != 0) continue;
    const bool counts = targets.counts(o);
    const double greatest = static_cast<double>(sum.greatest), s = static_cast<double>(smoothing);
    log_sum[o] = counts ? static_cast<T>(greatest + sum.log_sum) : T(0);
    double value = sum.log_sum;
    if (counts && s < 1) value += (1 - s) * (greatest - static_cast<double>(row[targets.at[o]]));
    if (s > 0) value += s * distance / static_cast<double>(rows.n);
    loss[o] = counts ? static_cast<T>(value) : T(0);
  }
}

// The logarithm of the sum comes in its two parts: together they lack the digits that a large
// maximum takes.
template <int threads, class T>
__global__ void backward(Rows rows, T* dx, const T* g, int64_t g_stride, const T* x,
                         Targets targets, T smoothing) {
  using Members = Team<threads>;
  const int rank = Members::rank();
  const T each = smoothing / static_cast<T>(rows.n), wanted = T(1) - smoothing + each;
  for (int64_t o = Members::first(); o < rows.outer; o += Members::step()) {
    const T* row = x + o * rows.n;
    const ScoreSum<T> sum = score_sum<Members>(rows.n, row, rank, threads);
    const T log_sum = static_cast<T>(sum.log_sum), gradient = g[o * g_stride];
    const bool counts = targets.counts(o);
    for (int64_t i = rank; i < rows.n; i += threads) {
      const T probability = v_exp((row[i] - sum.greatest) - log_sum);
      const T target = counts && i == targets.at[o] ? wanted : each;
      dx[o * rows.n + i] = counts ? gradient * (probability - target) : T(0);
    }
  }
}

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
  launch_rows(rows.outer, rows.n, forward<warp_threads, T>, forward<block_threads, T>, rows, loss,
              log_sum, x, Targets{targets, ignore, rows.n}, smoothing);
}

template <class T>
void cross_entropy_backward(Rows rows, T* dx, const T* g, int64_t g_stride, const T* x, const T*,
                            const int64_t* targets, int64_t ignore, T smoothing) {
  if (rows.n == 0) return;
  launch_rows(rows.outer, rows.n, backward<warp_threads, T>, backward<block_threads, T>, rows, dx,
              g, g_stride, x, Targets{targets, ignore, rows.n}, smoothing);
}

#define REGRAD_INSTANTIATE(T)                                                           \
  template void cross_entropy(Rows, T*, T*, const T*, const int64_t*, int64_t, T);      \
  template void cross_entropy_backward(Rows, T*, const T*, int64_t, const T*, const T*, \
                                       const int64_t*, int64_t, T);
REGRAD_INSTANTIATE(float)
REGRAD_INSTANTIATE(double)

}  // namespace regrad::gpu

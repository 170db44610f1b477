// Layer normalisation: y = (x - mean) rstd weight + bias, and its derivatives. As on the cpu,
// deviations are taken from a rounded mean, and what rounding took from the mean is kept apart.
#include "ops/cuda/device.h"
#include "ops/cuda/families.h"
#include "ops/cuda/team.h"

namespace regrad::gpu {
namespace {

template <int threads, class T>
__global__ void forward(Rows rows, T* y, T* mean, T* rstd, const T* x, const T* weight,
                        const T* bias, T eps) {
  using Members = Team<threads>;
  const int rank = Members::rank();
  const auto n = static_cast<double>(rows.n);
  for (int64_t o = Members::first(); o < rows.outer; o += Members::step()) {
    const T* row = x + o * rows.n;
    double sum = 0;
    for (int64_t i = rank; i < rows.n; i += threads) sum += static_cast<double>(row[i]);
    const T centre = static_cast<T>(Members::all(sum, Sum()) / n);
    double rest = 0, squares = 0;
    for (int64_t i = rank; i < rows.n; i += threads) {
      const double deviation = static_cast<double>(row[i]) - static_cast<double>(centre);
      rest += deviation;
      squares += deviation * deviation;
    }
    rest = Members::all(rest, Sum()) / n;
    const double spread = Members::all(squares, Sum()) / n - rest * rest;
    const T scale =
        static_cast<T>(1 / ::sqrt((spread < 0 ? 0 : spread) + static_cast<double>(eps)));
    const T off = static_cast<T>(rest);
    for (int64_t i = rank; i < rows.n; i += threads) {
      T value = multiply_add(row[i] - centre, scale, -off * scale);
      if (weight != nullptr) value *= weight[i];
      if (bias != nullptr) value += bias[i];
      y[o * rows.n + i] = value;
    }
    if (rank == 0) {
      mean[o] = centre + off;
      rstd[o] = scale;
    }
  }
}

// A row as the derivatives see it: xhat = (x - mean) rstd - shift, where shift is what the rounded
// mean lacks.
template <class T>
struct Row {
  T mean, rstd, shift;
  __device__ T normalised(T x) const { return (x - mean) * rstd - shift; }
};

template <class Members, class T>
__device__ Row<T> row_of(int64_t n, const T* x, T mean, T rstd, int rank, int threads) {
  double off = 0;
  for (int64_t i = rank; i < n; i += threads) {
    off += static_cast<double>(x[i]) - static_cast<double>(mean);
  }
  off = Members::all(off, Sum()) / static_cast<double>(n);
  return {mean, rstd, static_cast<T>(off) * rstd};
}

// dx = rstd ((u - mean(u)) - xhat mean(u xhat)) with u = g weight
template <int threads, class T>
__global__ void backward_of_x(Rows rows, T* dx, const T* g, const T* x, const T* mean,
                              const T* rstd, const T* weight, T* shifts) {
  using Members = Team<threads>;
  const int rank = Members::rank();
  for (int64_t o = Members::first(); o < rows.outer; o += Members::step()) {
    const T* from = x + o * rows.n;
    const T* gradient = g + o * rows.n;
    const Row<T> row = row_of<Members>(rows.n, from, mean[o], rstd[o], rank, threads);
    if (shifts != nullptr && rank == 0) shifts[o] = row.shift;
    if (dx == nullptr) continue;
    const auto u = [&](int64_t i) {
      return weight == nullptr ? gradient[i] : gradient[i] * weight[i];
    };
    double sum = 0, product = 0;
    for (int64_t i = rank; i < rows.n; i += threads) {
      sum += static_cast<double>(u(i));
      product += static_cast<double>(u(i) * row.normalised(from[i]));
    }
    const T mean_u = static_cast<T>(Members::all(sum, Sum()) / static_cast<double>(rows.n));
    const T mean_product =
        static_cast<T>(Members::all(product, Sum()) / static_cast<double>(rows.n));
    for (int64_t i = rank; i < rows.n; i += threads) {
      dx[o * rows.n + i] = row.rstd * ((u(i) - mean_u) - row.normalised(from[i]) * mean_product);
    }
  }
}

constexpr int64_t rows_of_a_part = 128;

// Sums of g xhat and of g over a part of the rows, for every column.
template <class T>
struct PartOfSums {
  Rows rows;
  double *weight_sums, *bias_sums;  // [parts, n]
  const T *g, *x, *mean, *rstd, *shifts;
  __device__ void operator()(int64_t i) const {
    const int64_t column = i % rows.n, begin = i / rows.n * rows_of_a_part;
    const int64_t end = begin + rows_of_a_part < rows.outer ? begin + rows_of_a_part : rows.outer;
    double of_weight = 0, of_bias = 0;
    for (int64_t o = begin; o < end; ++o) {
      const T gradient = g[o * rows.n + column];
      const Row<T> row = {mean[o], rstd[o], shifts[o]};
      of_weight += static_cast<double>(gradient * row.normalised(x[o * rows.n + column]));
      of_bias += static_cast<double>(gradient);
    }
    weight_sums[i] = of_weight;
    bias_sums[i] = of_bias;
  }
};

template <class T>
struct WholeSums {
  int64_t parts, n;
  T *dweight, *dbias;
  const double *weight_sums, *bias_sums;
  __device__ void operator()(int64_t column) const {
    double of_weight = 0, of_bias = 0;
    for (int64_t part = 0; part < parts; ++part) {
      of_weight += weight_sums[part * n + column];
      of_bias += bias_sums[part * n + column];
    }
    if (dweight != nullptr) dweight[column] = static_cast<T>(of_weight);
    if (dbias != nullptr) dbias[column] = static_cast<T>(of_bias);
  }
};

}  // namespace

template <class T>
void layer_norm(Rows rows, T* y, T* mean, T* rstd, const T* x, const T* weight, const T* bias,
                T eps) {
  if (rows.n == 0) return;
  launch_rows(rows.outer, rows.n, forward<warp_threads, T>, forward<block_threads, T>, rows, y,
              mean, rstd, x, weight, bias, eps);
}

template <class T>
void layer_norm_backward(Rows rows, T* dx, T* dweight, T* dbias, const T* g, const T* x,
                         const T* mean, const T* rstd, const T* weight) {
  if (rows.n == 0) return;
  const bool sums = dweight != nullptr || dbias != nullptr;
  const int64_t parts = (rows.outer + rows_of_a_part - 1) / rows_of_a_part;
  Scratch<T> shifts(rows.outer);
  Scratch<double> weight_sums(sums ? parts * rows.n : 0), bias_sums(sums ? parts * rows.n : 0);
  launch_rows(rows.outer, rows.n, backward_of_x<warp_threads, T>, backward_of_x<block_threads, T>,
              rows, dx, g, x, mean, rstd, weight, shifts.data());
  if (!sums) return;
  for_each(parts * rows.n, PartOfSums<T>{rows, weight_sums.data(), bias_sums.data(), g, x, mean,
                                         rstd, shifts.data()});
  for_each(rows.n,
           WholeSums<T>{parts, rows.n, dweight, dbias, weight_sums.data(), bias_sums.data()});
}

#define REGRAD_INSTANTIATE(T)                                                                 \
  template void layer_norm(Rows, T*, T*, T*, const T*, const T*, const T*, T);                \
  template void layer_norm_backward(Rows, T*, T*, T*, const T*, const T*, const T*, const T*, \
                                    const T*);
REGRAD_INSTANTIATE(float)
REGRAD_INSTANTIATE(double)

}  // namespace regrad::gpu

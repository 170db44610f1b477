// Layer normalisation: y = (x - mean) rstd weight + bias, and its derivatives. As on the cpu,
// deviations are taken from a rounded mean, and what rounding took from the mean is kept apart.
#include "ops/cuda/device.h"
#include "ops/cuda/families.h"
#include "ops/cuda/slice.h"

namespace regrad::gpu {
namespace {

template <class T>
struct LayerNorm {
  T *y, *mean, *rstd;
  const T *from, *weight, *bias;
  T eps;
  template <class Line>
  __device__ void operator()(const Line& line) const {
    const Numbers x(line, from);
    const auto n = static_cast<double>(line.n);
    double sum = 0;
    line.each([&](int k, int64_t at) { sum += static_cast<double>(x(k, at)); });
    const T centre = static_cast<T>(line.sum(sum) / n);
    double rest = 0, squares = 0;
    line.each([&](int k, int64_t at) {
      const double deviation = static_cast<double>(x(k, at)) - static_cast<double>(centre);
      rest += deviation;
      squares += deviation * deviation;
    });
    rest = line.sum(rest) / n;
    const double spread = line.sum(squares) / n - rest * rest;
    const T scale =
        static_cast<T>(1 / ::sqrt((spread < 0 ? 0 : spread) + static_cast<double>(eps)));
    const T off = static_cast<T>(rest);
    line.write(y, [&](int k, int64_t at) {
      T value = multiply_add(x(k, at) - centre, scale, -off * scale);
      if (weight != nullptr) value *= weight[at];
      if (bias != nullptr) value += bias[at];
      return value;
    });
    if (!line.writes_result()) return;
    mean[line.index] = centre + off;
    rstd[line.index] = scale;
  }
};

// A row as the derivatives see it: xhat = (x - mean) rstd - shift, where shift is what the rounded
// mean lacks.
template <class T>
struct Row {
  T mean, rstd, shift;
  __device__ T normalised(T x) const { return (x - mean) * rstd - shift; }
};

// dx = rstd ((u - mean(u)) - xhat mean(u xhat)) with u = g weight; the shifts are left for the
// derivatives of weight and bias.
template <class T>
struct LayerNormBackward {
  T *dx, *shifts;
  const T *given, *from, *mean, *rstd, *weight;
  template <class Line>
  __device__ void operator()(const Line& line) const {
    const Numbers x(line, from), g(line, given);
    const auto n = static_cast<double>(line.n);
    Row<T> row{mean[line.index], rstd[line.index], T(0)};
    double off = 0;
    line.each([&](int k, int64_t at) {
      off += static_cast<double>(x(k, at)) - static_cast<double>(row.mean);
    });
    row.shift = static_cast<T>(line.sum(off) / n) * row.rstd;
    if (line.writes_result()) shifts[line.index] = row.shift;
    if (dx == nullptr) return;
    const auto u = [&](int k, int64_t at) {
      return weight == nullptr ? g(k, at) : g(k, at) * weight[at];
    };
    double sum = 0, product = 0;
    line.each([&](int k, int64_t at) {
      sum += static_cast<double>(u(k, at));
      product += static_cast<double>(u(k, at) * row.normalised(x(k, at)));
    });
    const T mean_u = static_cast<T>(line.sum(sum) / n);
    const T mean_product = static_cast<T>(line.sum(product) / n);
    line.write(dx, [&](int k, int64_t at) {
      return row.rstd * ((u(k, at) - mean_u) - row.normalised(x(k, at)) * mean_product);
    });
  }
};

// Sums of g xhat and of g over a part of the rows: a block for some columns, whose threads take
// every so many-th row.
template <class T>
struct PartOfSums {
  Rows rows;
  int64_t part;                     // rows
  double *weight_sums, *bias_sums;  // [parts, n]
  const T *g, *x, *mean, *rstd, *shifts;
};

template <class T>
__global__ void __launch_bounds__(ColumnTeam::block)
    sum_part(PartOfSums<T> of, int columns, int64_t blocks) {
  const ColumnTeam members{columns};
  const int64_t n = of.rows.n, index = blockIdx.x / blocks, begin = index * of.part;
  const int64_t end = begin + of.part < of.rows.outer ? begin + of.part : of.rows.outer;
  const int64_t column = blockIdx.x % blocks * columns + static_cast<int>(threadIdx.x) % columns;
  double of_weight = 0, of_bias = 0;
  if (column < n) {
#pragma unroll 4
    for (int64_t o = begin + members.rank(); o < end; o += members.size()) {
      const T gradient = of.g[o * n + column];
      const Row<T> row = {of.mean[o], of.rstd[o], of.shifts[o]};
      of_weight += static_cast<double>(gradient * row.normalised(of.x[o * n + column]));
      of_bias += static_cast<double>(gradient);
    }
  }
  of_weight = members.all(of_weight, Sum());
  of_bias = members.all(of_bias, Sum());
  if (members.rank() != 0 || column >= n) return;
  of.weight_sums[index * n + column] = of_weight;
  of.bias_sums[index * n + column] = of_bias;
}

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
  each_row(rows, LayerNorm<T>{y, mean, rstd, x, weight, bias, eps}, y, x);
}

template <class T>
void layer_norm_backward(Rows rows, T* dx, T* dweight, T* dbias, const T* g, const T* x,
                         const T* mean, const T* rstd, const T* weight) {
  if (rows.n == 0) return;
  constexpr int64_t least_part = 128, most_parts = 64;
  const bool sums = dweight != nullptr || dbias != nullptr;
  const int64_t part = std::max(least_part, (rows.outer + most_parts - 1) / most_parts);
  const int64_t parts = (rows.outer + part - 1) / part;
  const Scratch<T> shifts(rows.outer);
  const Scratch<double> weight_sums(sums ? parts * rows.n : 0);
  const Scratch<double> bias_sums(sums ? parts * rows.n : 0);
  each_row(rows, LayerNormBackward<T>{dx, shifts.data(), g, x, mean, rstd, weight}, dx, g, x);
  if (!sums) return;
  const int columns = columns_at_once(rows.n);
  const int64_t blocks = (rows.n + columns - 1) / columns;
  if (parts > 0) {
    launch(sum_part<T>, parts * blocks, ColumnTeam::block,
           PartOfSums<T>{rows, part, weight_sums.data(), bias_sums.data(), g, x, mean, rstd,
                         shifts.data()},
           columns, blocks);
  }
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

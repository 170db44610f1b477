// Layer normalisation: y = (x - mean) rstd weight + bias, and its derivatives. As on the CPU, the
// mean is held as a rounded centre plus a residual (ops/cpu/normalise.h).
#include "ops/cuda/device.h"
#include "ops/cuda/families.h"
#include "ops/cuda/slice.h"

namespace regrad::gpu {
namespace {

template <class T>
struct LayerNorm {
  T *y, *mean, *rstd;
  const T *x_data, *weight, *bias;
  T eps;
  template <class Slice>
  __device__ void operator()(const Slice& slice) const {
    const SliceValues x(slice, x_data);
    const auto n = static_cast<double>(slice.n);
    double sum = 0;
    slice.for_each([&](int k, int64_t offset) { sum += static_cast<double>(x(k, offset)); });
    const T centre = static_cast<T>(slice.sum(sum) / n);
    double residual_mean = 0, squares = 0;
    slice.for_each([&](int k, int64_t offset) {
      const double deviation = static_cast<double>(x(k, offset)) - static_cast<double>(centre);
      residual_mean += deviation;
      squares += deviation * deviation;
    });
    residual_mean = slice.sum(residual_mean) / n;
    const double spread = slice.sum(squares) / n - residual_mean * residual_mean;
    const T inverse_deviation =
        static_cast<T>(1 / ::sqrt((spread < 0 ? 0 : spread) + static_cast<double>(eps)));
    const T residual = static_cast<T>(residual_mean);
    slice.write(y, [&](int k, int64_t offset) {
      T value =
          multiply_add(x(k, offset) - centre, inverse_deviation, -residual * inverse_deviation);
      if (weight != nullptr) value *= weight[offset];
      if (bias != nullptr) value += bias[offset];
      return value;
    });
    if (!slice.is_leader()) return;
    mean[slice.index] = centre + residual;
    rstd[slice.index] = inverse_deviation;
  }
};

// The statistics of a row for the derivatives: xhat = (x - mean) rstd - shift, where the shift
// corrects for the rounding of the mean.
template <class T>
struct Row {
  T mean, rstd, shift;
  __device__ T normalised(T x) const { return (x - mean) * rstd - shift; }
};

// dx = rstd ((u - mean(u)) - xhat mean(u xhat)) with u = g weight. The shifts are stored for the
// derivatives of weight and bias.
template <class T>
struct LayerNormBackward {
  T *dx, *shifts;
  const T *g_data, *x_data, *mean, *rstd, *weight;
  template <class Slice>
  __device__ void operator()(const Slice& slice) const {
    const SliceValues x(slice, x_data), g(slice, g_data);
    const auto n = static_cast<double>(slice.n);
    Row<T> row{mean[slice.index], rstd[slice.index], T(0)};
    double deviations = 0;
    slice.for_each([&](int k, int64_t offset) {
      deviations += static_cast<double>(x(k, offset)) - static_cast<double>(row.mean);
    });
    row.shift = static_cast<T>(slice.sum(deviations) / n) * row.rstd;
    if (slice.is_leader()) shifts[slice.index] = row.shift;
    if (dx == nullptr) return;
    const auto u = [&](int k, int64_t offset) {
      return weight == nullptr ? g(k, offset) : g(k, offset) * weight[offset];
    };
    double sum = 0, product = 0;
    slice.for_each([&](int k, int64_t offset) {
      sum += static_cast<double>(u(k, offset));
      product += static_cast<double>(u(k, offset) * row.normalised(x(k, offset)));
    });
    const T mean_u = static_cast<T>(slice.sum(sum) / n);
    const T mean_product = static_cast<T>(slice.sum(product) / n);
    slice.write(dx, [&](int k, int64_t offset) {
      return row.rstd * ((u(k, offset) - mean_u) - row.normalised(x(k, offset)) * mean_product);
    });
  }
};

template <class T>
struct RmsNorm {
  T *y, *rstd;
  const T *x_data, *weight;
  T eps;
  template <class Slice>
  __device__ void operator()(const Slice& slice) const {
    const SliceValues x(slice, x_data);
    double squares = 0;
    slice.for_each([&](int k, int64_t offset) {
      squares += static_cast<double>(x(k, offset)) * static_cast<double>(x(k, offset));
    });
    const double mean = slice.sum(squares) / static_cast<double>(slice.n);
    const T scale = static_cast<T>(1 / ::sqrt(mean + static_cast<double>(eps)));
    if (slice.is_leader()) rstd[slice.index] = scale;
    slice.write(y, [&](int k, int64_t offset) {
      const T z = x(k, offset) * scale;
      return weight == nullptr ? z : z * weight[offset];
    });
  }
};

template <class T>
struct RmsNormBackward {
  T* dx;
  const T *g_data, *x_data, *rstd, *weight;
  template <class Slice>
  __device__ void operator()(const Slice& slice) const {
    const SliceValues x(slice, x_data), g(slice, g_data);
    const T scale = rstd[slice.index];
    const auto u = [&](int k, int64_t offset) {
      return weight == nullptr ? g(k, offset) : g(k, offset) * weight[offset];
    };
    double sum = 0;
    slice.for_each([&](int k, int64_t offset) {
      sum += static_cast<double>(u(k, offset) * (x(k, offset) * scale));
    });
    const T mean = static_cast<T>(slice.sum(sum) / static_cast<double>(slice.n));
    slice.write(dx, [&](int k, int64_t offset) {
      return scale * (u(k, offset) - x(k, offset) * scale * mean);
    });
  }
};

// Sums of g xhat and of g over a part of the rows. A block sums up to 32 columns; its threads
// divide the rows of the part among them, with a stride.
template <class T>
struct PartialSums {
  Rows rows;
  int64_t part_rows;                // rows
  double *weight_sums, *bias_sums;  // [parts, n]
  const T *g, *x, *mean, *rstd, *shifts;
};

template <class T>
__global__ void __launch_bounds__(ColumnTeam::block)
    partial_sums_kernel(PartialSums<T> p, int columns, int64_t blocks) {
  const ColumnTeam team{columns};
  const int64_t n = p.rows.n, part = blockIdx.x / blocks, begin = part * p.part_rows;
  const int64_t end = begin + p.part_rows < p.rows.outer ? begin + p.part_rows : p.rows.outer;
  const int64_t column = blockIdx.x % blocks * columns + static_cast<int>(threadIdx.x) % columns;
  double weight_sum = 0, bias_sum = 0;
  if (column < n) {
#pragma unroll 4
    for (int64_t o = begin + team.rank(); o < end; o += team.size()) {
      const T gradient = p.g[o * n + column];
      const Row<T> row = {p.mean[o], p.rstd[o], p.shifts[o]};
      weight_sum += static_cast<double>(gradient * row.normalised(p.x[o * n + column]));
      bias_sum += static_cast<double>(gradient);
    }
  }
  weight_sum = team.reduce(weight_sum, Sum());
  bias_sum = team.reduce(bias_sum, Sum());
  if (team.rank() != 0 || column >= n) return;
  p.weight_sums[part * n + column] = weight_sum;
  p.bias_sums[part * n + column] = bias_sum;
}

template <class T>
struct CombineSums {
  int64_t parts, n;
  T *dweight, *dbias;
  const double *weight_sums, *bias_sums;
  __device__ void operator()(int64_t column) const {
    double weight_sum = 0, bias_sum = 0;
    for (int64_t part = 0; part < parts; ++part) {
      weight_sum += weight_sums[part * n + column];
      bias_sum += bias_sums[part * n + column];
    }
    if (dweight != nullptr) dweight[column] = static_cast<T>(weight_sum);
    if (dbias != nullptr) dbias[column] = static_cast<T>(bias_sum);
  }
};

}  // namespace

template <class T>
void layer_norm(Rows rows, T* y, T* mean, T* rstd, const T* x, const T* weight, const T* bias,
                T eps) {
  if (rows.n == 0) return;
  for_each_row(rows, LayerNorm<T>{y, mean, rstd, x, weight, bias, eps}, y, x);
}

template <class T>
void layer_norm_backward(Rows rows, T* dx, T* dweight, T* dbias, const T* g, const T* x,
                         const T* mean, const T* rstd, const T* weight) {
  if (rows.n == 0) return;
  constexpr int64_t min_part_rows = 128, max_parts = 64;
  const bool has_sums = dweight != nullptr || dbias != nullptr;
  const int64_t part_rows = std::max(min_part_rows, (rows.outer + max_parts - 1) / max_parts);
  const int64_t parts = (rows.outer + part_rows - 1) / part_rows;
  const Scratch<T> shifts(rows.outer);
  const Scratch<double> weight_sums(has_sums ? parts * rows.n : 0);
  const Scratch<double> bias_sums(has_sums ? parts * rows.n : 0);
  for_each_row(rows, LayerNormBackward<T>{dx, shifts.data(), g, x, mean, rstd, weight}, dx, g, x);
  if (!has_sums) return;
  const int columns = columns_per_block(rows.n);
  const int64_t blocks = (rows.n + columns - 1) / columns;
  if (parts > 0) {
    launch(partial_sums_kernel<T>, parts * blocks, ColumnTeam::block,
           PartialSums<T>{rows, part_rows, weight_sums.data(), bias_sums.data(), g, x, mean, rstd,
                          shifts.data()},
           columns, blocks);
  }
  for_each(rows.n,
           CombineSums<T>{parts, rows.n, dweight, dbias, weight_sums.data(), bias_sums.data()});
}

template <class T>
void rms_norm(Rows rows, T* y, T* rstd, const T* x, const T* weight, T eps) {
  if (rows.n > 0) for_each_row(rows, RmsNorm<T>{y, rstd, x, weight, eps}, y, x);
}

template <class T>
void rms_norm_backward(Rows rows, T* dx, const T* g, const T* x, const T* rstd, const T* weight) {
  if (rows.n > 0) for_each_row(rows, RmsNormBackward<T>{dx, g, x, rstd, weight}, dx, g, x);
}

template <class T>
NormKernels<T> norm_kernels() {
  return {
      .layer_norm = layer_norm<T>,
      .layer_norm_backward = layer_norm_backward<T>,
      .rms_norm = rms_norm<T>,
      .rms_norm_backward = rms_norm_backward<T>,
  };
}

template NormKernels<float> norm_kernels();
template NormKernels<double> norm_kernels();

}  // namespace regrad::gpu

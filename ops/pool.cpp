// Pooling and upsampling. The maximum has a kernel, which also gives the place of each: its
// derivative puts g there. Means are convolutions with equal weights, or products with the matrix
// of the windows; upsampling selects rows and columns.
#include <algorithm>

#include "ops/conv.h"
#include "ops/dispatch.h"
#include "ops/ops.h"

namespace regrad {
namespace {

int64_t of(const Size2& both, int d) { return d == 0 ? both.rows : both.columns; }

// x [n, c, h, w] as its planes.
Pool pool_of(const char* op, const Tensor& x, Size2 kernel, const PoolOptions& o) {
  check(x.rank() == 4, "{}: takes [n, c, h, w] or [c, h, w], not {}", op, called(x));
  Pool p;
  p.planes = checked_mul(x.size(0), x.size(1));
  for (int d = 0; d < 2; ++d) {
    p.size[d] = x.size(d + 2), p.kernel[d] = of(kernel, d);
    p.stride[d] = of(o.stride, d) == 0 ? p.kernel[d] : of(o.stride, d);
    p.padding[d] = of(o.padding, d), p.dilation[d] = of(o.dilation, d);
    check(p.kernel[d] >= 1 && p.stride[d] >= 1 && p.dilation[d] >= 1,
          "{}: kernel, stride and dilation must be 1 or more, not {}, {} and {}", op, p.kernel[d],
          p.stride[d], p.dilation[d]);
    check(p.padding[d] >= 0 && p.padding[d] <= p.kernel[d] / 2,
          "{}: the padding must be from 0 to half of the kernel, not {} of {}", op, p.padding[d],
          p.kernel[d]);
    const int64_t reach = checked_add(checked_mul(p.dilation[d], p.kernel[d] - 1), 1);
    const int64_t padded = checked_add(p.size[d], 2 * p.padding[d]);
    check(reach <= padded && p.size[d] >= 1,
          "{}: a kernel of {} with dilation {} is larger than input {} with padding {}", op,
          p.kernel[d], p.dilation[d], x.shape(), p.padding[d]);
    p.out_size[d] = (padded - reach) / p.stride[d] + 1;
  }
  return p;
}

// g [planes, outputs] at its places in planes of `area` elements.
Tensor at_places(const Tensor& g, const Tensor& index, int64_t area) {
  const Tensor none = zeros({g.size(0), area}, {.dtype = g.dtype(), .device = g.device()});
  return scatter_add(none, 1, index, g);
}

// A matrix [to, from] whose row i has the mean of the elements that output i of to sees.
Tensor windows(int64_t to, int64_t from, const Tensor& like) {
  std::vector<double> values(static_cast<size_t>(to * from));
  for (int64_t i = 0; i < to; ++i) {
    const int64_t begin = i * from / to, end = ((i + 1) * from + to - 1) / to;
    for (int64_t j = begin; j < end; ++j)
      values[static_cast<size_t>(i * from + j)] = 1 / static_cast<double>(end - begin);
  }
  return tensor(values, {to, from}).to(like.dtype()).to(like.device());
}

// x interpolated along dimension d to `scale` times its size.
Tensor interpolate(const Tensor& x, int64_t d, int64_t scale) {
  if (scale == 1) return x;
  const int64_t size = x.size(d), count = checked_mul(size, scale);
  std::vector<int64_t> low, high;
  std::vector<double> weights;
  for (int64_t i = 0; i < count; ++i) {
    const double at = (static_cast<double>(i) + 0.5) / static_cast<double>(scale) - 0.5;
    const auto below = static_cast<int64_t>(std::max(at, 0.0));
    low.push_back(below);
    high.push_back(std::min(below + 1, size - 1));
    weights.push_back(std::max(at, 0.0) - static_cast<double>(below));
  }
  Shape shape{count};
  for (int64_t i = d + 1; i < x.rank(); ++i) shape.push_back(1);
  const Tensor weight = reshape(tensor(weights, {count}).to(x.dtype()).to(x.device()), shape);
  const auto rows = [&](const std::vector<int64_t>& index) {
    return index_select(x, d, tensor(index, {count}).to(x.device()));
  };
  return add(mul(rows(low), sub(1, weight)), mul(rows(high), weight));
}

}  // namespace

Tensor max_pool2d(const Tensor& x, Size2 kernel, const PoolOptions& options) {
  if (x.rank() == 3) return squeeze(max_pool2d(unsqueeze(x, 0), kernel, options), 0);
  const Pool p = pool_of("max_pool2d", x, kernel, options);
  const Tensor from = kernel_input(x);
  const Shape flat{p.planes, checked_mul(p.out_size[0], p.out_size[1])};
  Tensor y = empty({x.size(0), x.size(1), p.out_size[0], p.out_size[1]}, x.dtype(), x.device());
  const Tensor index = empty(flat, int64, x.device());
  for_floats("max_pool2d", x, [&]<class T>() {
    kernels<T>(x).conv.max_pool(p, raw<T>(y), raw<int64_t>(index), raw<T>(from));
  });
  return record(
      "max_pool2d", std::move(y),
      {{x, [index, flat, shape = x.shape(), area = p.size[0] * p.size[1]](const Tensor& g) {
          return reshape(at_places(reshape(g, flat), index, area), shape);
        }}});
}

Tensor max_pool1d(const Tensor& x, int64_t kernel, const PoolOptions& options) {
  check(x.rank() == 2 || x.rank() == 3, "max_pool1d: takes [n, c, t] or [c, t], not {}", called(x));
  const PoolOptions rows{.stride = {1, options.stride.columns},
                         .padding = {0, options.padding.columns},
                         .dilation = {1, options.dilation.columns}};
  return squeeze(max_pool2d(unsqueeze(x, -2), {1, kernel}, rows), -2);
}

Tensor avg_pool2d(const Tensor& x, Size2 kernel, const PoolOptions& options) {
  if (x.rank() == 3) return squeeze(avg_pool2d(unsqueeze(x, 0), kernel, options), 0);
  const Pool p = pool_of("avg_pool2d", x, kernel, options);
  check(options.dilation == Size2(1), "avg_pool2d: takes no dilation");
  const double share = 1 / static_cast<double>(checked_mul(p.kernel[0], p.kernel[1]));
  const Tensor weight =
      full({1, 1, p.kernel[0], p.kernel[1]}, share, {.dtype = x.dtype(), .device = x.device()});
  const Tensor planes = reshape(x, {p.planes, 1, p.size[0], p.size[1]});
  const Tensor y = conv2d(planes, weight, {},
                          {.stride = {p.stride[0], p.stride[1]}, .padding = options.padding});
  return reshape(y, {x.size(0), x.size(1), p.out_size[0], p.out_size[1]});
}

Tensor adaptive_avg_pool2d(const Tensor& x, Size2 size) {
  check(x.rank() == 3 || x.rank() == 4, "adaptive_avg_pool2d: takes [n, c, h, w], not {}",
        called(x));
  const int64_t h = x.size(-2), w = x.size(-1);
  check(size.rows >= 1 && size.columns >= 1 && h >= 1 && w >= 1,
        "adaptive_avg_pool2d: {} cannot be divided into {} x {} windows", called(x), size.rows,
        size.columns);
  if (size == Size2(1)) return mean(x, {-2, -1}, true);
  if (h % size.rows == 0 && w % size.columns == 0)
    return avg_pool2d(x, {h / size.rows, w / size.columns});
  return matmul(matmul(windows(size.rows, h, x), x), transpose(windows(size.columns, w, x)));
}

Tensor upsample(const Tensor& x, const UpsampleOptions& options) {
  const auto [rows, columns] = options.scale;
  check(x.rank() == 3 || x.rank() == 4, "upsample: takes [n, c, h, w], not {}", called(x));
  check(rows >= 1 && columns >= 1, "upsample: the scale must be 1 or more, not {} and {}", rows,
        columns);
  if (options.mode == "bilinear")
    return interpolate(interpolate(x, x.rank() - 2, rows), x.rank() - 1, columns);
  check(options.mode == "nearest", "upsample: the mode is nearest or bilinear, not {}",
        options.mode);
  Shape copies = x.shape(), shape = x.shape();
  const int64_t h = x.size(-2), w = x.size(-1);
  copies[x.rank() - 1] = rows, copies.push_back(w), copies.push_back(columns);
  shape[x.rank() - 2] = checked_mul(h, rows), shape[x.rank() - 1] = checked_mul(w, columns);
  return reshape(expand(unsqueeze(unsqueeze(x, -1), -3), copies), shape);
}

}  // namespace regrad

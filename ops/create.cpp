// Tensors from numbers, and numbers from tensors.
#include <cmath>
#include <ostream>

#include "ops/dispatch.h"
#include "ops/ops.h"

namespace regrad {
namespace {

Tensor finish(Tensor x, const TensorOptions& options) {
  if (options.requires_grad) x.set_requires_grad(true);
  return x;
}

template <class T>
Tensor from_values(const std::vector<T>& values, const Shape& shape, const TensorOptions& options) {
  check(shape.numel() == static_cast<int64_t>(values.size()),
        "tensor: {} values do not fill shape {}, which has {} elements", values.size(), shape,
        shape.numel());
  Tensor x = empty(shape, dtype_of<T>, cpu);
  T* out = raw<T>(x);
  for (size_t i = 0; i < values.size(); ++i) out[i] = values[i];
  return finish(x.to(options.dtype.value_or(dtype_of<T>)).to(options.device), options);
}

template <class Value>
Tensor filled_by(int64_t count, DType dtype, const TensorOptions& options, const Value& value) {
  Tensor x = empty({count}, float64, cpu);
  double* out = raw<double>(x);
  for (int64_t i = 0; i < count; ++i) out[i] = value(i);
  return finish(x.to(options.dtype.value_or(dtype)).to(options.device), options);
}

}  // namespace

Tensor full(const Shape& shape, double value, TensorOptions options) {
  Tensor x = empty(shape, options.dtype.value_or(float32), options.device);
  for_all(x, [&]<class T>() {
    kernels<T>(x).fill(x.numel(), raw<T>(x), static_cast<T>(value));
  });
  return finish(std::move(x), options);
}

Tensor zeros(const Shape& shape, TensorOptions options) { return full(shape, 0, options); }
Tensor ones(const Shape& shape, TensorOptions options) { return full(shape, 1, options); }
Tensor full_like(const Tensor& x, double value) {
  return full(x.shape(), value, {.dtype = x.dtype(), .device = x.device()});
}
Tensor zeros_like(const Tensor& x) { return full_like(x, 0); }
Tensor ones_like(const Tensor& x) { return full_like(x, 1); }

Tensor scalar(double value, DType dtype, Device device) {
  if (device != cpu) return full({}, value, {.dtype = dtype, .device = device});
  Tensor x = empty({}, dtype, cpu);
  for_all(x, [&]<class T>() { *raw<T>(x) = static_cast<T>(value); });
  return x;
}

Tensor arange(int64_t end, TensorOptions options) {
  check(end >= 0, "arange: the end must be 0 or more, not {}", end);
  return filled_by(end, int64, options, [](int64_t i) { return static_cast<double>(i); });
}

Tensor arange(double start, double end, double step, TensorOptions options) {
  check(step != 0 && (end - start) / step >= 0, "arange: a step of {} does not lead from {} to {}",
        step, start, end);
  const auto count = static_cast<int64_t>(std::ceil((end - start) / step));
  return filled_by(count, float32, options,
                   [=](int64_t i) { return start + static_cast<double>(i) * step; });
}

Tensor linspace(double start, double end, int64_t count, TensorOptions options) {
  check(count >= 0, "linspace: the count must be 0 or more, not {}", count);
  const double step = count > 1 ? (end - start) / static_cast<double>(count - 1) : 0;
  return filled_by(count, float32, options,
                   [=](int64_t i) { return start + static_cast<double>(i) * step; });
}

Tensor eye(int64_t n, TensorOptions options) {
  Tensor x = zeros({n, n}, {.dtype = options.dtype, .device = options.device});
  view_of(x, {n}, {n + 1}, 0).fill_(1);
  return finish(std::move(x), options);
}

Tensor tensor(const std::vector<float>& values, const Shape& shape, TensorOptions options) {
  return from_values(values, shape, options);
}
Tensor tensor(const std::vector<double>& values, const Shape& shape, TensorOptions options) {
  return from_values(values, shape, options);
}
Tensor tensor(const std::vector<int64_t>& values, const Shape& shape, TensorOptions options) {
  return from_values(values, shape, options);
}
Tensor tensor(const std::vector<bool>& values, const Shape& shape, TensorOptions options) {
  return from_values(values, shape, options);
}

template <class T>
std::vector<T> Tensor::to_vector() const {
  const NoGrad guard;
  const Tensor x = to(cpu).to(dtype_of<T>).contiguous();
  const T* from = x.data<T>();
  return std::vector<T>(from, from + x.numel());
}

template <class T>
T Tensor::item() const {
  check(numel() == 1, "item: a tensor of shape {} is not one number", shape());
  return to_vector<T>()[0];
}

template std::vector<float> Tensor::to_vector() const;
template std::vector<double> Tensor::to_vector() const;
template std::vector<int64_t> Tensor::to_vector() const;
template std::vector<bool> Tensor::to_vector() const;
template float Tensor::item() const;
template double Tensor::item() const;
template int64_t Tensor::item() const;
template bool Tensor::item() const;

namespace {

std::string number_text(const Tensor& x, double value) {
  if (x.dtype() == bool_) return value != 0 ? "true" : "false";
  return fmt::format("{:.4g}", value);
}

void print(const Tensor& x, int64_t depth, std::string& text) {
  constexpr int64_t edge = 3;  // of a long dimension, this many at each end are shown
  if (x.rank() == 0) {
    text += number_text(x, x.item<double>());
    return;
  }
  const int64_t size = x.shape()[0];
  text += "[";
  for (int64_t i = 0; i < size; ++i) {
    if (i > 0) text += x.rank() == 1 ? ", " : ",\n" + std::string(static_cast<size_t>(depth), ' ');
    if (size > 3 * edge && i == edge) {
      text += "...";
      i = size - edge - 1;
      continue;
    }
    print(select(x, 0, i), depth + 1, text);
  }
  text += "]";
}

}  // namespace

std::string Tensor::str() const {
  if (!defined()) return "undefined";
  const NoGrad guard;
  std::string text;
  print(to(cpu), 1, text);
  const std::string where = device() == cpu ? "" : fmt::format(" {}", regrad::name(device()));
  return text + fmt::format("  {} {}{}", shape().str(), regrad::name(dtype()), where);
}

std::ostream& operator<<(std::ostream& out, const Tensor& x) { return out << x.str(); }
std::ostream& operator<<(std::ostream& out, const Shape& shape) { return out << shape.str(); }

}  // namespace regrad

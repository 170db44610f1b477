// Tensors from numbers, and numbers from tensors.
#include <algorithm>
#include <cmath>
#include <ostream>

#include "autograd/text.h"
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

template <class T, class Value>
Tensor filled_by(int64_t count, DType dtype, const TensorOptions& options, const Value& value) {
  Tensor x = empty({count}, dtype_of<T>, cpu);
  T* out = raw<T>(x);
  for (int64_t i = 0; i < count; ++i) out[i] = value(i);
  return finish(x.to(options.dtype.value_or(dtype)).to(options.device), options);
}

// arange of int64, exactly: a uint64 holds the difference of any two int64.
Tensor integer_arange(int64_t start, int64_t end, int64_t step, const TensorOptions& options) {
  check(step != 0 && (end == start || (end > start) == (step > 0)),
        "arange: a step of {} does not lead from {} to {}", step, start, end);
  const auto first = static_cast<uint64_t>(start), stride = static_cast<uint64_t>(step);
  const uint64_t range =
      step > 0 ? static_cast<uint64_t>(end) - first : first - static_cast<uint64_t>(end);
  const uint64_t length = step > 0 ? stride : 0 - stride;
  const uint64_t count = range / length + (range % length != 0 ? 1 : 0);
  check(count <= uint64_t{INT64_MAX}, "arange: {} to {} are too many numbers", start, end);
  return filled_by<int64_t>(static_cast<int64_t>(count), int64, options, [=](int64_t i) {
    return static_cast<int64_t>(first + static_cast<uint64_t>(i) * stride);
  });
}

}  // namespace

Tensor filled(const char* op, const Shape& shape, Number value, DType dtype, Device device) {
  Tensor x = empty(shape, dtype, device);
  for_all(x, [&]<class T>() {
    const T element = value.as<T>(op);
    if (device == cpu && shape.empty()) {
      *raw<T>(x) = element;
    } else {
      kernels<T>(x).move.fill(x.numel(), raw<T>(x), element);
    }
  });
  return x;
}

Tensor full(const Shape& shape, Number value, TensorOptions options) {
  return finish(filled("full", shape, value, options.dtype.value_or(float32), options.device),
                options);
}

Tensor zeros(const Shape& shape, TensorOptions options) { return full(shape, 0, options); }
Tensor ones(const Shape& shape, TensorOptions options) { return full(shape, 1, options); }
Tensor full_like(const Tensor& x, Number value) {
  return filled("full_like", x.shape(), value, x.dtype(), x.device());
}
Tensor zeros_like(const Tensor& x) { return full_like(x, 0); }
Tensor ones_like(const Tensor& x) { return full_like(x, 1); }

Tensor scalar(Number value, DType dtype, Device device) {
  return filled("scalar", {}, value, dtype, device);
}

Tensor arange(Number end, TensorOptions options) {
  check(end.real() >= 0, "arange: the end must be 0 or more, not {}", end.str());
  return arange(0, end, 1, options);
}

Tensor arange(Number start, Number end, Number step, TensorOptions options) {
  if (!is_float(start.dtype()) && !is_float(end.dtype()) && !is_float(step.dtype())) {
    return integer_arange(*start.integer(), *end.integer(), *step.integer(), options);
  }
  const double first = start.real(), last = end.real(), stride = step.real();
  const double steps = (last - first) / stride;
  check(stride != 0 && steps >= 0 && steps < 0x1p62,
        "arange: a step of {} does not lead from {} to {}", step.str(), start.str(), end.str());
  if (options.dtype == int64) {
    const Number bound = stride > 0 ? std::ceil(last) : std::floor(last);
    return integer_arange(start.as<int64_t>("arange"), bound.as<int64_t>("arange"),
                          step.as<int64_t>("arange"), options);
  }
  return filled_by<double>(static_cast<int64_t>(std::ceil(steps)), float32, options,
                           [=](int64_t i) { return first + static_cast<double>(i) * stride; });
}

// Counted from both ends, so that both are exact and the numbers symmetric.
Tensor linspace(double start, double end, int64_t count, TensorOptions options) {
  check(count >= 0, "linspace: the count must be 0 or more, not {}", count);
  const auto steps = static_cast<double>(std::max<int64_t>(count - 1, 1));
  const double exact = (end - start) / steps;
  const double step = std::isfinite(exact) ? exact : end / steps - start / steps;
  return filled_by<double>(count, float32, options, [=](int64_t i) {
    return i < count / 2 || count == 1 ? start + static_cast<double>(i) * step
                                       : end - static_cast<double>(count - 1 - i) * step;
  });
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
  const InsideOp guard;
  const Tensor x = to(cpu).to(dtype_of<T>).contiguous();
  const T* from = x.data<T>();
  return std::vector<T>(from, from + x.numel());
}

template <class T>
T Tensor::item() const {
  check(numel() == 1, "item: a tensor of shape {} is not one number", called(*this));
  return to_vector<T>()[0];
}

template std::vector<float> Tensor::to_vector() const;
template std::vector<double> Tensor::to_vector() const;
template std::vector<int64_t> Tensor::to_vector() const;
template std::vector<bool> Tensor::to_vector() const;
template float Tensor::item<float>() const;
template double Tensor::item<double>() const;
template int64_t Tensor::item<int64_t>() const;
template bool Tensor::item<bool>() const;

namespace {

std::string number_text(const Tensor& x) {
  if (x.dtype() == bool_) return x.item<bool>() ? "true" : "false";
  if (x.dtype() == int64) return std::to_string(x.item<int64_t>());
  return short_number(x.item<double>());
}

void print(const Tensor& x, int64_t depth, std::string& text) {
  constexpr int64_t edge = 3;  // of a long dimension, this many at each end are shown
  if (x.rank() == 0) {
    text += number_text(x);
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
  const InsideOp guard;
  std::string text;
  print(to(cpu), 1, text);
  const std::string where = device() == cpu ? "" : fmt::format(" {}", regrad::name(device()));
  return text + fmt::format("  {} {}{}", shape().str(), regrad::name(dtype()), where);
}

std::ostream& operator<<(std::ostream& out, const Tensor& x) { return out << x.str(); }
std::ostream& operator<<(std::ostream& out, const Shape& shape) { return out << shape.str(); }

}  // namespace regrad

#include "autograd/shape.h"

#include <algorithm>

#include "autograd/check.h"

namespace regrad {

Shape::Shape(const int64_t* sizes, size_t rank) {
  check(rank <= static_cast<size_t>(max_rank), "a shape has at most {} dimensions, {} were given",
        max_rank, rank);
  rank_ = static_cast<int32_t>(rank);
  for (size_t i = 0; i < rank; ++i) {
    sizes_[i] = sizes[i];
  }
}

void Shape::push_back(int64_t size) {
  check(rank_ < max_rank, "a shape has at most {} dimensions", max_rank);
  sizes_[rank_++] = size;
}

int64_t Shape::numel() const {
  int64_t product = 1;
  bool none = false;
  for (int64_t size : *this) {
    check(size >= 0, "a tensor cannot have the shape {}: sizes are 0 or more", *this);
    none = none || size == 0;
  }
  if (none) return 0;
  for (int64_t size : *this) product = checked_mul(product, size);
  return product;
}

Shape Shape::contiguous_strides() const {
  Shape strides = *this;
  int64_t stride = 1;
  for (int64_t i = rank_ - 1; i >= 0; --i) {
    strides[i] = stride;
    stride = checked_mul(stride, std::max<int64_t>(sizes_[i], 1));
  }
  static_cast<void>(checked_mul(stride, 64));  // bytes, and what kernels count work with
  return strides;
}

std::string Shape::str() const {
  std::string text = "[";
  for (int64_t i = 0; i < rank_; ++i) {
    text += (i > 0 ? ", " : "") + std::to_string(sizes_[i]);
  }
  return text + "]";
}

int64_t Shape::at(int64_t d, const char* op) const {
  check(rank_ > 0, "{}: a single element has no dimension {}", op, d);
  return sizes_[dim(d, op)];
}

int64_t Shape::dim(int64_t d, const char* op) const {
  const int64_t rank = std::max<int64_t>(rank_, 1);  // a single element may be asked for dim 0
  check(d >= -rank && d < rank,
        "{}: dimension {} does not exist in shape {}; it must be in [{}, {}]", op, d, *this, -rank,
        rank - 1);
  return d < 0 ? d + rank : d;
}

int64_t checked_mul(int64_t a, int64_t b) {
  int64_t product = 0;
  check(!__builtin_mul_overflow(a, b, &product), "a size of {} times {} elements is too large", a,
        b);
  return product;
}

int64_t checked_add(int64_t a, int64_t b) {
  int64_t sum = 0;
  check(!__builtin_add_overflow(a, b, &sum), "a size of {} plus {} is too large", a, b);
  return sum;
}

Shape unravel_index(int64_t flat, const Shape& shape) {
  Shape index = shape;
  for (int64_t d = shape.rank() - 1; d >= 0; --d) {
    index[d] = flat % shape[d];
    flat /= shape[d];
  }
  return index;
}

std::string broadcast_mismatch(const Shape& a, const Shape& b) {
  for (int64_t i = 1; i <= std::min(a.rank(), b.rank()); ++i) {
    const int64_t left = a[a.rank() - i], right = b[b.rank() - i];
    if (left == right || left == 1 || right == 1) continue;
    return fmt::format(
        "do not broadcast: dimension {} from the right is {} and {}; sizes must be equal or 1", i,
        left, right);
  }
  return "";
}

Shape broadcast_shapes(const char* op, const Shape& a, const Shape& b) {
  if (a == b) return a;
  const bool a_longer = a.rank() >= b.rank();
  Shape result = a_longer ? a : b;
  const Shape& shorter = a_longer ? b : a;
  const int64_t lead = result.rank() - shorter.rank();
  for (int64_t i = 0; i < shorter.rank(); ++i) {
    int64_t& size = result[lead + i];
    if (size == 1) size = shorter[i];
    if (size == shorter[i] || shorter[i] == 1) continue;
    fail("{}: shapes {} and {} {}", op, a, b, broadcast_mismatch(a, b));
  }
  return result;
}

}  // namespace regrad

fmt::format_context::iterator fmt::formatter<regrad::Shape>::format(
    const regrad::Shape& shape, fmt::format_context& context) const {
  return fmt::formatter<std::string_view>::format(shape.str(), context);
}

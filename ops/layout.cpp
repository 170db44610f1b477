// The same numbers in another shape or order: a view wherever possible, with other strides over the
// same storage. The derivative of a view is the inverse view of the gradient.
#include <algorithm>
#include <utility>

#include "autograd/names.h"
#include "autograd/notes.h"
#include "ops/dispatch.h"
#include "ops/ops.h"

namespace regrad {
namespace {

void copy_into(const Tensor& out, const Tensor& x) {  // equal shapes and dtypes
  const Loop loop = make_loop({&out, &x});
  for_all(x, [&]<class T>() { kernels<T>(x).move.copy(loop, raw<T>(out), raw<T>(x)); });
}

Tensor fresh_copy(const Tensor& x) {
  Tensor out = empty(x.shape(), x.dtype(), x.device());
  copy_into(out, x);
  return out;
}

int64_t end_of(int64_t start, int64_t length, int64_t step) {
  return length == 0 ? start : start + (length - 1) * step + 1;
}

// Zeros of `shape`, with g in the elements that slice(dim, start, .., step) selects.
Tensor slice_backward(const Tensor& g, const Shape& shape, int64_t dim, int64_t start,
                      int64_t step) {
  const int64_t end = end_of(start, g.shape()[dim], step);
  Tensor out = zeros(shape, {.dtype = g.dtype(), .device = g.device()});
  {
    const InsideOp guard;
    copy_into(slice(out, dim, start, end, step), g);
  }
  return record(
      "embed", std::move(out),
      {{g, [dim, start, end, step](const Tensor& h) { return slice(h, dim, start, end, step); }}});
}

// The derivative of slice: the other elements get 0.
struct SliceBackward {
  Shape before;
  int64_t dim, start, step;
  Tensor operator()(const Tensor& g) const { return slice_backward(g, before, dim, start, step); }
  void add_into(Tensor& sum, const Tensor& g) const {
    add_to_view(slice(sum, dim, start, end_of(start, g.shape()[dim], step), step), g);
  }
};

// g, summed over the dimensions that expand() repeated, back in the shape `before`.
Tensor sum_to(const Tensor& g, const Shape& before) {
  if (g.shape() == before) return g;
  const int64_t lead = g.rank() - before.rank();
  Dims repeated;
  for (int64_t i = 0; i < g.rank(); ++i) {
    if (i < lead || g.shape()[i] != before[i - lead]) repeated.push_back(i);
  }
  return reshape(sum(g, repeated), before);
}

Shape erase_dim(const Shape& shape, int64_t dim) {
  Shape result;
  for (int64_t i = 0; i < shape.rank(); ++i) {
    if (i != dim) result.push_back(shape[i]);
  }
  return result;
}

Shape insert_dim(const Shape& shape, int64_t dim, int64_t size) {
  Shape result;
  for (int64_t i = 0; i <= shape.rank(); ++i) {
    if (i == dim) result.push_back(size);
    if (i < shape.rank()) result.push_back(shape[i]);
  }
  return result;
}

}  // namespace

Tensor Tensor::clone() const {
  return record("clone", fresh_copy(*this), {{*this, [](const Tensor& g) { return g; }}});
}

Tensor Tensor::contiguous() const { return is_contiguous() ? *this : clone(); }

Tensor Tensor::to(DType wanted) const {
  if (wanted == dtype()) return *this;
  const Tensor from = is_contiguous() ? detached(*this) : fresh_copy(*this);
  Tensor out = empty(shape(), wanted, device());
  for_all(from, [&]<class From>() {
    for_all(out, [&]<class To>() {
      backend(device()).convert[static_cast<size_t>(dtype())][static_cast<size_t>(wanted)](
          numel(), raw<To>(out), raw<From>(from));
    });
  });
  if (!is_float(wanted) || !is_float(dtype())) return out;
  return record("to", std::move(out),
                {{*this, [back = dtype()](const Tensor& g) { return g.to(back); }}});
}

Tensor Tensor::to(Device wanted) const {
  if (wanted == device()) return *this;
  const Tensor from = is_contiguous() ? detached(*this) : fresh_copy(*this);
  Tensor out = empty(shape(), dtype(), wanted);
  const int64_t bytes = numel() * static_cast<int64_t>(item_size(dtype()));
  const DeviceMemory& memory = backend(wanted == cpu ? device() : wanted).memory;
  (wanted == cpu ? memory.download : memory.upload)(const_cast<void*>(out.address(dtype())),
                                                    from.address(dtype()), bytes);
  return record("to", std::move(out),
                {{*this, [back = device()](const Tensor& g) { return g.to(back); }}});
}

Tensor Tensor::reshape(const Shape& shape) const { return regrad::reshape(*this, shape); }
Tensor Tensor::operator[](int64_t i) const { return select(*this, 0, i); }
Tensor Tensor::transpose(int64_t d0, int64_t d1) const { return regrad::transpose(*this, d0, d1); }

Tensor& Tensor::copy_(const Tensor& source) {
  check(broadcast_shapes("copy_", shape(), source.shape()) == shape(),
        "copy_: {} does not broadcast to {}", called(source), called(*this));
  // Without an allocation where possible: a model being loaded must not stop half-way.
  const bool alike =
      source.shape() == shape() && source.dtype() == dtype() && source.device() == device();
  const Tensor from =
      without_overlap(alike ? source : detached(source).to(dtype()).to(device()), *this);
  mark_written("copy_");
  copy_into(*this, from.shape() == shape() ? from : expand(from, shape()));
  return *this;
}

Tensor& Tensor::fill_(Number value) {
  const Tensor from = filled("fill_", {}, value, dtype(), device());
  mark_written("fill_");
  copy_into(*this, expand(from, shape()));
  return *this;
}

Tensor reshape(const Tensor& x, const Shape& wanted) {
  Shape shape = wanted;
  const auto inferred = std::find(wanted.begin(), wanted.end(), -1);
  if (inferred != wanted.end()) {
    int64_t known = 1;
    for (const int64_t* size = wanted.begin(); size != wanted.end(); ++size) {
      if (size != inferred) known = checked_mul(known, *size);
    }
    check(known > 0 && x.numel() % known == 0, "reshape: {} has {} elements, which {} cannot hold",
          called(x), x.numel(), wanted);
    shape[inferred - wanted.begin()] = x.numel() / known;
  }
  check(shape.numel() == x.numel(), "reshape: {} has {} elements, {} has {}", called(x), x.numel(),
        shape, shape.numel());
  const Tensor flat = x.contiguous();
  return record("reshape", view_of(flat, shape, shape.contiguous_strides(), flat.body().offset),
                {{flat, [before = x.shape()](const Tensor& g) { return reshape(g, before); }}});
}

Tensor permute(const Tensor& x, const Dims& order) {
  const int64_t rank = x.rank();
  check(static_cast<int64_t>(order.size()) == rank, "permute: {} dimensions named for shape {}",
        order.size(), called(x));
  Shape shape = x.shape(), strides = x.strides();
  Dims back(std::vector<int64_t>(order.size(), -1)), forth;
  for (int64_t i = 0; i < rank; ++i) {
    const int64_t from = dim_of(x, order[static_cast<size_t>(i)], "permute");
    int64_t& to = back[static_cast<size_t>(from)];
    check(to < 0, "permute: dimension {} is named twice", from);
    to = i;
    forth.push_back(from);
    shape[i] = x.shape()[from];
    strides[i] = x.strides()[from];
  }
  Tensor y = record("permute", view_of(x, shape, strides, x.body().offset),
                    {{x, [back](const Tensor& g) { return permute(g, back); }}});
  if (x.body().names != 0) permute_names(x, forth, y);
  return y;
}

Tensor transpose(const Tensor& x, int64_t d0, int64_t d1) {
  const int64_t a = dim_of(x, d0, "transpose"), b = dim_of(x, d1, "transpose");
  Shape shape = x.shape(), strides = x.strides();
  if (shape.rank() > 0) {
    std::swap(shape[a], shape[b]);
    std::swap(strides[a], strides[b]);
  }
  Tensor y = record("transpose", view_of(x, shape, strides, x.body().offset),
                    {{x, [a, b](const Tensor& g) { return transpose(g, a, b); }}});
  if (x.body().names != 0) {
    Dims order;
    for (int64_t d = 0; d < x.rank(); ++d) order.push_back(d == a ? b : d == b ? a : d);
    permute_names(x, order, y);
  }
  return y;
}

Tensor transpose(const Tensor& x) {
  check(x.rank() >= 2, "transpose: needs at least 2 dimensions, {} has {}", called(x), x.rank());
  return transpose(x, -2, -1);
}

Tensor squeeze(const Tensor& x, int64_t dim) {
  const int64_t d = dim_of(x, dim, "squeeze");
  if (x.rank() == 0 || x.shape()[d] != 1) return x;
  return record("squeeze",
                view_of(x, erase_dim(x.shape(), d), erase_dim(x.strides(), d), x.body().offset),
                {{x, [d](const Tensor& g) { return unsqueeze(g, d); }}});
}

Tensor squeeze(const Tensor& x) {
  Tensor y = x;
  for (int64_t d = x.rank() - 1; d >= 0; --d) y = squeeze(y, d);
  return y;
}

Tensor unsqueeze(const Tensor& x, int64_t dim) {
  check(dim >= -x.rank() - 1 && dim <= x.rank(),
        "unsqueeze: dimension {} cannot be inserted into shape {}", dim, called(x));
  const int64_t d = dim < 0 ? dim + x.rank() + 1 : dim;
  const int64_t stride = d < x.rank() && x.numel() > 0 ? x.shape()[d] * x.strides()[d] : 1;
  return record(
      "unsqueeze",
      view_of(x, insert_dim(x.shape(), d, 1), insert_dim(x.strides(), d, stride), x.body().offset),
      {{x, [d](const Tensor& g) { return squeeze(g, d); }}});
}

// Repeats elements with strides of 0. Its derivative is the sum over the repetitions.
Tensor expand(const Tensor& x, const Shape& wanted) {
  const int64_t lead = wanted.rank() - x.rank();
  check(lead >= 0, "expand: {} has more dimensions than {}", called(x), wanted);
  Shape shape = wanted, strides = wanted;
  for (int64_t i = 0; i < shape.rank(); ++i) {
    const bool inside = i >= lead;
    const int64_t size = inside ? x.shape()[i - lead] : 1;
    if (shape[i] == -1 && inside) shape[i] = size;
    check(shape[i] >= 0, "expand: {} to {}: size {} of a new dimension must be 0 or more",
          called(x), wanted, shape[i]);
    check(shape[i] == size || size == 1,
          "expand: {} does not expand to {}: dimension {} is {}, not 1", called(x), wanted, i,
          size);
    strides[i] = inside && shape[i] == size ? x.strides()[i - lead] : 0;
  }
  static_cast<void>(shape.contiguous_strides());  // an Error on overflow, also where numel is 0
  return record("expand", view_of(x, shape, strides, x.body().offset),
                {{x, [before = x.shape()](const Tensor& g) { return sum_to(g, before); }}});
}

Tensor flatten(const Tensor& x, int64_t start, int64_t end) {
  const int64_t first = dim_of(x, start, "flatten"), last = dim_of(x, end, "flatten");
  check(first <= last, "flatten: start {} comes after end {}", start, end);
  Shape shape;
  for (int64_t i = 0; i < x.rank(); ++i) {
    if (i > first && i <= last)
      shape[first] = checked_mul(shape[first], x.shape()[i]);
    else
      shape.push_back(x.shape()[i]);
  }
  if (x.rank() == 0) shape = {1};
  return reshape(x, shape);
}

Tensor slice(const Tensor& x, int64_t dim, int64_t start, int64_t end, int64_t step) {
  const int64_t d = dim_of(x, dim, "slice");
  check(x.rank() > 0 && step > 0, "slice: needs a dimension and a step above 0");
  const int64_t size = x.shape()[d];
  const int64_t from = std::clamp<int64_t>(start < 0 ? start + size : start, 0, size);
  const int64_t to = std::clamp<int64_t>(end < 0 ? end + size : end, from, size);
  Shape shape = x.shape(), strides = x.strides();
  shape[d] = to == from ? 0 : (to - from - 1) / step + 1;
  if (shape[d] > 1) strides[d] *= step;  // else the stride is unused, and could overflow
  note_rows(x);
  return record("slice", view_of(x, shape, strides, x.body().offset + from * x.strides()[d]),
                {{x, SliceBackward{x.shape(), d, from, step}}});
}

Tensor narrow(const Tensor& x, int64_t dim, int64_t start, int64_t length) {
  const int64_t d = dim_of(x, dim, "narrow");
  check(x.rank() > 0 && start >= 0 && length >= 0 && start <= x.shape()[d] - length,
        "narrow: {} elements from {} do not fit into dimension {} of shape {}", length, start, dim,
        called(x));
  return slice(x, d, start, start + length);
}

Tensor select(const Tensor& x, int64_t dim, int64_t index) {
  const int64_t d = dim_of(x, dim, "select");
  const int64_t size = x.rank() == 0 ? 0 : x.shape()[d];
  check(index >= -size && index < size, "select: index {} is out of range for dimension {} of {}",
        index, dim, called(x));
  return squeeze(narrow(x, d, index < 0 ? index + size : index, 1), d);
}

Tensor concat(const std::vector<Tensor>& parts, int64_t dim) {
  check(!parts.empty(), "concat: needs at least one tensor");
  Shape shape = parts[0].shape();
  const int64_t d = shape.dim(dim, "concat");
  check(shape.rank() > 0, "concat: cannot join tensors of rank 0; use stack");
  shape[d] = 0;
  for (const Tensor& part : parts) {
    check_same_dtype("concat", parts[0], part);
    Shape joined = part.shape();
    const bool fits = joined.rank() == shape.rank();
    if (fits) joined[d] = shape[d];
    check(fits && joined == shape, "concat: {} and {} differ outside dimension {}",
          called(parts[0]), called(part), dim);
    shape[d] = checked_add(shape[d], part.shape()[d]);
  }
  Tensor out = empty(shape, parts[0].dtype(), parts[0].device());
  std::vector<Input> inputs;
  int64_t start = 0;
  for (const Tensor& part : parts) {
    const int64_t length = part.shape()[d];
    {
      const InsideOp guard;
      copy_into(narrow(out, d, start, length), part);
    }
    inputs.push_back(
        {part, [d, start, length](const Tensor& g) { return narrow(g, d, start, length); }});
    start += length;
  }
  return record("concat", std::move(out), inputs);
}

Tensor stack(const std::vector<Tensor>& parts, int64_t dim) {
  check(!parts.empty(), "stack: needs at least one tensor");
  std::vector<Tensor> rows;
  for (const Tensor& part : parts) {
    check(part.shape() == parts[0].shape(), "stack: shapes {} and {} differ", called(parts[0]),
          called(part));
    rows.push_back(unsqueeze(part, dim));
  }
  return concat(rows, dim < 0 ? dim + parts[0].rank() + 1 : dim);
}

std::vector<Tensor> split(const Tensor& x, const std::vector<int64_t>& sizes, int64_t dim) {
  const int64_t d = dim_of(x, dim, "split");
  std::vector<Tensor> parts;
  int64_t start = 0;
  for (int64_t size : sizes) {
    parts.push_back(narrow(x, d, start, size));
    start += size;
  }
  check(x.rank() > 0 && start == x.shape()[d],
        "split: sizes add up to {}, dimension {} of {} has {}", start, dim, called(x),
        x.rank() > 0 ? x.shape()[d] : 0);
  return parts;
}

std::vector<Tensor> split(const Tensor& x, int64_t size, int64_t dim) {
  check(size > 0, "split: the size must be above 0, not {}", size);
  const int64_t total = x.shape().at(dim, "split");
  std::vector<int64_t> sizes;
  int64_t rest = total;
  for (; rest > size; rest -= size) sizes.push_back(size);
  sizes.push_back(rest);  // a dimension of size 0 gives one empty part
  return split(x, sizes, dim);
}

Tensor flip(const Tensor& x, const Dims& dims) {
  Shape strides = x.strides();
  int64_t offset = x.body().offset;
  bool flipped[Shape::max_rank] = {};
  for (int64_t dim : dims) {
    const int64_t d = dim_of(x, dim, "flip");
    check(!std::exchange(flipped[d], true), "flip: dimension {} is named twice", dim);
    if (x.numel() == 0 || x.rank() == 0) continue;
    offset += (x.shape()[d] - 1) * strides[d];
    strides[d] = -strides[d];
  }
  return record("flip", fresh_copy(view_of(x, x.shape(), strides, offset)),
                {{x, [dims](const Tensor& g) { return flip(g, dims); }}});
}

Tensor pad(const Tensor& x, const std::vector<int64_t>& padding, Number value) {
  check(padding.size() % 2 == 0 && static_cast<int64_t>(padding.size()) <= 2 * x.rank(),
        "pad: takes two numbers for each of the last dimensions, {} were given for {}",
        padding.size(), called(x));
  Shape shape = x.shape();
  std::vector<int64_t> before(static_cast<size_t>(x.rank()), 0);
  for (size_t i = 0; i + 1 < padding.size(); i += 2) {
    const int64_t d = x.rank() - 1 - static_cast<int64_t>(i / 2);
    check(padding[i] >= 0 && padding[i + 1] >= 0, "pad: sizes must be 0 or more");
    before[static_cast<size_t>(d)] = padding[i];
    shape[d] = checked_add(shape[d], checked_add(padding[i], padding[i + 1]));
  }
  const auto inner = [before, size = x.shape()](Tensor y) {
    for (int64_t d = 0; d < size.rank(); ++d) {
      y = narrow(y, d, before[static_cast<size_t>(d)], size[d]);
    }
    return y;
  };
  Tensor out = filled("pad", shape, value, x.dtype(), x.device());
  {
    const InsideOp guard;
    copy_into(inner(out), x);
  }
  return record("pad", std::move(out), {{x, [inner](const Tensor& g) { return inner(g); }}});
}

}  // namespace regrad

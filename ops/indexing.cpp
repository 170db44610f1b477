// Selecting elements by index. The derivative of an op that reads is one that adds, and vice versa:
// gather and scatter_add, index_select and index_add.
#include "autograd/notes.h"
#include "ops/dispatch.h"
#include "ops/ops.h"

namespace regrad {
namespace {

Tensor index_select_unchecked(const Tensor& x, int64_t d, const Tensor& index);

// zeros(shape), with row i of g added to row index[i] of dimension d.
Tensor index_add(const Tensor& g, const Shape& shape, int64_t d, const Tensor& index) {
  Tensor out = zeros(shape, {.dtype = g.dtype(), .device = g.device()});
  const Tensor from = kernel_input(g);
  for_floats("index_select", g, [&]<class T>() {
    kernels<T>(g).index.add_rows(rows_around(shape, d), index.numel(), raw<T>(out), raw<T>(from),
                                 raw<int64_t>(index));
  });
  return record("index_add", std::move(out),
                {{g, [d, index](const Tensor& h) { return index_select_unchecked(h, d, index); }}});
}

Tensor index_select_unchecked(const Tensor& x, int64_t d, const Tensor& index) {
  Shape shape = x.shape();
  shape[d] = index.numel();
  Tensor out = empty(shape, x.dtype(), x.device());
  const Tensor from = kernel_input(x);
  for_all(x, [&]<class T>() {
    kernels<T>(x).move.take_rows(rows_around(x.shape(), d), index.numel(), raw<T>(out),
                                 raw<T>(from), raw<int64_t>(index));
  });
  note_rows(x);
  return record("index_select", std::move(out),
                {{x, [shape = x.shape(), d, index](const Tensor& g) {
                    return index_add(g, shape, d, index);
                  }}});
}

// The part of x that index covers: except along d, index may be smaller than x in gather and
// scatter_add.
Tensor covered(const char* op, Tensor x, int64_t d, const Tensor& index) {
  check(index.rank() == x.rank() && x.rank() > 0, "{}: the index {} must have the rank of {}", op,
        called(index), called(x));
  for (int64_t i = 0; i < x.rank(); ++i) {
    if (i == d || index.shape()[i] == x.shape()[i]) continue;
    check(index.shape()[i] < x.shape()[i], "{}: an index of shape {} does not fit shape {}", op,
          called(index), called(x));
    x = narrow(x, i, 0, index.shape()[i]);
  }
  return x;
}

Tensor gather_unchecked(const Tensor& x, int64_t d, const Tensor& index);

Tensor scatter_unchecked(const Tensor& source, const Shape& shape, int64_t d, const Tensor& index) {
  Tensor out = zeros(shape, {.dtype = source.dtype(), .device = source.device()});
  const Tensor from = kernel_input(source);
  for_numbers("scatter_add", source, [&]<class T>() {
    kernels<T>(source).index.scatter_add(rows_around(shape, d), index.shape()[d], raw<T>(out),
                                         raw<T>(from), raw<int64_t>(index));
  });
  return record("scatter_add", std::move(out),
                {{source, [d, index](const Tensor& h) { return gather_unchecked(h, d, index); }}});
}

Tensor gather_unchecked(const Tensor& x, int64_t d, const Tensor& index) {
  Tensor out = empty(index.shape(), x.dtype(), x.device());
  const Tensor from = kernel_input(x);
  for_all(x, [&]<class T>() {
    kernels<T>(x).move.gather(rows_around(x.shape(), d), index.shape()[d], raw<T>(out),
                              raw<T>(from), raw<int64_t>(index));
  });
  note_rows(x);
  return record("gather", std::move(out), {{x, [shape = x.shape(), d, index](const Tensor& g) {
                                              return scatter_unchecked(g, shape, d, index);
                                            }}});
}

// column - row, [rows, columns].
Tensor diagonals(const char* op, const Tensor& x) {
  check(x.rank() >= 2, "{}: needs at least 2 dimensions, {} has {}", op, called(x), x.rank());
  return sub(arange(x.size(-1), {.device = x.device()}),
             unsqueeze(arange(x.size(-2), {.device = x.device()}), 1));
}

// x with `value` where fill is true, in x's dtype.
Tensor filled_where(const char* op, const Tensor& x, const Tensor& fill, Number value) {
  return where(fill, filled(op, {}, value, x.dtype(), x.device()), x);
}

}  // namespace

Tensor gather(const Tensor& x, int64_t dim, const Tensor& index) {
  const int64_t d = dim_of(x, dim, "gather");
  const Tensor part = covered("gather", x, d, index);
  check_index("gather", index, x.shape()[d]);
  return gather_unchecked(part, d, kernel_input(index));
}

Tensor scatter_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source) {
  const int64_t d = dim_of(x, dim, "scatter_add");
  check_same_dtype("scatter_add", x, source);
  const Shape shape = covered("scatter_add", detached(x), d, index).shape();
  check_index("scatter_add", index, x.shape()[d]);
  Tensor from = covered("scatter_add", source, d, index);
  check(from.shape()[d] >= index.shape()[d],
        "scatter_add: the index {} is larger than the source {}", called(index), called(source));
  from = narrow(from, d, 0, index.shape()[d]);
  Tensor added = scatter_unchecked(from, shape, d, kernel_input(index));
  std::vector<int64_t> padding;
  for (int64_t i = x.rank() - 1; i >= 0; --i) {
    padding.insert(padding.end(), {0, x.shape()[i] - shape[i]});
  }
  return add(x, shape == x.shape() ? added : pad(added, padding));
}

Tensor index_select(const Tensor& x, int64_t dim, const Tensor& index) {
  const int64_t d = dim_of(x, dim, "index_select");
  check(x.rank() > 0 && index.rank() <= 1, "index_select: takes a list of indices [n], not {}",
        called(index));
  check_index("index_select", index, x.shape()[d]);
  return index_select_unchecked(x, d, kernel_input(index));
}

Tensor embedding(const Tensor& weight, const Tensor& index, int64_t padding_idx) {
  check(weight.rank() == 2, "embedding: the weight must be [count, dim], not {}", called(weight));
  check_index("embedding", index, weight.size(0));
  Shape shape = index.shape();
  shape.push_back(weight.size(1));
  const Tensor flat = reshape(kernel_input(index), {index.numel()});
  Tensor rows = index_select_unchecked(weight, 0, flat);
  if (padding_idx >= 0) {  // the same rows, but no gradient goes through the padding's
    const Tensor real = unsqueeze(ne(flat, padding_idx), 1);
    rows = where(real, rows, detached(rows));
  }
  return reshape(rows, shape);
}

Tensor masked_fill(const Tensor& x, const Tensor& mask, Number value) {
  check(mask.dtype() == bool_, "masked_fill: the mask must be bool, not {}", mask.dtype());
  check(broadcast_shapes("masked_fill", x.shape(), mask.shape()) == x.shape(),
        "masked_fill: a mask of shape {} does not fit shape {}", called(mask), called(x));
  return filled_where("masked_fill", x, mask, value);
}

Tensor tril(const Tensor& x, int64_t diagonal) {
  return filled_where("tril", x, diagonals("tril", x) > diagonal, 0);
}
Tensor triu(const Tensor& x, int64_t diagonal) {
  return filled_where("triu", x, diagonals("triu", x) < diagonal, 0);
}

Tensor one_hot(const Tensor& index, int64_t classes) {
  check_index("one_hot", index, classes);
  return eq(unsqueeze(index, -1), arange(classes, {.device = index.device()})).to(int64);
}

Tensor length_mask(const Tensor& lengths, int64_t steps) {
  check(lengths.dtype() == int64, "length_mask: lengths must be int64, not {}", lengths.dtype());
  check(lengths.rank() == 1 && steps >= 0,
        "length_mask: lengths must be int64 [batch], not {}, and the steps 0 or more, not {}",
        called(lengths), steps);
  for (const int64_t length : lengths.to_vector<int64_t>()) {
    check(length >= 0 && length <= steps,
          "length_mask: a length of {} is not within 0 and {} steps", length, steps);
  }
  return lt(arange(steps, {.device = lengths.device()}), unsqueeze(lengths, -1));
}

}  // namespace regrad

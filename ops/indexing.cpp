// Selecting elements by index. The derivative of an op that reads is one that adds, and vice versa:
// gather and scatter_add, index_select and index_add.
#include <algorithm>

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
  for_numbers("index_add", g, [&]<class T>() {
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

// For each element of a tensor of this shape, the last place along d where index names it, or -1.
Tensor last_index(const Shape& shape, int64_t d, const Tensor& index) {
  Tensor last = empty(shape, int64, index.device());
  backend(index.device())
      .last_index(rows_around(shape, d), index.shape()[d], raw<int64_t>(last), raw<int64_t>(index));
  return last;
}

// Places to read from: the last ones, and 0 where there is none.
Tensor last_or_first(const Tensor& last) { return maximum(last, scalar(0, int64, last.device())); }

// x in the corner of a larger shape, which is filled up with value.
Tensor in_corner(const Tensor& x, const Shape& shape, Number value) {
  if (x.shape() == shape) return x;
  std::vector<int64_t> padding;
  for (int64_t i = shape.rank() - 1; i >= 0; --i) {
    padding.insert(padding.end(), {0, shape[i] - x.shape()[i]});
  }
  return pad(x, padding, value);
}

// The part of the source that index reads.
Tensor read_part(const char* op, const Tensor& source, int64_t d, const Tensor& index) {
  const Tensor from = covered(op, source, d, index);
  check(from.shape()[d] >= index.shape()[d], "{}: the index {} is larger than the source {}", op,
        called(index), called(source));
  return narrow(from, d, 0, index.shape()[d]);
}

// The places of the elements that are not 0, in row-major order: int64 [count], in host memory.
Tensor true_places(const Tensor& x) {
  const Tensor mask = kernel_input(x.to(bool_)).to(cpu);
  const bool* values = raw<bool>(mask);
  const int64_t count = std::count(values, values + mask.numel(), true);
  const Tensor places = empty({count + 1}, int64, cpu);  // one more: no element needs a branch
  auto* out = raw<int64_t>(places);
  for (int64_t i = 0; i < mask.numel(); ++i) {
    *out = i;
    out += values[i];
  }
  return narrow(places, 0, 0, count);
}

// The indices of index_put() as integers: a mask stands for the columns of its nonzero().
std::vector<Tensor> index_columns(const Tensor& x, const std::vector<Tensor>& indices) {
  std::vector<Tensor> columns;
  for (const Tensor& index : indices) {
    const auto first = static_cast<int64_t>(columns.size());
    const int64_t dims = index.dtype() == bool_ ? index.rank() : 1;
    check(index.dtype() == int64 || index.dtype() == bool_,
          "index_put: an index must be int64 or bool, not {}", index.dtype());
    check(dims > 0 && first + dims <= x.rank(), "index_put: more indices than dimensions in {}",
          x.shape());
    if (index.dtype() == int64) {
      columns.push_back(index);
      continue;
    }
    for (int64_t d = 0; d < dims; ++d) {
      check(index.shape()[d] == x.shape()[first + d], "index_put: a mask {} does not fit {}",
            index.shape(), x.shape());
    }
    const Tensor places = nonzero(index);
    for (int64_t d = 0; d < dims; ++d) columns.push_back(select(places, 1, d));
  }
  return columns;
}

// The columns as one index into x's first dimensions taken together.
Tensor flat_index(const Tensor& x, const std::vector<Tensor>& columns) {
  Tensor flat = scalar(0, int64, x.device());
  for (size_t i = 0; i < columns.size(); ++i) {
    const int64_t size = x.shape()[static_cast<int64_t>(i)];
    const Tensor index = where(columns[i] < 0, columns[i] + size, columns[i]);
    check_index("index_put", index, size);
    flat = flat * size + index;
  }
  return flat;
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
  const Tensor from = read_part("scatter_add", source, d, index);
  const Tensor added = scatter_unchecked(from, shape, d, kernel_input(index));
  return add(x, in_corner(added, x.shape(), 0));
}

// Each element reads what was written to it last: so only that gets its gradient.
Tensor scatter(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source) {
  const int64_t d = x.shape().dim(dim, "scatter");
  check_same_dtype("scatter", x, source);
  const Shape shape = covered("scatter", detached(x), d, index).shape();
  check_index("scatter", index, x.shape()[d]);
  const Tensor from = read_part("scatter", source, d, index);
  if (index.numel() == 0) return x.clone();
  const Tensor last = last_index(shape, d, kernel_input(index));
  const Tensor read = gather_unchecked(from, d, last_or_first(last));
  return where(in_corner(last, x.shape(), -1) >= 0, in_corner(read, x.shape(), 0), x);
}

Tensor scatter(const Tensor& x, int64_t dim, const Tensor& index, Number value) {
  return scatter(x, dim, index,
                 expand(filled("scatter", {}, value, x.dtype(), x.device()), index.shape()));
}

Tensor index_put(const Tensor& x, const std::vector<Tensor>& indices, const Tensor& values,
                 bool accumulate) {
  check(!indices.empty(), "index_put: needs an index");
  check_same_dtype("index_put", x, values);
  const std::vector<Tensor> columns = index_columns(x, indices);
  const Tensor flat = flat_index(x, columns);
  Shape wanted = flat.shape(), rows_shape = {1, 1};
  for (int64_t d = 0; d < x.rank(); ++d) {
    const bool indexed = d < static_cast<int64_t>(columns.size());
    rows_shape[indexed ? 0 : 1] *= x.shape()[d];
    if (!indexed) wanted.push_back(x.shape()[d]);
  }
  check(broadcast_shapes("index_put", values.shape(), wanted) == wanted,
        "index_put: values {} do not broadcast to {}", values.shape(), wanted);
  if (flat.numel() == 0) return x.clone();
  const Tensor list = reshape(flat, {flat.numel()}), rows = reshape(x, rows_shape);
  const Tensor put = reshape(expand(values, wanted), {flat.numel(), rows_shape[1]});
  if (accumulate) return reshape(add(rows, index_add(put, rows_shape, 0, list)), x.shape());
  const Tensor last = last_index({rows_shape[0]}, 0, list);
  const Tensor read = index_select_unchecked(put, 0, last_or_first(last));
  return reshape(where(unsqueeze(last >= 0, 1), read, rows), x.shape());
}

Tensor nonzero(const Tensor& x) {
  const Tensor places = true_places(x);
  const Tensor out = empty({places.numel(), x.rank()}, int64, cpu);
  const auto* from = raw<int64_t>(places);
  auto* to = raw<int64_t>(out);
  const int64_t last = x.rank() - 1;
  int64_t row_begin = 0, row_end = 0;  // in a row, all but the last index stay
  for (int64_t i = 0; i < places.numel() && last >= 0; ++i, to += x.rank()) {
    int64_t place = from[i];
    if (place < row_end) {
      std::copy(to - x.rank(), to, to);
      to[last] = place - row_begin;
      continue;
    }
    row_begin = place - place % x.shape()[last];
    row_end = row_begin + x.shape()[last];
    for (int64_t d = last; d >= 0; --d) {
      to[d] = place % x.shape()[d];
      place /= x.shape()[d];
    }
  }
  return out.to(x.device());
}

Tensor masked_select(const Tensor& x, const Tensor& mask) {
  check(mask.dtype() == bool_, "masked_select: the mask must be bool, not {}", mask.dtype());
  const Shape shape = broadcast_shapes("masked_select", x.shape(), mask.shape());
  const Tensor places = true_places(expand(mask, shape)).to(x.device());
  return index_select_unchecked(reshape(expand(x, shape), {shape.numel()}), 0, places);
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

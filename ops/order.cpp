// Sorting: a kernel gives the places of the elements in order, and gather() the elements, so the
// gradient goes back to where they stood. And cumulative sums.
#include "ops/dispatch.h"
#include "ops/ops.h"

namespace regrad {
namespace {

// Where the first k along dim stand, in order.
Tensor places_in_order(const char* op, const Tensor& x, int64_t k, int64_t d, bool descending) {
  if (x.dtype() == bool_) return places_in_order(op, x.to(int64), k, d, descending);
  const InsideOp guard;
  const Tensor along = kernel_input(transpose(detached(x), d, -1));
  Rows rows = rows_around(along.shape(), along.rank() - 1);
  check(x.dtype() != float32 || rows.n <= int64_t{UINT32_MAX},
        "{}: {} elements along dimension {} of {}; float32 may have 2^32 - 1", op, rows.n, d,
        x.shape());
  Shape shape = along.shape();
  shape[shape.rank() - 1] = k;
  const Tensor places = empty(shape, int64, x.device());
  for_numbers(op, along, [&]<class T>() {
    kernels<T>(along).order.sort(rows, k, descending, raw<int64_t>(places), raw<T>(along));
  });
  return transpose(places, d, -1).contiguous();
}

Sorted first_in_order(const char* op, const Tensor& x, int64_t k, int64_t dim, bool descending) {
  const int64_t d = x.shape().dim(dim, op);
  if (x.rank() == 0) {  // one element
    const Sorted one = first_in_order(op, reshape(x, {1}), k, 0, descending);
    return {reshape(one.values, {}), reshape(one.indices, {})};
  }
  const Tensor places = places_in_order(op, x, k, d, descending);
  return {gather(x, d, places), places};
}

int64_t size_along(const Tensor& x, int64_t dim, const char* op) {
  return x.rank() == 0 ? 1 : x.shape().at(dim, op);
}

Tensor cumulative_sum(const Tensor& x, int64_t d, bool reverse) {
  Tensor out = empty(x.shape(), x.dtype(), x.device());
  const Tensor from = kernel_input(x);
  for_numbers("cumsum", from, [&]<class T>() {
    kernels<T>(from).order.cumsum(rows_around(x.shape(), d), reverse, raw<T>(out), raw<T>(from));
  });
  return record("cumsum", std::move(out),
                {{x, [d, reverse](const Tensor& g) { return cumulative_sum(g, d, !reverse); }}});
}

}  // namespace

Sorted sort(const Tensor& x, int64_t dim, bool descending) {
  return first_in_order("sort", x, size_along(x, dim, "sort"), dim, descending);
}

Tensor argsort(const Tensor& x, int64_t dim, bool descending) {
  return first_in_order("argsort", detached(x), size_along(x, dim, "argsort"), dim, descending)
      .indices;
}

Sorted topk(const Tensor& x, int64_t k, int64_t dim, bool largest) {
  const int64_t n = size_along(x, dim, "topk");
  check(k >= 0 && k <= n, "topk: {} elements of the {} along dimension {} of {}", k, n, dim,
        x.shape());
  if (x.rank() == 0 && k == 0) return topk(reshape(x, {1}), 0, 0, largest);
  return first_in_order("topk", x, k, dim, largest);
}

Tensor cumsum(const Tensor& x, int64_t dim) {
  const int64_t d = x.shape().dim(dim, "cumsum");
  return cumulative_sum(x.dtype() == bool_ ? x.to(int64) : x, d, false);
}

}  // namespace regrad

// Reductions. The dimensions to reduce are brought together, x is seen as [outer, n, inner], and a
// kernel works along n. Derivatives spread the gradient back over what was reduced.
#include <algorithm>
#include <array>
#include <limits>

#include "autograd/notes.h"
#include "ops/dispatch.h"
#include "ops/ops.h"

namespace regrad {
namespace {

struct Plan {
  Tensor x;     // contiguous, its reduced dimensions side by side
  Rows rows;    // the kernel's view of it
  Shape kept;   // the result's shape with reduced dimensions as 1
  Shape shape;  // the result's shape as asked for
};

// For each dimension of x, whether it is reduced.
std::array<bool, Shape::max_rank> reduced_dims(const char* op, const Tensor& x, const Dims& dims) {
  std::array<bool, Shape::max_rank> reduced = {};
  for (int64_t dim : dims) {
    const auto d = static_cast<size_t>(dim_of(x, dim, op));
    check(!reduced[d], "{}: dimension {} is named twice", op, dim);
    reduced[d] = true;
  }
  if (dims.empty()) std::fill_n(reduced.begin(), x.rank(), true);
  return reduced;
}

Plan plan(const char* op, const Tensor& x, const Dims& dims, bool keepdim) {
  const std::array<bool, Shape::max_rank> reduced = reduced_dims(op, x, dims);
  Plan result{x, {1, 1, 1}, x.shape(), {}};
  Dims order;
  for (const bool want : {false, true}) {
    for (int64_t d = 0; d < x.rank(); ++d) {
      if (reduced[static_cast<size_t>(d)] == want) order.push_back(d);
    }
  }
  int64_t first = x.rank(), last = -1, count = 0;
  for (int64_t d = 0; d < x.rank(); ++d) {
    if (!reduced[static_cast<size_t>(d)]) {
      result.shape.push_back(x.shape()[d]);
      continue;
    }
    if (keepdim) result.shape.push_back(1);
    result.kept[d] = 1;
    first = std::min(first, d);
    last = d;
    ++count;
  }
  const InsideOp guard;
  const bool together = count == last - first + 1;
  if (!together) result.x = permute(x, order);
  result.x = result.x.contiguous();
  if (together) {
    for (int64_t d = 0; d < x.rank(); ++d) {
      (d < first   ? result.rows.outer
       : d <= last ? result.rows.n
                   : result.rows.inner) *= x.shape()[d];
    }
  } else {
    for (int64_t d = 0; d < x.rank(); ++d) {
      (reduced[static_cast<size_t>(d)] ? result.rows.n : result.rows.outer) *= x.shape()[d];
    }
  }
  return result;
}

Tensor compute(const char* op, Reduction function, const Plan& work) {
  Tensor out = empty(work.shape, work.x.dtype(), work.x.device());
  for_numbers(op, work.x, [&]<class T>() {
    kernels<T>(work.x).reduce.apply[static_cast<size_t>(function)](work.rows, raw<T>(out),
                                                                   raw<T>(work.x));
  });
  return out;
}

// g, in the result's shape, repeated over what was reduced.
Tensor spread(const Tensor& g, const Shape& kept, const Shape& shape) {
  return expand(reshape(g, kept), shape);
}

Tensor extreme(const char* op, Reduction function, const Tensor& x, const Dims& dims,
               bool keepdim) {
  if (x.dtype() == bool_) return extreme(op, function, x.to(int64), dims, keepdim).to(bool_);
  const Plan work = plan(op, x, dims, keepdim);
  check(work.rows.n > 0, "{}: nothing to choose from in shape {}", op, called(x));
  return record(op, compute(op, function, work),
                {{x, [x, kept = work.kept](const Tensor& g, const Tensor& y) {
                    const Tensor chosen = eq(x, reshape(detached(y), kept)).to(g.dtype());
                    Dims reduced;
                    for (int64_t d = 0; d < x.rank(); ++d) {
                      if (kept[d] != x.shape()[d]) reduced.push_back(d);
                    }
                    if (reduced.empty()) return reshape(g, x.shape());
                    const Tensor share = div(chosen, sum(chosen, reduced, true));
                    return mul(spread(g, kept, x.shape()), share);
                  }}});
}

Tensor arg_extreme(const char* op, int sign, const Tensor& x, const Dims& dims, bool keepdim) {
  const Plan work = plan(op, x.dtype() == bool_ ? x.to(int64) : x, dims, keepdim);
  check(work.rows.n > 0, "{}: nothing to choose from in shape {}", op, called(x));
  Tensor out = empty(work.shape, int64, x.device());
  for_numbers(op, work.x, [&]<class T>() {
    kernels<T>(work.x).reduce.arg_reduce(work.rows, sign, raw<int64_t>(out), raw<T>(work.x));
  });
  return out;
}

// The number of elements of x that one element of y was reduced from.
double elements_per_result(const Tensor& x, const Tensor& y) {
  return static_cast<double>(x.numel()) / static_cast<double>(y.numel());
}

}  // namespace

Tensor sum(const Tensor& x, const Dims& dims, bool keepdim) {
  if (x.dtype() == bool_) return sum(x.to(int64), dims, keepdim);
  const Plan work = plan("sum", x, dims, keepdim);
  return record("sum", compute("sum", Reduction::sum, work),
                {{x, [kept = work.kept, shape = x.shape()](const Tensor& g) {
                    return spread(g, kept, shape);
                  }}});
}

// By kernels alone: no op that an observer would see.
Tensor absolute_sum(const Tensor& gradient) {
  Tensor sizes = empty(gradient.shape(), gradient.dtype(), gradient.device());
  const Loop loop = make_loop({&sizes, &gradient});
  for_floats("sum", gradient, [&]<class T>() {
    kernels<T>(sizes).unary.value[static_cast<size_t>(Unary::abs)](loop, raw<T>(sizes),
                                                                   raw<T>(gradient), 0, 0);
  });
  return compute("sum", Reduction::sum, plan("sum", sizes, {}, false));
}

Tensor mean(const Tensor& x, const Dims& dims, bool keepdim) {
  if (!is_float(x.dtype())) return mean(x.to(float64), dims, keepdim).to(float32);
  const Tensor total = sum(x, dims, keepdim);
  return div(total, elements_per_result(x, total));
}

Tensor max(const Tensor& x, const Dims& dims, bool keepdim) {
  return extreme("max", Reduction::max, x, dims, keepdim);
}

Tensor min(const Tensor& x, const Dims& dims, bool keepdim) {
  return extreme("min", Reduction::min, x, dims, keepdim);
}

// With d = x - mean: (sum(d²) - sum(d)² / n) / (n - correction). The second term, 0 in exact
// arithmetic, corrects for the rounding of the mean (Chan, Golub, LeVeque, 1983). The formula
// holds for d = x - c with any constant c, so no gradient goes through the mean.
Tensor var(const Tensor& x, const Dims& dims, bool keepdim, double correction) {
  if (!is_float(x.dtype())) return var(x.to(float64), dims, keepdim, correction).to(float32);
  const Tensor centred = sub(x, mean(detached(x), dims, true));
  const Tensor squares = sum(square(centred), dims, keepdim);
  const Tensor deviation = sum(centred, dims, keepdim);
  const double n = elements_per_result(x, squares);
  return div(sub(squares, div(square(deviation), n)), std::max(n - correction, 0.0));
}

// softmax(x) over dims: exp(x - max) / sum rather than exp(x - logsumexp), which would lose the low
// digits of log(sum) when the maximum is large. 0 where all are -inf; several +inf share the 1.
static Tensor softmax_over(const Tensor& x, const Dims& dims) {
  constexpr double inf = std::numeric_limits<double>::infinity();
  if (x.numel() == 0) return zeros_like(x);
  const Tensor max_x = max(detached(x), dims, true);
  const Tensor all_neg_inf = max_x == -inf, shift = where(all_neg_inf, 0, max_x);
  const Tensor exps = exp(where((x == max_x) & (max_x == inf), 0, sub(x, shift)));
  return div(exps, where(all_neg_inf, 1, sum(exps, dims, true)));
}

// log sum exp(x), shifted by the maximum; its derivative is the softmax.
Tensor logsumexp(const Tensor& x, const Dims& dims, bool keepdim) {
  const Plan work = plan("logsumexp", x, dims, keepdim);
  Tensor out = empty(work.shape, x.dtype(), x.device());
  for_floats("logsumexp", work.x, [&]<class T>() {
    kernels<T>(work.x).softmax.logsumexp(work.rows, raw<T>(out), raw<T>(work.x));
  });
  return record("logsumexp", std::move(out), {{x, [x, dims, kept = work.kept](const Tensor& g) {
                                                 return mul(spread(g, kept, x.shape()),
                                                            softmax_over(x, dims));
                                               }}});
}

Tensor argmax(const Tensor& x) { return arg_extreme("argmax", 1, x, {}, false); }
Tensor argmax(const Tensor& x, int64_t dim, bool keepdim) {
  return arg_extreme("argmax", 1, x, dim, keepdim);
}
Tensor argmin(const Tensor& x) { return arg_extreme("argmin", -1, x, {}, false); }
Tensor argmin(const Tensor& x, int64_t dim, bool keepdim) {
  return arg_extreme("argmin", -1, x, dim, keepdim);
}

bool all_finite(const Tensor& x) {
  if (!is_float(x.dtype())) return true;
  const InsideOp guard;  // x - x is 0 for numbers, and NaN for NaN and infinities
  return sum(sub(x, x)).item<double>() == 0;
}

}  // namespace regrad

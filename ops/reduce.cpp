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

// The product along the last dimension, by halves: as mul() differentiates it, every derivative is
// right where elements are 0.
Tensor product_by_halves(Tensor x) {
  Tensor odd;
  while (x.size(-1) > 1) {
    const int64_t n = x.size(-1), half = n / 2;
    if (n % 2 == 1) {
      const Tensor last = narrow(x, -1, n - 1, 1);
      odd = odd.defined() ? mul(odd, last) : last;
    }
    x = mul(narrow(x, -1, 0, half), narrow(x, -1, half, half));
  }
  return odd.defined() ? mul(x, odd) : x;
}

// prod() of at least one element in ops.
Tensor composed_product(const Tensor& x, const Shape& kept, const Shape& shape) {
  Dims order;
  for (const bool reduced : {false, true}) {
    for (int64_t d = 0; d < x.rank(); ++d) {
      if ((kept[d] != x.shape()[d]) == reduced) order.push_back(d);
    }
  }
  const int64_t rows = shape.numel();
  return reshape(product_by_halves(reshape(permute(x, order), {rows, x.numel() / rows})), shape);
}

// The product of all other elements: y / x, where no element is 0; for a 0 that is the only one,
// the product of the rest.
Tensor product_of_others(const Tensor& x, const Dims& dims) {
  const Tensor zero = x == 0, rest = where(zero, 1, x);
  const Tensor zeros = sum(zero, dims, true), product = prod(rest, dims, true);
  return where((zeros == 0) | ((zeros == 1) & zero), div(product, rest), 0);
}

// x's shape with 1 for what is reduced.
Shape kept_shape(const char* op, const Tensor& x, const Dims& dims) {
  const std::array<bool, Shape::max_rank> reduced = reduced_dims(op, x, dims);
  Shape kept = x.shape();
  for (int64_t d = 0; d < x.rank(); ++d) {
    if (reduced[static_cast<size_t>(d)]) kept[d] = 1;
  }
  return kept;
}

// The derivative of a norm: sign(x) (|x| / y)^(p - 1). For p = 2 it is x / y, which can itself be
// differentiated where x = 0.
Tensor norm_slope(const Tensor& x, const Tensor& y, double p) {
  if (p == 2) return div(x, where(y == 0, 1, y));
  const Tensor ratio = div(where(x == 0, 1, abs(x)), where(y == 0, 1, y));
  return mul(sign(x), pow(ratio, p - 1));
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

Tensor prod(const Tensor& x, const Dims& dims, bool keepdim) {
  if (x.dtype() == bool_) return prod(x.to(int64), dims, keepdim);
  const Plan work = plan("prod", x, dims, keepdim);
  const auto composed = [kept = work.kept, shape = work.shape](const std::vector<Tensor>& inputs) {
    const Tensor& in = inputs[0];
    return in.numel() == 0 ? mul(sum(in), ones(shape, {.dtype = in.dtype(), .device = in.device()}))
                           : composed_product(in, kept, shape);
  };
  const auto kernel = [x, dims, kept = work.kept](const Tensor& g, Needed) -> std::vector<Tensor> {
    return {mul(spread(g, kept, x.shape()), product_of_others(x, dims))};
  };
  return record_fused("prod", compute("prod", Reduction::prod, work), {x}, composed, kernel);
}

Tensor norm(const Tensor& x, double p, const Dims& dims, bool keepdim) {
  constexpr double inf = std::numeric_limits<double>::infinity();
  check(is_float(x.dtype()), "norm: takes float32 or float64, not {}; convert with to(float32)",
        x.dtype());
  if (p == inf) return extreme("norm", Reduction::max, abs(x), dims, keepdim);
  if (p == -inf) return extreme("norm", Reduction::min, abs(x), dims, keepdim);
  if (p == 0) return sum(abs(sign(x)), dims, keepdim);
  if (p == 1) return sum(abs(x), dims, keepdim);
  Tensor y;
  {
    const InsideOp guard;
    y = p == 2 ? sqrt(sum(square(x), dims, keepdim))
               : pow(sum(pow(abs(x), p), dims, keepdim), 1 / p);
  }
  return record(
      "norm", std::move(y),
      {{x, [x, p, kept = kept_shape("norm", x, dims)](const Tensor& g, const Tensor& out) {
          return mul(reshape(g, kept), norm_slope(x, reshape(out, kept), p));
        }}});
}

// The square root of 0 has no slope: there the gradient is 0.
Tensor std(const Tensor& x, const Dims& dims, bool keepdim, double correction) {
  const Tensor variance = var(x, dims, keepdim, correction), none = variance == 0;
  return where(none, 0, sqrt(where(none, 1, variance)));
}

Tensor any(const Tensor& x, const Dims& dims, bool keepdim) {
  return sum(x.dtype() == bool_ ? x : ne(x, 0), dims, keepdim) > 0;
}

Tensor all(const Tensor& x, const Dims& dims, bool keepdim) {
  return sum(x.dtype() == bool_ ? logical_not(x) : eq(x, 0), dims, keepdim) == 0;
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

// Arithmetic of two tensors. Broadcasting is done by expand(), a view whose own derivative sums the
// gradient, so the derivatives here only ever see equal shapes.
#include <cmath>
#include <limits>

#include "ops/dispatch.h"
#include "ops/ops.h"

namespace regrad {
namespace {

struct Pair {
  Tensor a, b;
};

Tensor broadcast_to(const Tensor& x, const Shape& shape) {
  return x.shape() == shape ? x : expand(x, shape);
}

// Both operands, broadcast to one shape and converted to one dtype. int64 and bool are converted to
// a float operand's dtype; float32 with float64 is an error, since either result would surprise
// half of the users.
Pair promote_and_broadcast(const char* op, const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype()) {
    const auto category = [](const Tensor& x) {  // bool < int64 < any float
      return is_float(x.dtype()) ? 2 : x.dtype() == int64 ? 1 : 0;
    };
    if (category(a) < category(b)) return promote_and_broadcast(op, a.to(b.dtype()), b);
    if (category(b) < category(a)) return promote_and_broadcast(op, a, b.to(a.dtype()));
  }
  check_same_dtype(op, a, b);
  if (a.shape() == b.shape()) return {a, b};
  const Shape shape = broadcast_shapes(op, a, b);
  return {broadcast_to(a, shape), broadcast_to(b, shape)};
}

Tensor compute(const char* op, Binary function, const Pair& x) {
  Tensor out = empty(x.a.shape(), x.a.dtype(), x.a.device());
  const Loop loop = make_loop({&out, &x.a, &x.b});
  for_numbers(op, x.a, [&]<class T>() {
    kernels<T>(x.a).binary.apply[static_cast<size_t>(function)](loop, raw<T>(out), raw<T>(x.a),
                                                                raw<T>(x.b));
  });
  return out;
}

Tensor compare(const char* op, Compare function, const Tensor& left, const Tensor& right) {
  const InsideOp guard;
  Pair x = promote_and_broadcast(op, left, right);
  if (x.a.dtype() == bool_) x = {x.a.to(int64), x.b.to(int64)};
  Tensor out = empty(x.a.shape(), bool_, x.a.device());
  const Loop loop = make_loop({&out, &x.a, &x.b});
  for_numbers(op, x.a, [&]<class T>() {
    kernels<T>(x.a).binary.compare[static_cast<size_t>(function)](loop, raw<bool>(out), raw<T>(x.a),
                                                                  raw<T>(x.b));
  });
  return out;
}

// The gradient of a, where y is the maximum or minimum of a and b: half of g where they tie.
Tensor gradient_of_chosen(const Tensor& g, const Tensor& a, const Tensor& b, const Tensor& y) {
  const Tensor share = sub(1, mul(eq(b, y).to(g.dtype()), 0.5));
  return where(eq(a, y), mul(g, share), 0);
}

// A number as a tensor of x's dtype, unless that is too narrow for it: bool widens to int64 for an
// integer, and both to float32 for a fraction.
Tensor number_like(const char* op, const Tensor& x, Number value) {
  DType dtype = x.dtype();
  if (!is_float(dtype) && !(dtype == bool_ && value.dtype() == bool_)) {
    dtype = value.integer() ? int64 : float32;
  }
  return filled(op, {}, value, dtype, x.device());
}

// A comparison of int64 elements with any number, rewritten as an equivalent comparison with an
// int64.
struct IntegerComparison {
  Compare function;
  int64_t number;
};

IntegerComparison integer_comparison(Compare function, Number number) {
  if (const auto integer = number.integer()) return {function, *integer};
  constexpr IntegerComparison always{Compare::greater_equal, INT64_MIN},
      never{Compare::less, INT64_MIN};
  const double x = number.real();
  const bool below = function == Compare::less || function == Compare::less_equal;
  if (function == Compare::not_equal) return always;
  if (function == Compare::equal || std::isnan(x)) return never;
  if (x >= 0x1p63) return below ? always : never;
  if (x < -0x1p63) return below ? never : always;
  return {below ? Compare::less_equal : Compare::greater, static_cast<int64_t>(std::floor(x))};
}

Tensor compare(const char* op, Compare function, const Tensor& a, Number number) {
  if (is_float(a.dtype())) return compare(op, function, a, number_like(op, a, number));
  const IntegerComparison same = integer_comparison(function, number);
  return compare(op, same.function, a.to(int64), filled(op, {}, same.number, int64, a.device()));
}

// An Error that names op, where where() would name itself.
void check_broadcast(const char* op, const Tensor& a, const Tensor& b) {
  check_same_device(op, a, b);
  static_cast<void>(broadcast_shapes(op, a.shape(), b.shape()));
}

}  // namespace

Tensor add(const Tensor& left, const Tensor& right) {
  Pair x = promote_and_broadcast("add", left, right);
  Tensor y = compute("add", Binary::add, x);
  return record("add", std::move(y),
                {{std::move(x.a), [](const Tensor& g) { return g; }},
                 {std::move(x.b), [](const Tensor& g) { return g; }}});
}

Tensor sub(const Tensor& left, const Tensor& right) {
  const Pair x = promote_and_broadcast("sub", left, right);
  return record(
      "sub", compute("sub", Binary::sub, x),
      {{x.a, [](const Tensor& g) { return g; }}, {x.b, [](const Tensor& g) { return neg(g); }}});
}

Tensor mul(const Tensor& left, const Tensor& right) {
  const auto [a, b] = promote_and_broadcast("mul", left, right);
  return record("mul", compute("mul", Binary::mul, {a, b}),
                {{a, [b = b](const Tensor& g) { return mul(g, b); }},
                 {b, [a = a](const Tensor& g) { return mul(g, a); }}});
}

Tensor div(const Tensor& left, const Tensor& right) {
  const bool integers = !is_float(left.dtype()) && !is_float(right.dtype());
  if (integers) return div(left.to(float64), right.to(float64)).to(float32);
  const auto [a, b] = promote_and_broadcast("div", left, right);
  return record(
      "div", compute("div", Binary::div, {a, b}),
      {{a, [b = b](const Tensor& g) { return div(g, b); }},
       {b, [b = b](const Tensor& g, const Tensor& y) { return neg(div(mul(g, y), b)); }}});
}

Tensor maximum(const Tensor& left, const Tensor& right) {
  const auto [a, b] = promote_and_broadcast("maximum", left, right);
  return record("maximum", compute("maximum", Binary::maximum, {a, b}),
                {{a, [a = a, b = b](const Tensor& g,
                                    const Tensor& y) { return gradient_of_chosen(g, a, b, y); }},
                 {b, [a = a, b = b](const Tensor& g, const Tensor& y) {
                    return gradient_of_chosen(g, b, a, y);
                  }}});
}

Tensor minimum(const Tensor& left, const Tensor& right) {
  const auto [a, b] = promote_and_broadcast("minimum", left, right);
  return record("minimum", compute("minimum", Binary::minimum, {a, b}),
                {{a, [a = a, b = b](const Tensor& g,
                                    const Tensor& y) { return gradient_of_chosen(g, a, b, y); }},
                 {b, [a = a, b = b](const Tensor& g, const Tensor& y) {
                    return gradient_of_chosen(g, b, a, y);
                  }}});
}

// d a^b = b a^(b-1) da + a^b log(a) db. The second term is set to its limit, 0, at a = 0 for b > 0
// (for b = 0 by convention) and at a = infinity for b < 0.
Tensor pow(const Tensor& left, const Tensor& right) {
  const auto [a, b] = promote_and_broadcast("pow", left, right);
  return record("pow", compute("pow", Binary::pow, {a, b}),
                {{a,
                  [a = a, b = b](const Tensor& g) {
                    const Tensor slope = mul(b, pow(a, sub(b, 1)));
                    return mul(g, where(b == 0, 0, slope));
                  }},
                 {b, [a = a, b = b](const Tensor& g, const Tensor& y) {
                    constexpr double inf = std::numeric_limits<double>::infinity();
                    const Tensor zero = ((a == 0) & (b >= 0)) | ((a == inf) & (b < 0));
                    return mul(g, where(zero, 0, mul(y, log(where(zero, 1, a)))));
                  }}});
}

Tensor where(const Tensor& condition, const Tensor& yes, const Tensor& no) {
  check(condition.dtype() == bool_, "where: the condition must be bool, not {}", condition.dtype());
  const Pair pair = promote_and_broadcast("where", yes, no);
  const Shape shape = broadcast_shapes("where", condition, pair.a);
  const Tensor choose = broadcast_to(condition, shape);
  const Tensor a = broadcast_to(pair.a, shape), b = broadcast_to(pair.b, shape);
  Tensor out = empty(shape, a.dtype(), a.device());
  const Loop loop = make_loop({&out, &choose, &a, &b});
  for_all(a, [&]<class T>() {
    kernels<T>(a).move.where(loop, raw<T>(out), raw<bool>(choose), raw<T>(a), raw<T>(b));
  });
  return record("where", std::move(out),
                {{a, [choose](const Tensor& g) { return where(choose, g, 0); }},
                 {b, [choose](const Tensor& g) { return where(choose, 0, g); }}});
}

Tensor add(const Tensor& a, Number b) { return add(a, number_like("add", a, b)); }
Tensor sub(const Tensor& a, Number b) { return sub(a, number_like("sub", a, b)); }
Tensor sub(Number a, const Tensor& b) { return sub(number_like("sub", b, a), b); }
Tensor mul(const Tensor& a, Number b) { return mul(a, number_like("mul", a, b)); }
Tensor div(const Tensor& a, Number b) { return div(a, number_like("div", a, b)); }
Tensor div(Number a, const Tensor& b) { return div(number_like("div", b, a), b); }
Tensor where(const Tensor& condition, const Tensor& yes, Number no) {
  return where(condition, yes, number_like("where", yes, no));
}
Tensor where(const Tensor& condition, Number yes, const Tensor& no) {
  return where(condition, number_like("where", no, yes), no);
}

Tensor eq(const Tensor& a, const Tensor& b) { return compare("eq", Compare::equal, a, b); }
Tensor ne(const Tensor& a, const Tensor& b) { return compare("ne", Compare::not_equal, a, b); }
Tensor lt(const Tensor& a, const Tensor& b) { return compare("lt", Compare::less, a, b); }
Tensor le(const Tensor& a, const Tensor& b) { return compare("le", Compare::less_equal, a, b); }
Tensor gt(const Tensor& a, const Tensor& b) { return compare("gt", Compare::greater, a, b); }
Tensor ge(const Tensor& a, const Tensor& b) { return compare("ge", Compare::greater_equal, a, b); }

Tensor eq(const Tensor& a, Number b) { return compare("eq", Compare::equal, a, b); }
Tensor ne(const Tensor& a, Number b) { return compare("ne", Compare::not_equal, a, b); }
Tensor lt(const Tensor& a, Number b) { return compare("lt", Compare::less, a, b); }
Tensor le(const Tensor& a, Number b) { return compare("le", Compare::less_equal, a, b); }
Tensor gt(const Tensor& a, Number b) { return compare("gt", Compare::greater, a, b); }
Tensor ge(const Tensor& a, Number b) { return compare("ge", Compare::greater_equal, a, b); }

Tensor logical_not(const Tensor& a) {
  const Tensor yes = scalar(true, bool_, a.device()), no = scalar(false, bool_, a.device());
  return where(a.to(bool_), no, yes);
}
Tensor logical_and(const Tensor& a, const Tensor& b) {
  check_broadcast("logical_and", a, b);
  return where(a.to(bool_), b.to(bool_), scalar(false, bool_, b.device()));
}
Tensor logical_or(const Tensor& a, const Tensor& b) {
  check_broadcast("logical_or", a, b);
  return where(a.to(bool_), scalar(true, bool_, b.device()), b.to(bool_));
}

namespace {

Tensor& assign(const char* op, Tensor& x, const Tensor& result) {
  if (!x.requires_grad() || !x.is_leaf()) return x = result;
  check(!GradMode::enabled(),
        "{}: {} is a parameter, which is written in place: do that under NoGrad, or make a new "
        "tensor with x = x + y",
        op, called(x));
  check(result.shape() == x.shape() && result.dtype() == x.dtype(),
        "{}: the result of shape {} {} does not fit {} {}", op, result.shape(), result.dtype(),
        called(x), x.dtype());
  return x.copy_(result);
}

}  // namespace

Tensor& operator+=(Tensor& x, const Tensor& y) { return assign("+=", x, add(x, y)); }
Tensor& operator-=(Tensor& x, const Tensor& y) { return assign("-=", x, sub(x, y)); }
Tensor& operator*=(Tensor& x, const Tensor& y) { return assign("*=", x, mul(x, y)); }
Tensor& operator/=(Tensor& x, const Tensor& y) { return assign("/=", x, div(x, y)); }
Tensor& operator+=(Tensor& x, Number y) { return assign("+=", x, add(x, y)); }
Tensor& operator-=(Tensor& x, Number y) { return assign("-=", x, sub(x, y)); }
Tensor& operator*=(Tensor& x, Number y) { return assign("*=", x, mul(x, y)); }
Tensor& operator/=(Tensor& x, Number y) { return assign("/=", x, div(x, y)); }

void add_to_view(const Tensor& view, const Tensor& g) {
  const Loop loop = make_loop({&view, &view, &g});
  for_floats("add", view, [&]<class T>() {
    kernels<T>(view).binary.apply[static_cast<size_t>(Binary::add)](loop, raw<T>(view),
                                                                    raw<T>(view), raw<T>(g));
  });
}

// Adds in place into whichever of the two is held by nobody else.
Tensor add_gradients(Tensor sum, Tensor gradient) {
  if (!sum.sole_owner()) std::swap(sum, gradient);
  if (GradMode::enabled() || !sum.sole_owner()) return add(sum, gradient);
  add_to_view(sum, gradient);
  return sum;
}

Tensor& Tensor::add_(const Tensor& other, double scale) {
  check_same_dtype("add_", *this, other);
  check(is_contiguous(), "add_: writes in place into a contiguous tensor only");
  mark_written("add_");
  const InsideOp guard;
  Tensor from = broadcast_to(other, broadcast_shapes("add_", shape(), other.shape())).contiguous();
  check(from.shape() == shape(), "add_: {} does not broadcast to {}", called(other), called(*this));
  from = without_overlap(from, *this);
  for_floats("add_", *this, [&]<class T>() {
    kernels<T>(*this).vector.axpy(numel(), raw<T>(*this), static_cast<T>(scale), raw<T>(from));
  });
  return *this;
}

Tensor& Tensor::mul_(double factor) {
  check(is_contiguous(), "mul_: writes in place into a contiguous tensor only");
  mark_written("mul_");
  for_floats("mul_", *this, [&]<class T>() {
    kernels<T>(*this).vector.scale(numel(), raw<T>(*this), static_cast<T>(factor));
  });
  return *this;
}

}  // namespace regrad

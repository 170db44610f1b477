// Elementwise functions. ops/kernels/pointwise.h defines them; here they are recorded in the graph:
//   d f(x)  =  g f'        d (g f')  =  h f'  and  h g f''
#include "ops/kernels/pointwise.h"

#include <optional>

#include "ops/dispatch.h"
#include "ops/ops.h"

namespace regrad {
namespace {

struct Pointwise {
  const char* name;
  Unary function;
  bool of_output = false;  // the slope is computed from the result, not from x
  double p = 0, q = 0;
};

Tensor slope_or_curvature(const Pointwise& f, bool slope, const Tensor& g, const Tensor& s) {
  Tensor out = empty(s.shape(), s.dtype(), s.device());
  const Loop loop = make_loop({&out, &g, &s});
  for_floats(f.name, s, [&]<class T>() {
    const auto& table = kernels<T>(s);
    const auto row = static_cast<size_t>(f.function);
    (slope ? table.unary.slope : table.unary.curvature)[row](
        loop, raw<T>(out), raw<T>(g), raw<T>(s), static_cast<T>(f.p), static_cast<T>(f.q));
  });
  return out;
}

// u f''(s). Its derivative with respect to s would be f''', for which there is no formula here.
Tensor curvature(const Pointwise& f, const Tensor& u, const Tensor& s) {
  return record("curvature", slope_or_curvature(f, false, u, s),
                {{u, [f, s](const Tensor& g) { return curvature(f, g, s); }},
                 {s, [f](const Tensor&) -> Tensor {
                    fail("{}: its third derivative is not available", f.name);
                  }}});
}

// g f'(s)
Tensor slope(const Pointwise& f, const Tensor& g, const Tensor& s) {
  return record("slope", slope_or_curvature(f, true, g, s),
                {{g, [f, s](const Tensor& h) { return slope(f, h, s); }},
                 {s, [f, g, s](const Tensor& h) { return curvature(f, mul(h, g), s); }}});
}

Tensor apply(const Pointwise& f, const Tensor& x) {
  if (!is_float(x.dtype())) return apply(f, x.to(float64)).to(float32);
  Tensor y = empty(x.shape(), x.dtype(), x.device());
  const Loop loop = make_loop({&y, &x});
  for_floats(f.name, x, [&]<class T>() {
    kernels<T>(x).unary.value[static_cast<size_t>(f.function)](
        loop, raw<T>(y), raw<T>(x), static_cast<T>(f.p), static_cast<T>(f.q));
  });
  if (f.of_output) {
    return record(f.name, std::move(y),
                  {{x, [f](const Tensor& g, const Tensor& out) { return slope(f, g, out); }}});
  }
  return record(f.name, std::move(y), {{x, [f, x](const Tensor& g) { return slope(f, g, x); }}});
}

template <Unary function>
Tensor apply(const char* name, const Tensor& x, double p = 0, double q = 0) {
  return apply({name, function, pointwise::Function<function, double>::slope_from_output, p, q}, x);
}

// A bound of clamp for int64: beyond int64's range it has no effect. None for a fraction or NaN.
std::optional<int64_t> integer_bound(Number x, bool is_low) {
  if (const auto integer = x.integer()) return integer;
  if (is_low && x.real() < -0x1p63) return INT64_MIN;
  if (!is_low && x.real() >= 0x1p63) return INT64_MAX;
  return std::nullopt;
}

// A number as an int64 tensor on x's device.
Tensor integer_scalar(const Tensor& x, Number number) { return scalar(number, int64, x.device()); }

}  // namespace

Tensor neg(const Tensor& x) {
  if (!is_float(x.dtype())) return sub(0, x);
  return apply<Unary::neg>("neg", x);
}
Tensor abs(const Tensor& x) {
  if (!is_float(x.dtype())) return maximum(x.to(int64), neg(x));
  return apply<Unary::abs>("abs", x);
}
Tensor square(const Tensor& x) {
  if (!is_float(x.dtype())) return mul(x.to(int64), x);
  return apply<Unary::square>("square", x);
}
Tensor reciprocal(const Tensor& x) { return apply<Unary::reciprocal>("reciprocal", x); }
Tensor sqrt(const Tensor& x) { return apply<Unary::sqrt>("sqrt", x); }
Tensor rsqrt(const Tensor& x) { return apply<Unary::rsqrt>("rsqrt", x); }
Tensor exp(const Tensor& x) { return apply<Unary::exp>("exp", x); }
Tensor log(const Tensor& x) { return apply<Unary::log>("log", x); }
Tensor sin(const Tensor& x) { return apply<Unary::sin>("sin", x); }
Tensor cos(const Tensor& x) { return apply<Unary::cos>("cos", x); }
Tensor tanh(const Tensor& x) { return apply<Unary::tanh>("tanh", x); }
Tensor sigmoid(const Tensor& x) { return apply<Unary::sigmoid>("sigmoid", x); }
Tensor relu(const Tensor& x) {
  if (!is_float(x.dtype())) return maximum(x, integer_scalar(x, 0));
  return apply<Unary::relu>("relu", x);
}
Tensor gelu(const Tensor& x) { return apply<Unary::gelu>("gelu", x); }
Tensor silu(const Tensor& x) { return apply<Unary::silu>("silu", x); }
Tensor erf(const Tensor& x) { return apply<Unary::erf>("erf", x); }

Tensor softplus(const Tensor& x, double beta, double threshold) {
  return apply<Unary::softplus>("softplus", x, beta, threshold);
}

Tensor clamp(const Tensor& x, Number min, Number max) {
  const auto low = integer_bound(min, true), high = integer_bound(max, false);
  if (!is_float(x.dtype()) && low && high) {
    return minimum(maximum(x, integer_scalar(x, *low)), integer_scalar(x, *high));
  }
  return apply<Unary::clamp>("clamp", x, min.real(), max.real());
}

Tensor pow(const Tensor& x, Number number) {
  const double exponent = number.real();
  if (exponent == 1) return mul(x, 1);  // x itself would not be a new tensor
  if (exponent == 2) return square(x);
  if (exponent == 0.5) return sqrt(x);
  if (exponent == -1) return reciprocal(x);
  const auto integer = number.integer();
  if (!is_float(x.dtype()) && integer && *integer >= 0) {
    return pow(x, integer_scalar(x, *integer));
  }
  return apply<Unary::pow>("pow", x, exponent);
}

}  // namespace regrad

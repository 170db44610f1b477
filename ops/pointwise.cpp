// Elementwise functions. ops/kernels/pointwise.h defines them; here they are recorded in the graph:
//   d f(x)  =  g f'        d (g f')  =  h f'  and  h g f''        d (g f'')  =  h f''  and  h g
//   f'''
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

// p² w (1 - 2 s) for s = sigmoid(p x) and w = s (1 - s): the third derivative of softplus.
Tensor third_of_softplus(const Pointwise& f, const Tensor& x) {
  const Tensor s = sigmoid(mul(x, f.p)), w = mul(s, sub(1, s));
  return where(mul(x, f.p) > f.q, 0, mul(mul(w, sub(1, mul(s, 2))), f.p * f.p));
}

// With s = sigmoid(x), w = s (1 - s), d = 1 - 2 s: w (d (3 + x d) - 2 x w).
Tensor third_of_silu(const Tensor& unclamped) {
  const Tensor x = clamp(unclamped, -1000, 1000), s = sigmoid(x);
  const Tensor w = mul(s, sub(1, s)), d = sub(1, mul(s, 2));
  return mul(w, sub(mul(d, add(mul(x, d), 3)), mul(mul(x, w), 2)));
}

// factor e^(-scale x²)
Tensor gaussian(const Tensor& x, double scale, double factor) {
  return mul(exp(mul(square(x), -scale)), factor);
}

// The derivative of the curvature with respect to s, in ops, from which all higher ones follow.
Tensor derivative_of_curvature(const Pointwise& f, const Tensor& s) {
  const Tensor near_zero = clamp(s, -100, 100);  // where a density comes in, it is 0 beyond
  switch (f.function) {
    case Unary::tanh:
    case Unary::sigmoid:
    case Unary::reciprocal:
      return full_like(s, -2);
    case Unary::sqrt:
      return pow(s, -3);
    case Unary::rsqrt:
      return mul(s, -3);
    case Unary::log:
      return mul(pow(s, -3), 2);
    case Unary::log1p:
      return mul(pow(add(s, 1), -3), 2);
    case Unary::sin:
      return neg(cos(s));
    case Unary::cos:
      return sin(s);
    case Unary::pow:
      if (f.p == 0 || f.p == 1 || f.p == 2) return zeros_like(s);
      return mul(pow(s, f.p - 3), f.p * (f.p - 1) * (f.p - 2));
    case Unary::erf:
      return mul(gaussian(near_zero, 1, 1.12837916709551257390), sub(mul(square(near_zero), 4), 2));
    case Unary::gelu:
      return mul(gaussian(near_zero, 0.5, 0.39894228040143267794),
                 mul(near_zero, sub(square(near_zero), 4)));
    case Unary::silu:
      return third_of_silu(s);
    case Unary::softplus:
      return third_of_softplus(f, s);
    case Unary::elu:
      return where(s > 0, 0, mul(exp(s), f.p));
    case Unary::mish:
      fail("{}: its third derivative is not available", f.name);
    default:
      return zeros_like(s);
  }
}

// u f''(s)
Tensor curvature(const Pointwise& f, const Tensor& u, const Tensor& s) {
  return record(
      "curvature", slope_or_curvature(f, false, u, s),
      {{u, [f, s](const Tensor& g) { return curvature(f, g, s); }},
       {s, [f, u, s](const Tensor& g) { return mul(mul(g, u), derivative_of_curvature(f, s)); }}});
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

Tensor floor(const Tensor& x) {
  if (!is_float(x.dtype())) return mul(x.to(int64), 1);  // x itself would not be a new tensor
  return apply<Unary::floor>("floor", x);
}
Tensor round(const Tensor& x) {
  if (!is_float(x.dtype())) return mul(x.to(int64), 1);
  return apply<Unary::round>("round", x);
}
Tensor sign(const Tensor& x) {
  if (!is_float(x.dtype())) return sub((x > 0).to(int64), (x < 0).to(int64));
  return apply<Unary::sign>("sign", x);
}
Tensor log1p(const Tensor& x) { return apply<Unary::log1p>("log1p", x); }
Tensor expm1(const Tensor& x) { return apply<Unary::expm1>("expm1", x); }
Tensor leaky_relu(const Tensor& x, double slope) {
  return apply<Unary::leaky_relu>("leaky_relu", x, slope);
}
Tensor elu(const Tensor& x, double alpha) { return apply<Unary::elu>("elu", x, alpha); }
Tensor hardtanh(const Tensor& x, double min, double max) {
  check(min <= max, "hardtanh: min {} must not be above max {}", min, max);
  return apply<Unary::hardtanh>("hardtanh", x, min, max);
}
Tensor mish(const Tensor& x) { return apply<Unary::mish>("mish", x); }

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

// Every pointwise function of one argument, and the logistic loss, written once for all backends
// and vector widths.
//   value(x)       f(x)
//   slope(s)       f'(x), and curvature(s) the derivative of slope with respect to s,
// where s is x, or f(x) for functions whose slope is cheaper to compute from it (SlopeFromOutput).
// V is a SIMD vector (ops/cpu) or a scalar; v_exp, v_select, ... come from V's backend.
// p and q are the function's parameters, which the op passes.
#pragma once

#include "ops/kernels/table.h"

namespace regrad::pointwise {

struct SlopeFromInput {
  static constexpr bool slope_from_output = false;
};
struct SlopeFromOutput {
  static constexpr bool slope_from_output = true;
};

template <class V>
constexpr V number(double x) {
  if constexpr (requires { typename V::value_type; }) {
    return V(static_cast<typename V::value_type>(x));
  } else {
    return static_cast<V>(x);
  }
}

template <Unary, class V>
struct Function;

template <class V>
struct Function<Unary::neg, V> : SlopeFromInput {
  static constexpr V value(V x, V, V) { return v_neg(x); }
  static constexpr V slope(V, V, V) { return number<V>(-1); }
  static constexpr V curvature(V, V, V) { return number<V>(0); }
};

template <class V>
struct Function<Unary::abs, V> : SlopeFromInput {
  static constexpr V value(V x, V, V) { return v_abs(x); }
  static constexpr V slope(V x, V, V) {
    const V zero = number<V>(0);
    return v_select(x > zero, number<V>(1), v_select(x < zero, number<V>(-1), x));
  }
  static constexpr V curvature(V, V, V) { return number<V>(0); }
};

template <class V>
struct Function<Unary::square, V> : SlopeFromInput {
  static constexpr V value(V x, V, V) { return x * x; }
  static constexpr V slope(V x, V, V) { return x + x; }
  static constexpr V curvature(V, V, V) { return number<V>(2); }
};

template <class V>
struct Function<Unary::reciprocal, V> : SlopeFromOutput {
  static constexpr V value(V x, V, V) { return number<V>(1) / x; }
  static constexpr V slope(V y, V, V) { return v_neg(y * y); }
  static constexpr V curvature(V y, V, V) { return number<V>(-2) * y; }
};

template <class V>
struct Function<Unary::sqrt, V> : SlopeFromOutput {
  static constexpr V value(V x, V, V) { return v_sqrt(x); }
  static constexpr V slope(V y, V, V) { return number<V>(0.5) / y; }
  static constexpr V curvature(V y, V, V) { return number<V>(-0.5) / (y * y); }
};

template <class V>
struct Function<Unary::rsqrt, V> : SlopeFromOutput {
  static constexpr V value(V x, V, V) { return number<V>(1) / v_sqrt(x); }
  static constexpr V slope(V y, V, V) { return number<V>(-0.5) * y * y * y; }
  static constexpr V curvature(V y, V, V) { return number<V>(-1.5) * y * y; }
};

template <class V>
struct Function<Unary::exp, V> : SlopeFromOutput {
  static constexpr V value(V x, V, V) { return v_exp(x); }
  static constexpr V slope(V y, V, V) { return y; }
  static constexpr V curvature(V, V, V) { return number<V>(1); }
};

template <class V>
struct Function<Unary::log, V> : SlopeFromInput {
  static constexpr V value(V x, V, V) { return v_log(x); }
  static constexpr V slope(V x, V, V) { return number<V>(1) / x; }
  static constexpr V curvature(V x, V, V) { return v_neg(slope(x, x, x) * slope(x, x, x)); }
};

template <class V>
struct Function<Unary::sin, V> : SlopeFromInput {
  static constexpr V value(V x, V, V) { return v_sin(x); }
  static constexpr V slope(V x, V, V) { return v_cos(x); }
  static constexpr V curvature(V x, V, V) { return v_neg(v_sin(x)); }
};

template <class V>
struct Function<Unary::cos, V> : SlopeFromInput {
  static constexpr V value(V x, V, V) { return v_cos(x); }
  static constexpr V slope(V x, V, V) { return v_neg(v_sin(x)); }
  static constexpr V curvature(V x, V, V) { return v_neg(v_cos(x)); }
};

template <class V>
struct Function<Unary::tanh, V> : SlopeFromOutput {
  static constexpr V value(V x, V, V) { return v_tanh(x); }
  static constexpr V slope(V y, V, V) { return number<V>(1) - y * y; }
  static constexpr V curvature(V y, V, V) { return number<V>(-2) * y; }
};

template <class V>
struct Function<Unary::sigmoid, V> : SlopeFromOutput {
  static constexpr V value(V x, V, V) { return v_sigmoid(x); }
  static constexpr V slope(V y, V, V) { return y * (number<V>(1) - y); }
  static constexpr V curvature(V y, V, V) { return number<V>(1) - (y + y); }
};

template <class V>
struct Function<Unary::relu, V> : SlopeFromOutput {
  static constexpr V value(V x, V, V) { return v_max(x, number<V>(0)); }
  static constexpr V slope(V y, V, V) {
    return v_select(y > number<V>(0), number<V>(1), number<V>(0));
  }
  static constexpr V curvature(V, V, V) { return number<V>(0); }
};

// x Phi(x), with Phi the normal distribution and phi its density (Hendrycks and Gimpel, 2016).
template <class V>
struct Function<Unary::gelu, V> : SlopeFromInput {
  static constexpr V value(V x, V, V) { return v_gelu(x); }
  static constexpr V slope(V x, V, V) { return v_gelu_slope(x); }          // Phi(x) + x phi(x)
  static constexpr V curvature(V x, V, V) { return v_gelu_curvature(x); }  // phi(x) (2 - x^2)
};

// x sigmoid(x). x is clamped to +-1000, where the sigmoid is 0 or 1, so that an infinity is never
// multiplied by 0.
template <class V>
struct Function<Unary::silu, V> : SlopeFromInput {
  static constexpr V value(V x, V, V) { return clamp_below(x, -1000) * v_sigmoid(x); }
  static constexpr V slope(V unclamped, V, V) {
    const V x = v_clamp(unclamped, 1000), s = v_sigmoid(x);
    return s * (number<V>(1) + x * (number<V>(1) - s));
  }
  static constexpr V curvature(V unclamped, V, V) {
    const V x = v_clamp(unclamped, 1000), s = v_sigmoid(x);
    return s * (number<V>(1) - s) * (number<V>(2) + x * (number<V>(1) - (s + s)));
  }
};

// log(1 + exp(p x)) / p, and x itself where p x > q
template <class V>
struct Function<Unary::softplus, V> : SlopeFromInput {
  static constexpr V value(V x, V p, V q) {
    const V y = p * x, log1p = v_log1p_unit(v_exp(v_neg(v_abs(y))));
    return v_select(y > q, x, (v_max(y, number<V>(0)) + log1p) / p);
  }
  static constexpr V slope(V x, V p, V q) {
    return v_select(p * x > q, number<V>(1), v_sigmoid(p * x));
  }
  static constexpr V curvature(V x, V p, V q) {
    const V s = v_sigmoid(p * x);
    return v_select(p * x > q, number<V>(0), p * s * (number<V>(1) - s));
  }
};

template <class V>
struct Function<Unary::erf, V> : SlopeFromInput {
  static constexpr V value(V x, V, V) { return v_erf(x); }
  static constexpr V slope(V x, V, V) {
    return number<V>(1.12837916709551257390) * v_exp(v_neg(x * x));
  }
  static constexpr V curvature(V x, V p, V q) {  // 0 for |x| > 30: -infinity * 0 would be NaN
    return number<V>(-2) * v_clamp(x, 30) * slope(x, p, q);
  }
};

// x clamped to [p, q]
template <class V>
struct Function<Unary::clamp, V> : SlopeFromInput {
  static constexpr V value(V x, V p, V q) { return v_min(v_max(x, p), q); }
  static constexpr V slope(V x, V p, V q) {
    const V zero = number<V>(0);
    return v_select(x < p, zero, v_select(x > q, zero, number<V>(1)));
  }
  static constexpr V curvature(V, V, V) { return number<V>(0); }
};

// x^p for a number p. Where a factor of the derivative is 0, the derivative is 0, even if x^(p - 1)
// is infinite.
template <class V>
struct Function<Unary::pow, V> : SlopeFromInput {
  static constexpr V value(V x, V p, V) { return v_pow(x, p); }
  static constexpr V slope(V x, V p, V) { return times(p, x, p - number<V>(1)); }
  static constexpr V curvature(V x, V p, V) {
    return times(p * (p - number<V>(1)), x, p - number<V>(2));
  }
  static constexpr V times(V factor, V x, V exponent) {
    return v_select(factor == number<V>(0), factor, factor * v_pow(x, exponent));
  }
};

// The logistic loss of a logit x and a target t, log(1 + e^x) - t x without overflow, and its
// derivative with respect to x. It is computed as weight |x| + log(1 + e^-|x|), where the weight is
// 1 - t for x > 0 and t otherwise; a weight of 0 wins over an infinite x.
template <class V>
constexpr V logistic_loss(V x, V t) {
  const V zero = number<V>(0), magnitude = v_abs(x);
  const V weight = v_select(x > zero, number<V>(1) - t, t);
  return v_select(weight == zero, weight, weight * magnitude) +
         v_log1p_unit(v_exp(v_neg(magnitude)));
}
template <class V>
constexpr V logistic_slope(V x, V t) {
  return v_sigmoid(x) - t;
}

}  // namespace regrad::pointwise

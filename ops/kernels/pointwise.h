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

// Rounded to the nearest integer, of two equally near ones to the even one: adding 2^23 (2^52 in
// double), where the spacing of floats is 1, does that.
template <class V>
[[gnu::always_inline]] constexpr V round_to_even(V x) {
  constexpr bool single = [] {
    if constexpr (requires { typename V::value_type; }) return sizeof(typename V::value_type) == 4;
    return sizeof(V) == 4;
  }();
  const V limit = number<V>(single ? 0x1p23 : 0x1p52), magnitude = v_abs(x);
  const V rounded = (magnitude + limit) - limit;
  const V with_sign = v_select(x < number<V>(0), v_neg(rounded), rounded);
  return v_select(magnitude < limit, v_select(x == number<V>(0), x, with_sign), x);
}

// A function with steps: its slope is 0.
struct Step : SlopeFromInput {
  template <class V>
  static constexpr V slope(V, V, V) {
    return number<V>(0);
  }
  template <class V>
  static constexpr V curvature(V, V, V) {
    return number<V>(0);
  }
};

template <class V>
struct Function<Unary::floor, V> : Step {
  static constexpr V value(V x, V, V) {
    const V rounded = round_to_even(x);
    return v_select(rounded > x, rounded - number<V>(1), rounded);
  }
};

template <class V>
struct Function<Unary::round, V> : Step {
  static constexpr V value(V x, V, V) { return round_to_even(x); }
};

template <class V>
struct Function<Unary::sign, V> : Step {
  static constexpr V value(V x, V, V) { return Function<Unary::abs, V>::slope(x, x, x); }
};

// log(1 + x) = log(u) + (x - (u - 1)) / u, where u is 1 + x rounded: the second term makes up for
// that (Goldberg, 1991, has it as a factor).
template <class V>
struct Function<Unary::log1p, V> : SlopeFromInput {
  static constexpr V value(V x, V, V) {
    const V one = number<V>(1), u = one + x, log_u = v_log(u);
    const V corrected = v_select(u == one, x, log_u + (x - (u - one)) / u);
    return v_select(u == x, log_u, v_select(u == number<V>(0), log_u, corrected));
  }
  static constexpr V slope(V x, V, V) { return number<V>(1) / (number<V>(1) + x); }
  static constexpr V curvature(V x, V, V) { return v_neg(slope(x, x, x) * slope(x, x, x)); }
};

// e^x - 1 = tanh(x / 2) (e^x + 1): no digits are lost near 0.
template <class V>
[[gnu::always_inline]] constexpr V exp_minus_one(V x) {
  return v_tanh(number<V>(0.5) * x) * (v_exp(x) + number<V>(1));
}

template <class V>
struct Function<Unary::expm1, V> : SlopeFromOutput {
  static constexpr V value(V x, V, V) { return exp_minus_one(x); }
  static constexpr V slope(V y, V, V) { return y + number<V>(1); }
  static constexpr V curvature(V, V, V) { return number<V>(1); }
};

// x, and p x below 0
template <class V>
struct Function<Unary::leaky_relu, V> : SlopeFromInput {
  static constexpr V value(V x, V p, V) { return v_select(x > number<V>(0), x, p * x); }
  static constexpr V slope(V x, V p, V) { return v_select(x > number<V>(0), number<V>(1), p); }
  static constexpr V curvature(V, V, V) { return number<V>(0); }
};

// x, and p (e^x - 1) below 0
template <class V>
struct Function<Unary::elu, V> : SlopeFromInput {
  static constexpr V value(V x, V p, V) {
    return v_select(x > number<V>(0), x, p * exp_minus_one(x));
  }
  static constexpr V slope(V x, V p, V) {
    return v_select(x > number<V>(0), number<V>(1), p * v_exp(x));
  }
  static constexpr V curvature(V x, V p, V) {
    return v_select(x > number<V>(0), number<V>(0), p * v_exp(x));
  }
};

// x clamped to [p, q]; unlike clamp's, its slope is 0 at p and q.
template <class V>
struct Function<Unary::hardtanh, V> : SlopeFromInput {
  static constexpr V value(V x, V p, V q) { return Function<Unary::clamp, V>::value(x, p, q); }
  static constexpr V slope(V x, V p, V q) {
    const V zero = number<V>(0);
    return v_select(x > p, v_select(x < q, number<V>(1), zero), zero);
  }
  static constexpr V curvature(V, V, V) { return number<V>(0); }
};

// x tanh(log(1 + e^x)) (Misra, 2019). With n = e^x (e^x + 2) the tanh is t = n / (n + 2), so that
// 1 - t^2 = 2 (1 + t) / (n + 2); for x > 20 it is 1.
template <class V>
struct Function<Unary::mish, V> : SlopeFromInput {
  struct Parts {
    V x, t, slope, sigmoid;  // slope: of t, (1 - t^2) sigmoid(x)
  };
  static constexpr V n_of(V x) {
    const V e = v_exp(v_min(x, number<V>(20)));
    return e * (e + number<V>(2));
  }
  [[gnu::always_inline]] static constexpr Parts parts(V unclamped) {
    const V x = v_clamp(unclamped, 1000), n = n_of(x), rest = number<V>(2) / (n + number<V>(2));
    const V t = n / (n + number<V>(2)), s = v_sigmoid(x);
    return {x, t, rest * (number<V>(1) + t) * s, s};
  }
  static constexpr V value(V x, V, V) {
    const V n = n_of(x);
    return clamp_below(x, -1000) * (n / (n + number<V>(2)));
  }
  static constexpr V slope(V x, V, V) {
    const Parts at = parts(x);
    return at.t + at.x * at.slope;
  }
  static constexpr V curvature(V x, V, V) {
    const Parts at = parts(x);
    const V bend = number<V>(1) - at.sigmoid - number<V>(2) * at.t * at.sigmoid;
    return at.slope * (number<V>(2) + at.x * bend);
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

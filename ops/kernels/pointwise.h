// Every pointwise function of one argument, and the logistic loss, written once for all backends
// and vector widths.
//   value(x)       f(x)
//   slope(s)       f'(x), and curvature(s) its derivative by s,
// where s is x, or f(x) for functions whose slope is cheaper from their result (OfOutput).
// V is a SIMD vector (ops/cpu) or a plain number; v_exp, v_select, ... come with V's backend.
// p and q are the function's parameters, given to it by the op.
#pragma once

#include "ops/kernels/table.h"

namespace regrad::pointwise {

struct OfInput {
  static constexpr bool of_output = false;
};
struct OfOutput {
  static constexpr bool of_output = true;
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
struct Function<Unary::neg, V> : OfInput {
  static constexpr V value(V x, V, V) { return v_neg(x); }
  static constexpr V slope(V, V, V) { return number<V>(-1); }
  static constexpr V curvature(V, V, V) { return number<V>(0); }
};

template <class V>
struct Function<Unary::abs, V> : OfInput {
  static constexpr V value(V x, V, V) { return v_abs(x); }
  static constexpr V slope(V x, V, V) {
    const V zero = number<V>(0);
    return v_select(x > zero, number<V>(1), v_select(x < zero, number<V>(-1), x));
  }
  static constexpr V curvature(V, V, V) { return number<V>(0); }
};

template <class V>
struct Function<Unary::square, V> : OfInput {
  static constexpr V value(V x, V, V) { return x * x; }
  static constexpr V slope(V x, V, V) { return x + x; }
  static constexpr V curvature(V, V, V) { return number<V>(2); }
};

template <class V>
struct Function<Unary::reciprocal, V> : OfOutput {
  static constexpr V value(V x, V, V) { return number<V>(1) / x; }
  static constexpr V slope(V y, V, V) { return v_neg(y * y); }
  static constexpr V curvature(V y, V, V) { return number<V>(-2) * y; }
};

template <class V>
struct Function<Unary::sqrt, V> : OfOutput {
  static constexpr V value(V x, V, V) { return v_sqrt(x); }
  static constexpr V slope(V y, V, V) { return number<V>(0.5) / y; }
  static constexpr V curvature(V y, V, V) { return number<V>(-0.5) / (y * y); }
};

template <class V>
struct Function<Unary::rsqrt, V> : OfOutput {
  static constexpr V value(V x, V, V) { return number<V>(1) / v_sqrt(x); }
  static constexpr V slope(V y, V, V) { return number<V>(-0.5) * y * y * y; }
  static constexpr V curvature(V y, V, V) { return number<V>(-1.5) * y * y; }
};

template <class V>
struct Function<Unary::exp, V> : OfOutput {
  static constexpr V value(V x, V, V) { return v_exp(x); }
  static constexpr V slope(V y, V, V) { return y; }
  static constexpr V curvature(V, V, V) { return number<V>(1); }
};

template <class V>
struct Function<Unary::log, V> : OfInput {
  static constexpr V value(V x, V, V) { return v_log(x); }
  static constexpr V slope(V x, V, V) { return number<V>(1) / x; }
  static constexpr V curvature(V x, V, V) { return v_neg(slope(x, x, x) * slope(x, x, x)); }
};

template <class V>
struct Function<Unary::sin, V> : OfInput {
  static constexpr V value(V x, V, V) { return v_sin(x); }
  static constexpr V slope(V x, V, V) { return v_cos(x); }
  static constexpr V curvature(V x, V, V) { return v_neg(v_sin(x)); }
};

template <class V>
struct Function<Unary::cos, V> : OfInput {
  static constexpr V value(V x, V, V) { return v_cos(x); }
  static constexpr V slope(V x, V, V) { return v_neg(v_sin(x)); }
  static constexpr V curvature(V x, V, V) { return v_neg(v_cos(x)); }
};

template <class V>
struct Function<Unary::tanh, V> : OfOutput {
  static constexpr V value(V x, V, V) { return v_tanh(x); }
  static constexpr V slope(V y, V, V) { return number<V>(1) - y * y; }
  static constexpr V curvature(V y, V, V) { return number<V>(-2) * y; }
};

template <class V>
struct Function<Unary::sigmoid, V> : OfOutput {
  static constexpr V value(V x, V, V) { return v_sigmoid(x); }
  static constexpr V slope(V y, V, V) { return y * (number<V>(1) - y); }
  static constexpr V curvature(V y, V, V) { return number<V>(1) - (y + y); }
};

template <class V>
struct Function<Unary::relu, V> : OfOutput {
  static constexpr V value(V x, V, V) { return v_max(x, number<V>(0)); }
  static constexpr V slope(V y, V, V) {
    return v_select(y > number<V>(0), number<V>(1), number<V>(0));
  }
  static constexpr V curvature(V, V, V) { return number<V>(0); }
};

// x Phi(x), with Phi the normal distribution and phi its density (Hendrycks and Gimpel, 2016).
template <class V>
struct Function<Unary::gelu, V> : OfInput {
  static constexpr V value(V x, V, V) { return v_gelu(x); }
  static constexpr V slope(V x, V, V) { return v_gelu_slope(x); }          // Phi(x) + x phi(x)
  static constexpr V curvature(V x, V, V) { return v_gelu_curvature(x); }  // phi(x) (2 - x^2)
};

// x sigmoid(x). Beyond 1000 the sigmoid is 0 or 1: an infinity is not multiplied by its 0.
template <class V>
struct Function<Unary::silu, V> : OfInput {
  static constexpr V value(V x, V, V) { return bounded_below(x, -1000) * v_sigmoid(x); }
  static constexpr V slope(V at, V, V) {
    const V x = v_bounded(at, 1000), s = v_sigmoid(x);
    return s * (number<V>(1) + x * (number<V>(1) - s));
  }
  static constexpr V curvature(V at, V, V) {
    const V x = v_bounded(at, 1000), s = v_sigmoid(x);
    return s * (number<V>(1) - s) * (number<V>(2) + x * (number<V>(1) - (s + s)));
  }
};

// log(1 + exp(p x)) / p, and x itself where p x > q
template <class V>
struct Function<Unary::softplus, V> : OfInput {
  static constexpr V value(V x, V p, V q) {
    const V y = p * x, rest = v_log1p_of_share(v_exp(v_neg(v_abs(y))));
    return v_select(y > q, x, (v_max(y, number<V>(0)) + rest) / p);
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
struct Function<Unary::erf, V> : OfInput {
  static constexpr V value(V x, V, V) { return v_erf(x); }
  static constexpr V slope(V x, V, V) {
    return number<V>(1.12837916709551257390) * v_exp(v_neg(x * x));
  }
  static constexpr V curvature(V x, V p, V q) {  // beyond 30 it is 0
    return number<V>(-2) * v_bounded(x, 30) * slope(x, p, q);
  }
};

// x kept within [p, q]
template <class V>
struct Function<Unary::clamp, V> : OfInput {
  static constexpr V value(V x, V p, V q) { return v_min(v_max(x, p), q); }
  static constexpr V slope(V x, V p, V q) {
    const V zero = number<V>(0);
    return v_select(x < p, zero, v_select(x > q, zero, number<V>(1)));
  }
  static constexpr V curvature(V, V, V) { return number<V>(0); }
};

// x^p for a number p; a factor of 0 wins over x^negative at 0, so that the slope of x^1 is 1.
template <class V>
struct Function<Unary::pow, V> : OfInput {
  static constexpr V value(V x, V p, V) { return v_pow(x, p); }
  static constexpr V slope(V x, V p, V) { return times(p, x, p - number<V>(1)); }
  static constexpr V curvature(V x, V p, V) {
    return times(p * (p - number<V>(1)), x, p - number<V>(2));
  }
  static constexpr V times(V factor, V x, V exponent) {
    return v_select(factor == number<V>(0), factor, factor * v_pow(x, exponent));
  }
};

// Of two arguments, a score and a target: log(1 + e^x) - t x, without overflow, and its slope by x.
// What is left of the two for a large |x| is (1 - t) |x| or t |x|, and 0 where the target is met.
template <class V>
constexpr V logistic_loss(V x, V t) {
  const V zero = number<V>(0), size = v_abs(x);
  const V missed = v_select(x > zero, number<V>(1) - t, t);
  return v_select(missed == zero, missed, missed * size) + v_log1p_of_share(v_exp(v_neg(size)));
}
template <class V>
constexpr V logistic_slope(V x, V t) {
  return v_sigmoid(x) - t;
}

}  // namespace regrad::pointwise

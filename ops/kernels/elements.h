// Binary functions, comparisons and conversions of elements, written once for all backends.
// V is a SIMD vector (ops/cpu) or a scalar; v_max, v_min and v_pow come from V's backend.
// Everything is inlined: the linker must not share a copy compiled for one instruction set with
// code for another.
#pragma once

#include <type_traits>

#include "ops/kernels/table.h"

namespace regrad::pointwise {

// x^exponent, wrapping around on overflow. A negative exponent gives the result truncated to an
// integer, and 0 for x = 0.
[[gnu::always_inline]] constexpr int64_t integer_pow(int64_t x, int64_t exponent) {
  if (exponent < 0) return x == 1 ? 1 : x == -1 ? (exponent % 2 == 0 ? 1 : -1) : 0;
  uint64_t result = 1, factor = static_cast<uint64_t>(x);
  for (auto remaining = static_cast<uint64_t>(exponent); remaining != 0; remaining >>= 1) {
    if (remaining & 1) result *= factor;
    factor *= factor;
  }
  return static_cast<int64_t>(result);
}

// x / y, truncated. x / 0 is 0 and INT64_MIN / -1 wraps around, where the division instruction
// would end the program: callers report a division by zero before they get here.
[[gnu::always_inline]] constexpr int64_t integer_div(int64_t x, int64_t y) {
  if (y == 0) return 0;
  if (y == -1) return static_cast<int64_t>(0 - static_cast<uint64_t>(x));
  return x / y;
}

template <Binary function>
[[gnu::always_inline]] constexpr int64_t apply_integer(int64_t a, int64_t b) {
  const auto x = static_cast<uint64_t>(a), y = static_cast<uint64_t>(b);
  if constexpr (function == Binary::add) return static_cast<int64_t>(x + y);
  if constexpr (function == Binary::sub) return static_cast<int64_t>(x - y);
  if constexpr (function == Binary::mul) return static_cast<int64_t>(x * y);
  if constexpr (function == Binary::div) return integer_div(a, b);
  if constexpr (function == Binary::maximum) return a > b ? a : b;
  if constexpr (function == Binary::minimum) return a < b ? a : b;
  if constexpr (function == Binary::pow) return integer_pow(a, b);
}

template <Binary function, class V>
[[gnu::always_inline]] constexpr V apply_binary(V a, V b) {
  if constexpr (function == Binary::add) return a + b;
  if constexpr (function == Binary::sub) return a - b;
  if constexpr (function == Binary::mul) return a * b;
  if constexpr (function == Binary::div) return a / b;
  if constexpr (function == Binary::maximum) return v_max(a, b);
  if constexpr (function == Binary::minimum) return v_min(a, b);
  if constexpr (function == Binary::pow) return v_pow(a, b);
}

template <Compare function, class T>
[[gnu::always_inline]] constexpr bool compare(T a, T b) {
  if constexpr (function == Compare::equal) return a == b;
  if constexpr (function == Compare::not_equal) return !(a == b);
  if constexpr (function == Compare::less) return a < b;
  if constexpr (function == Compare::less_equal) return a <= b;
  if constexpr (function == Compare::greater) return a > b;
  if constexpr (function == Compare::greater_equal) return a >= b;
}

// Converts between dtypes: floats are truncated to integers, and everything but 0 is true. A float
// out of the range of int64 becomes INT64_MIN, as with the x86 instruction.
template <class To, class From>
[[gnu::always_inline]] constexpr To convert_element(From x) {
  if constexpr (sizeof(To) == 1) {
    return x != From(0);
  } else if constexpr (std::is_floating_point_v<From> && !std::is_floating_point_v<To>) {
    const bool fits = x >= From(-9223372036854775808.0) && x < From(9223372036854775808.0);
    return fits ? static_cast<To>(x) : INT64_MIN;
  } else {
    return static_cast<To>(x);
  }
}

}  // namespace regrad::pointwise

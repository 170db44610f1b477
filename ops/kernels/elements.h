// What is done with two elements, and with one as an element of another type: written once for all
// backends. V is a SIMD vector (ops/cpu) or a plain number; v_max, v_min and v_pow come with it.
// All is inlined: a copy compiled for one instruction set must not serve another.
#pragma once

#include <type_traits>

#include "ops/kernels/table.h"

namespace regrad::pointwise {

// Whole numbers wrap around; a negative power of one is cut to a whole number, 0 for 0.
[[gnu::always_inline]] constexpr int64_t whole_power(int64_t x, int64_t exponent) {
  if (exponent < 0) return x == 1 ? 1 : x == -1 ? (exponent % 2 == 0 ? 1 : -1) : 0;
  uint64_t result = 1, factor = static_cast<uint64_t>(x);
  for (auto left = static_cast<uint64_t>(exponent); left != 0; left >>= 1) {
    if (left & 1) result *= factor;
    factor *= factor;
  }
  return static_cast<int64_t>(result);
}

// x / 0 is 0: what a caller does not let through must not end the program.
[[gnu::always_inline]] constexpr int64_t whole_quotient(int64_t x, int64_t y) {
  if (y == 0) return 0;
  if (y == -1) return static_cast<int64_t>(0 - static_cast<uint64_t>(x));
  return x / y;
}

template <Binary function>
[[gnu::always_inline]] constexpr int64_t apply_whole(int64_t a, int64_t b) {
  const auto x = static_cast<uint64_t>(a), y = static_cast<uint64_t>(b);
  if constexpr (function == Binary::add) return static_cast<int64_t>(x + y);
  if constexpr (function == Binary::sub) return static_cast<int64_t>(x - y);
  if constexpr (function == Binary::mul) return static_cast<int64_t>(x * y);
  if constexpr (function == Binary::div) return whole_quotient(a, b);
  if constexpr (function == Binary::maximum) return a > b ? a : b;
  if constexpr (function == Binary::minimum) return a < b ? a : b;
  if constexpr (function == Binary::pow) return whole_power(a, b);
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

// Elements of one type as another: fractions are cut off, and anything but 0 is true. What no
// int64 can hold becomes the least one, as x86 does.
template <class To, class From>
[[gnu::always_inline]] constexpr To converted(From x) {
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

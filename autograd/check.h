// check(condition, "format", ...): user input that must hold, also in release builds.
// For .cpp files only: fmt stays out of every public header.
#pragma once

#include <fmt/format.h>

#include <string>
#include <utility>

#include "autograd/dtype.h"
#include "autograd/error.h"
#include "autograd/shape.h"

// Shapes and dtypes are given as they are and turned into text only when a check fails.
template <>
struct fmt::formatter<regrad::DType> {
  constexpr auto parse(fmt::format_parse_context& context) { return context.begin(); }
  template <class Context>
  auto format(regrad::DType dtype, Context& context) const {
    return fmt::format_to(context.out(), "{}", regrad::name(dtype));
  }
};

template <>
struct fmt::formatter<regrad::Shape> {
  constexpr auto parse(fmt::format_parse_context& context) { return context.begin(); }
  template <class Context>
  auto format(const regrad::Shape& shape, Context& context) const {
    return fmt::format_to(context.out(), "{}", shape.str());
  }
};

namespace regrad {

template <class... Args>
[[noreturn]] void fail(fmt::format_string<Args...> text, Args&&... args) {
  throw Error(fmt::format(text, std::forward<Args>(args)...));
}

template <class... Args>
void check(bool condition, fmt::format_string<Args...> text, Args&&... args) {
  if (!condition) [[unlikely]] {
    fail(text, std::forward<Args>(args)...);
  }
}

}  // namespace regrad

// check(condition, "format", ...): user input that must hold, also in release builds.
// For .cpp files only: fmt stays out of every public header.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

#include "autograd/dtype.h"
#include "autograd/error.h"
#include "autograd/shape.h"

// Shapes and dtypes are given as they are and turned into text only when a check fails.
template <>
struct fmt::formatter<regrad::DType> : fmt::formatter<std::string_view> {
  fmt::format_context::iterator format(regrad::DType, fmt::format_context&) const;
};

template <>
struct fmt::formatter<regrad::Shape> : fmt::formatter<std::string_view> {
  fmt::format_context::iterator format(const regrad::Shape&, fmt::format_context&) const;
};

namespace regrad {

// Shows the text to observers and throws it as an Error (observer.cpp).
[[noreturn]] void throw_error(const std::string& text);

template <class... Args>
[[noreturn]] void fail(fmt::format_string<Args...> text, Args&&... args) {
  throw_error(fmt::format(text, std::forward<Args>(args)...));
}

template <class... Args>
void check(bool condition, fmt::format_string<Args...> text, Args&&... args) {
  if (!condition) [[unlikely]] {
    fail(text, std::forward<Args>(args)...);
  }
}

}  // namespace regrad

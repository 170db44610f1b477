// check(condition, "format", ...): user input that must hold, also in release builds.
// For .cpp files only: fmt stays out of every public header.
#pragma once

#include <fmt/format.h>

#include <utility>

#include "autograd/error.h"

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

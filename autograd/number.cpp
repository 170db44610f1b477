#include "autograd/number.h"

#include <cmath>

#include "autograd/check.h"

namespace regrad {

std::optional<int64_t> Number::integer() const {
  if (!is_float(dtype_)) return integer_;
  if (!(real_ >= -0x1p63 && real_ < 0x1p63) || real_ != std::trunc(real_)) return std::nullopt;
  return static_cast<int64_t>(real_);
}

std::string Number::str() const {
  return is_float(dtype_) ? fmt::format("{}", real_) : std::to_string(integer_);
}

template <class T>
T Number::as(const char* op) const {
  if constexpr (std::is_floating_point_v<T>) {
    return static_cast<T>(real());
  } else {
    const std::optional<int64_t> value = integer();
    const bool fits = value && (std::same_as<T, int64_t> || *value == 0 || *value == 1);
    check(fits, "{}: the number {} does not fit a tensor of {}, which holds {}", op, str(),
          dtype_of<T>, std::same_as<T, bool> ? "0 and 1" : "64-bit integers");
    return static_cast<T>(*value);
  }
}

template float Number::as(const char*) const;
template double Number::as(const char*) const;
template int64_t Number::as(const char*) const;
template bool Number::as(const char*) const;

}  // namespace regrad

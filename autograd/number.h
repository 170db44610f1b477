// A number that an op takes beside a tensor: `x + 1`, `full({2}, 0.5)`. Integers are kept exactly,
// also those that no double can hold.
#pragma once

#include <concepts>
#include <optional>
#include <string>
#include <type_traits>

#include "autograd/dtype.h"

namespace regrad {

class Number {
 public:
  template <class T>
  requires std::is_arithmetic_v<T>
  constexpr Number(T value) {  // any number or bool; unsigned ones above 2^63 - 1 as double
    if constexpr (std::same_as<T, bool>) {
      dtype_ = DType::boolean;
      integer_ = value;
    } else if constexpr (std::is_floating_point_v<T>) {
      real_ = static_cast<double>(value);
    } else if (!std::is_unsigned_v<T> || static_cast<uint64_t>(value) <= uint64_t{INT64_MAX}) {
      dtype_ = DType::int64;
      integer_ = static_cast<int64_t>(value);
    } else {
      real_ = static_cast<double>(value);
    }
  }

  DType dtype() const { return dtype_; }  // as it was written: float64, int64 or bool
  // The nearest double.
  double real() const { return is_float(dtype_) ? real_ : static_cast<double>(integer_); }
  std::optional<int64_t> integer() const;  // none: a fraction, not finite, or out of int64's range
  std::string str() const;                 // in digits, for errors

  // As an element of a tensor. An Error that names op if the dtype cannot hold it: int64 takes
  // integers, bool 0 and 1.
  template <class T>
  T as(const char* op) const;

 private:
  DType dtype_ = DType::float64;
  union {
    double real_ = 0;
    int64_t integer_;
  };
};

}  // namespace regrad

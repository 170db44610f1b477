// A number beside a tensor, as ops take it: `x + 1`, `full({2}, 0.5)`. A whole one is exact, also
// where no double could hold it.
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
      whole_ = value;
    } else if constexpr (std::is_floating_point_v<T>) {
      real_ = static_cast<double>(value);
    } else if (!std::is_unsigned_v<T> || static_cast<uint64_t>(value) <= uint64_t{INT64_MAX}) {
      dtype_ = DType::int64;
      whole_ = static_cast<int64_t>(value);
    } else {
      real_ = static_cast<double>(value);
    }
  }

  DType dtype() const { return dtype_; }  // as it was written: float64, int64 or bool
  // The nearest double.
  double real() const { return is_float(dtype_) ? real_ : static_cast<double>(whole_); }
  std::optional<int64_t> whole() const;  // none: a fraction, not finite, or too large for int64
  std::string str() const;              // in digits, for errors

  // As an element of a tensor; an Error that names op where the dtype cannot hold it: int64 takes
  // whole numbers, bool 0 and 1.
  template <class T>
  T as(const char* op) const;

 private:
  DType dtype_ = DType::float64;
  union {
    double real_ = 0;
    int64_t whole_;
  };
};

}  // namespace regrad

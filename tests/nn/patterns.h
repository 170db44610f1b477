// Numbers that need no file: parameters and inputs in a fixed pattern, and comparing with literals.
#pragma once

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "regrad.h"

namespace regrad {

// The model in float64, parameter number k being sin(1 + 0.7 k) / 2, counted in order of names.
template <class M>
M patterned(M module) {
  nn::to(module, float64);
  double k = 0;
  for (Tensor& parameter : nn::parameters(module)) {
    std::vector<double> values;
    for (int64_t i = 0; i < parameter.numel(); ++i) values.push_back(std::sin(1 + 0.7 * k++) / 2);
    const NoGrad guard;
    parameter.copy_(tensor(values, parameter.shape()));
  }
  return module;
}

// Element k is cos(0.3 (k + shift) + shift).
inline Tensor waves(const Shape& shape, double shift = 0) {
  std::vector<double> values;
  for (int64_t i = 0; i < shape.numel(); ++i) {
    values.push_back(std::cos(0.3 * (static_cast<double>(i) + shift) + shift));
  }
  return tensor(values, shape);
}

inline double largest_difference(const Tensor& x, const std::vector<double>& expected) {
  const std::vector<double> values = x.detach().to_vector<double>();
  REQUIRE(values.size() == expected.size());
  double largest = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    const double difference = std::abs(values[i] - expected[i]);
    largest = std::isnan(difference) ? INFINITY : std::max(largest, difference);
  }
  return largest;
}

inline double largest_difference(const Tensor& x, const Tensor& expected) {
  CHECK(x.shape() == expected.shape());
  return largest_difference(x, expected.detach().to_vector<double>());
}

}  // namespace regrad

#include "optim/clip.h"

#include <algorithm>
#include <cmath>

#include "autograd/check.h"
#include "ops/ops.h"

namespace regrad::optim {
namespace {

std::vector<Tensor> with_gradient(const std::vector<Tensor>& parameters) {
  std::vector<Tensor> found;
  for (const Tensor& parameter : parameters) {
    if (parameter.grad().defined()) found.push_back(parameter);
  }
  return found;
}

// The sum of |g|^p, or the largest |g| for p = infinity.
Tensor measure(const Tensor& g, double p) {
  if (std::isinf(p)) return max(abs(g)).to(float64);
  return sum(p == 2 ? square(g) : pow(abs(g), p)).to(float64);
}

// Of all gradients: read once, so that a GPU is waited for once.
std::vector<double> measures(const std::vector<Tensor>& parameters, double p) {
  std::vector<Tensor> all;
  for (const Tensor& parameter : parameters) {
    if (parameter.numel() > 0) all.push_back(measure(parameter.grad(), p));
  }
  return all.empty() ? std::vector<double>() : stack(all).to_vector<double>();
}

}  // namespace

// Gradients are replaced, not written: two parameters may hold one and the same tensor.
double clip_grad_norm(const std::vector<Tensor>& parameters, double max_norm, double p) {
  check(p > 0 && max_norm >= 0,
        "clip_grad_norm: p must be above 0 and max_norm 0 or more, not {} and {}", p, max_norm);
  const NoGrad guard;
  double total = 0;
  for (const double part : measures(with_gradient(parameters), p)) {
    if (std::isinf(p)) {
      total = std::isnan(part) || std::isnan(total) ? std::nan("") : std::max(total, part);
    } else {
      total += part;
    }
  }
  const double norm = std::isinf(p) ? total : std::pow(total, 1 / p);
  const double factor = max_norm / (norm + 1e-6);
  if (factor >= 1) return norm;
  for (Tensor& parameter : with_gradient(parameters)) {
    parameter.set_grad(parameter.grad() * factor);
  }
  return norm;
}

void clip_grad_value(const std::vector<Tensor>& parameters, double limit) {
  check(limit >= 0, "clip_grad_value: the limit must be 0 or more, not {}", limit);
  const NoGrad guard;
  for (Tensor& parameter : with_gradient(parameters)) {
    parameter.set_grad(clamp(parameter.grad(), -limit, limit));
  }
}

}  // namespace regrad::optim

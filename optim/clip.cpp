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

Tensor max_abs(const Tensor& g) { return max(abs(g)); }

Tensor sum_of_powers(const Tensor& g, double p) { return sum(p == 2 ? square(g) : pow(abs(g), p)); }

// function(g), of shape [], for every gradient; read together, so that a GPU is waited for once.
template <class Function>
std::vector<double> read(const std::vector<Tensor>& gradients, const Function& function) {
  std::vector<Tensor> all;
  for (const Tensor& g : gradients) all.push_back(function(g).to(float64));
  return all.empty() ? std::vector<double>() : stack(all).to_vector<double>();
}

double max_or_nan(const std::vector<double>& values) {
  double result = 0;
  for (const double value : values) result = value > result || std::isnan(value) ? value : result;
  return result;
}

// The p-norm where powers overflow or vanish: m (Σ (|g| / m)^p)^(1/p), with m the max_abs of each
// gradient, and then of all of them.
double scaled_norm(const std::vector<Tensor>& gradients, const std::vector<double>& maxima,
                   double p) {
  const double max_of_all = max_or_nan(maxima);
  if (max_of_all == 0 || !std::isfinite(max_of_all)) return max_of_all;
  size_t next = 0;
  const std::vector<double> sums = read(gradients, [&](const Tensor& g) {
    const double max_of_g = maxima[next++];
    return sum_of_powers(max_of_g > 0 ? g / max_of_g : g, p);
  });
  double total = 0;
  for (size_t i = 0; i < sums.size(); ++i) total += std::pow(maxima[i] / max_of_all, p) * sums[i];
  return max_of_all * std::pow(total, 1 / p);
}

double norm_of(const std::vector<Tensor>& gradients, double p) {
  if (std::isinf(p)) return max_or_nan(read(gradients, max_abs));
  double total = 0;
  for (const double part : read(gradients, [p](const Tensor& g) { return sum_of_powers(g, p); })) {
    total += part;
  }
  constexpr double min_total = 1e-30;  // below it, powers that float32 rounds to 0 could matter
  if (std::isnan(total) || (total >= min_total && std::isfinite(total)))
    return std::pow(total, 1 / p);
  return scaled_norm(gradients, read(gradients, max_abs), p);
}

// Replaces gradients rather than writing them in place: two parameters may share one. All or none.
template <class Change>
void replace_gradients(std::vector<Tensor> parameters, const Change& change) {
  std::vector<Tensor> changed;
  for (const Tensor& parameter : parameters) changed.push_back(change(parameter.grad()));
  for (size_t i = 0; i < changed.size(); ++i) parameters[i].set_grad(changed[i]);
}

}  // namespace

double clip_grad_norm(const std::vector<Tensor>& parameters, double max_norm, double p) {
  check(p > 0 && max_norm >= 0,
        "clip_grad_norm: p must be above 0 and max_norm 0 or more, not {} and {}", p, max_norm);
  const NoGrad guard;
  const std::vector<Tensor> updated = with_gradient(parameters);
  std::vector<Tensor> gradients;
  for (const Tensor& parameter : updated) {
    if (parameter.numel() > 0) gradients.push_back(parameter.grad());
  }
  const double norm = norm_of(gradients, p), factor = max_norm / (norm + 1e-6);
  if (factor >= 1) return norm;
  // A factor too small for float32 is applied in two steps.
  const double first = factor < 0x1p-100 && factor > 0 ? 0x1p-64 : 1;
  replace_gradients(updated, [&](const Tensor& g) {
    return first == 1 ? g * factor : g * first * (factor / first);
  });
  return norm;
}

void clip_grad_value(const std::vector<Tensor>& parameters, double limit) {
  check(limit >= 0, "clip_grad_value: the limit must be 0 or more, not {}", limit);
  const NoGrad guard;
  replace_gradients(with_gradient(parameters),
                    [&](const Tensor& g) { return clamp(g, -limit, limit); });
}

}  // namespace regrad::optim

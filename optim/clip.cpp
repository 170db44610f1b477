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

Tensor largest(const Tensor& g) { return max(abs(g)); }

Tensor sum_of_powers(const Tensor& g, double p) { return sum(p == 2 ? square(g) : pow(abs(g), p)); }

// of(g) of every gradient that has elements, read once, so that a GPU is waited for once.
template <class Of>
std::vector<double> read(const std::vector<Tensor>& gradients, const Of& of) {
  std::vector<Tensor> all;
  for (const Tensor& g : gradients) all.push_back(of(g).to(float64));
  return all.empty() ? std::vector<double>() : stack(all).to_vector<double>();
}

double greatest(const std::vector<double>& all) {
  double found = 0;
  for (const double one : all) found = one > found || std::isnan(one) ? one : found;
  return found;
}

// The p-norm where powers overflow or vanish: m (Σ (|g| / m)^p)^(1/p), m the greatest, of each
// gradient and then of all of them.
double scaled_norm(const std::vector<Tensor>& gradients, const std::vector<double>& largest_of,
                   double p) {
  const double most = greatest(largest_of);
  if (most == 0 || !std::isfinite(most)) return most;
  size_t next = 0;
  const std::vector<double> sums = read(gradients, [&](const Tensor& g) {
    const double own = largest_of[next++];
    return sum_of_powers(own > 0 ? g / own : g, p);
  });
  double total = 0;
  for (size_t i = 0; i < sums.size(); ++i) total += std::pow(largest_of[i] / most, p) * sums[i];
  return most * std::pow(total, 1 / p);
}

double norm_of(const std::vector<Tensor>& gradients, double p) {
  if (std::isinf(p)) return greatest(read(gradients, largest));
  double total = 0;
  for (const double part : read(gradients, [p](const Tensor& g) { return sum_of_powers(g, p); })) {
    total += part;
  }
  constexpr double least = 1e-30;  // above it, what float32 loses of small powers does not count
  if (std::isnan(total) || (total >= least && std::isfinite(total))) return std::pow(total, 1 / p);
  return scaled_norm(gradients, read(gradients, largest), p);
}

// Replaced, not written: two parameters may hold one and the same tensor. All or none of them.
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
  const std::vector<Tensor> given = with_gradient(parameters);
  std::vector<Tensor> gradients;
  for (const Tensor& parameter : given) {
    if (parameter.numel() > 0) gradients.push_back(parameter.grad());
  }
  const double norm = norm_of(gradients, p), factor = max_norm / (norm + 1e-6);
  if (factor >= 1) return norm;
  // A factor that float32 could not hold acts in two steps.
  const double first = factor < 0x1p-100 && factor > 0 ? 0x1p-64 : 1;
  replace_gradients(given, [&](const Tensor& g) {
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

#include "autograd/gradcheck.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "autograd/check.h"
#include "autograd/graph.h"

namespace regrad {
namespace {

using Functions = std::function<std::vector<Tensor>(const std::vector<Tensor>&)>;

bool is_checked(const Tensor& x) { return x.defined() && x.dtype() == float64; }

// A new leaf with the same numbers, for the function to use.
Tensor as_leaf(const Tensor& x) {
  if (!is_checked(x)) return x;
  const NoGrad guard;
  return Tensor(x.clone()).set_requires_grad(true);
}

std::vector<Tensor> checked_among(const std::vector<Tensor>& inputs) {
  std::vector<Tensor> wanted;
  std::copy_if(inputs.begin(), inputs.end(), std::back_inserter(wanted), is_checked);
  return wanted;
}

void check_given(const char* name, const std::vector<Tensor>& inputs) {
  check(std::any_of(inputs.begin(), inputs.end(), is_checked),
        "{}: needs at least one float64 input", name);
}

std::vector<Tensor> as_leaves(const std::vector<Tensor>& inputs) {
  std::vector<Tensor> leaves;
  for (const Tensor& x : inputs) leaves.push_back(as_leaf(x));
  return leaves;
}

// Numbers between 0.5 and 1.5 without a pattern: the fractional parts of multiples of the golden
// ratio.
Tensor weights_for(const Tensor& output, int64_t salt) {
  Tensor weights = empty(output.shape(), float64, cpu);
  double* out = weights.mutable_data<double>();
  for (int64_t i = 0; i < weights.numel(); ++i) {
    const double multiple = 0.61803398874989485 * static_cast<double>(i + 1 + 7 * salt);
    out[i] = 0.5 + multiple - std::floor(multiple);
  }
  return weights.to(output.device());
}

double weighted_sum(const std::vector<Tensor>& outputs) {
  double total = 0;
  for (size_t k = 0; k < outputs.size(); ++k) {
    if (!outputs[k].defined()) continue;
    const std::vector<double> y = outputs[k].to_vector<double>();
    const std::vector<double> w =
        weights_for(outputs[k], static_cast<int64_t>(k)).to_vector<double>();
    for (size_t i = 0; i < y.size(); ++i) total += w[i] * y[i];
  }
  return total;
}

std::vector<Tensor> analytic(const Functions& function, const std::vector<Tensor>& leaves) {
  GradOptions options;
  options.allow_unused = true;
  std::vector<Tensor> outputs;
  const std::vector<Tensor> results = function(leaves);
  for (size_t k = 0; k < results.size(); ++k) {
    const Tensor& y = results[k];
    if (!y.defined() || !y.requires_grad()) continue;
    check(y.dtype() == float64, "gradcheck: the function gives {}, not float64", y.dtype());
    outputs.push_back(y);
    options.grad_outputs.push_back(weights_for(y, static_cast<int64_t>(k)));
  }
  const std::vector<Tensor> wanted = checked_among(leaves);
  if (outputs.empty()) return std::vector<Tensor>(wanted.size());
  return grad(outputs, wanted, options);
}

GradcheckResult compare(const Functions& function, const std::vector<Tensor>& inputs,
                        const GradcheckOptions& options) {
  const std::vector<Tensor> gradients = analytic(function, as_leaves(inputs));
  size_t next = 0;
  for (size_t k = 0; k < inputs.size(); ++k) {
    if (!is_checked(inputs[k])) continue;
    const Tensor& gradient = gradients[next++];
    const std::vector<double> given =
        gradient.defined() ? gradient.to_vector<double>()
                           : std::vector<double>(static_cast<size_t>(inputs[k].numel()));
    for (int64_t i = 0; i < inputs[k].numel(); ++i) {
      const auto output_at = [&](double step) {
        std::vector<Tensor> moved = inputs;
        const NoGrad guard;
        Tensor x = inputs[k].to(cpu).clone();
        x.mutable_data<double>()[i] += step;
        moved[k] = x.to(inputs[k].device());
        const GradMode mode(true);
        return weighted_sum(function(as_leaves(moved)));
      };
      const double numeric = (output_at(options.eps) - output_at(-options.eps)) / (2 * options.eps);
      const double found = given[static_cast<size_t>(i)];
      const double error = std::abs(found - numeric);
      if (error <= options.atol + options.rtol * std::abs(numeric)) continue;
      return {false,
              fmt::format("input {}, element {}: the derivative says {:.10g}, differences say "
                          "{:.10g}; off by {:.3g} (allowed {:.3g})",
                          k, unravel_index(i, inputs[k].shape()), found, numeric, error,
                          options.atol + options.rtol * std::abs(numeric))};
    }
  }
  return {};
}

}  // namespace

GradcheckResult gradcheck(const Function& function, const std::vector<Tensor>& inputs,
                          const GradcheckOptions& options) {
  check_given("gradcheck", inputs);
  return compare([&](const std::vector<Tensor>& x) { return std::vector<Tensor>{function(x)}; },
                 inputs, options);
}

GradcheckResult gradgradcheck(const Function& function, const std::vector<Tensor>& inputs,
                              const GradcheckOptions& options) {
  check_given("gradgradcheck", inputs);
  const Tensor sample = function(inputs);
  std::vector<Tensor> all = inputs;
  all.push_back(weights_for(sample, 3));
  const auto gradients = [&](const std::vector<Tensor>& x) {
    const std::vector<Tensor> own(x.begin(), x.end() - 1);
    const Tensor y = function(own);
    const std::vector<Tensor> wanted = checked_among(own);
    if (!y.requires_grad()) return std::vector<Tensor>(wanted.size());
    return grad({y}, wanted,
                {.grad_outputs = {x.back()}, .create_graph = true, .allow_unused = true});
  };
  return compare(gradients, all, options);
}

std::ostream& operator<<(std::ostream& out, const GradcheckResult& result) {
  return out << (result.passed ? "gradients agree" : result.message);
}

}  // namespace regrad

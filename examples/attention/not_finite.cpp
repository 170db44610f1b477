#include "examples/attention/not_finite.h"

#include "autograd/check.h"
#include "autograd/watch.h"
#include "examples/attention/checkpoint.h"
#include "ops/ops.h"

namespace regrad::example {

std::string first_not_finite(Translator& translator, const std::vector<Batch>& batches,
                             double smoothing, const nn::NamedTensors& generators) {
  const nn::NamedTensors parameters = nn::named_parameters(translator.model());
  for (const auto& [name, parameter] : parameters) {
    if (!all_finite(parameter)) return "the parameter " + name;
  }
  std::string found;
  load_generator_state(translator.model(), generators);
  {
    const Watch watch([&](const char* op, const Tensor& output) {
      if (found.empty() && !all_finite(output)) {
        found = fmt::format("the result {} of {}", output.shape().str(), op);
      }
    });
    for (const Batch& batch : batches) translator.loss(batch, smoothing);
  }
  if (!found.empty()) return found;
  for (const auto& [name, parameter] : parameters) {
    if (parameter.grad().defined() && !all_finite(parameter.grad())) {
      return "the gradient of " + name;
    }
  }
  return "not found again";
}

}  // namespace regrad::example

#include "examples/attention/not_finite.h"

#include "autograd/anomaly.h"
#include "autograd/error.h"
#include "examples/attention/checkpoint.h"
#include "ops/ops.h"

namespace regrad::example {

std::string first_not_finite(Translator& translator, const std::vector<Batch>& batches,
                             double smoothing, const nn::NamedTensors& generators) {
  const nn::NamedTensors parameters = nn::named_parameters(translator.model());
  for (const auto& [name, parameter] : parameters) {
    if (!all_finite(parameter)) return "the parameter " + name + " is not finite";
  }
  load_generator_state(translator.model(), generators);
  try {
    const DetectAnomaly guard;
    for (const Batch& batch : batches) translator.loss(batch, smoothing);
  } catch (const Error& anomaly) {
    return anomaly.what();
  }
  for (const auto& [name, parameter] : parameters) {
    if (parameter.grad().defined() && !all_finite(parameter.grad())) {
      return "the gradient of " + name + " is not finite";
    }
  }
  return "a second run of the step found nothing";
}

}  // namespace regrad::example

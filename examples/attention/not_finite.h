// Where did the first NaN or infinity of a training step come from?
#pragma once

#include <string>
#include <vector>

#include "examples/attention/translator.h"

namespace regrad::example {

// A sentence that names the first that is not finite: a parameter, or else the op whose result is
// not (DetectAnomaly), when the step on these batches is computed again from where the generators
// were (generator_state()), or else a gradient.
std::string first_not_finite(Translator& translator, const std::vector<Batch>& batches,
                             double smoothing, const nn::NamedTensors& generators);

}  // namespace regrad::example

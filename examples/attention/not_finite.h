// Where did the first NaN or infinity of a training step come from?
#pragma once

#include <string>
#include <vector>

#include "examples/attention/translator.h"

namespace regrad::example {

// The first that is not finite: a parameter, or else a result of the step on these batches, which
// is computed again from where the generators were (generator_state()), or else a gradient. "not
// found again" where all are finite.
std::string first_not_finite(Translator& translator, const std::vector<Batch>& batches,
                             double smoothing, const nn::NamedTensors& generators);

}  // namespace regrad::example

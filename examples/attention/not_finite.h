// Where did the first NaN or infinity of a training step come from?
#pragma once

#include <string>
#include <vector>

#include "examples/attention/translator.h"

namespace regrad::example {

// Copies of the random generators of a model, so that a step can be computed again.
std::vector<Generator> generators_of(TranslationModel& model);
void set_generators(TranslationModel& model, const std::vector<Generator>& generators);

// The first that is not finite: a parameter, or else a result of the step on these batches, which
// is computed again from these generators, or else a gradient. "not found again" where all are.
std::string first_not_finite(Translator& translator, const std::vector<Batch>& batches,
                             double smoothing, const std::vector<Generator>& generators);

}  // namespace regrad::example

// What came out of a training: figures, samples and pictures, printed and as a report.
#pragma once

#include <string>

#include "examples/attention/task.h"
#include "examples/attention/trainer.h"

namespace regrad::example {

// Measures the translator on the pairs held out, and writes and prints everything; `directory` is
// the run's.
void report_results(const TrainOptions& options, const Task& task, Translator& translator,
                    const Trainer& trainer, const std::string& directory);

}  // namespace regrad::example

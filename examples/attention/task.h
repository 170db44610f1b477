// What there is to learn: the pairs of a run, and a translator of the right sizes for them.
#pragma once

#include <string>

#include "examples/attention/options.h"
#include "examples/attention/pairs.h"
#include "examples/attention/translator.h"

namespace regrad::example {

struct Task {
  std::string name;
  Split data;
  Tokeniser tokeniser;
};

std::string task_name(const TrainOptions& options);  // "date", or the name of the data
Task read_task(const TrainOptions& options);
Translator make_translator(const TrainOptions& options, const Task& task, Generator& generator);

}  // namespace regrad::example

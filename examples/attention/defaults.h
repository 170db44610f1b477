// What a run takes where the command line gives nothing: sizes, rate and length that suit the data.
#pragma once

#include "examples/attention/task.h"

namespace regrad::example {

// The options with every choice made; only steps or epochs stays 0, where the other is given.
TrainOptions with_defaults(const TrainOptions& given, const Task& task);

}  // namespace regrad::example

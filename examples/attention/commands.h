// The commands of the program: each returns the exit status, or throws Error.
#pragma once

#include <string>

#include "examples/attention/options.h"

namespace regrad::example {

inline std::string program = "attention";  // as the user called it, for advice

int run_train(const TrainOptions& options);          // train.cpp
int run_translate(const TranslateOptions& options);  // translate.cpp
int run_evaluate(const EvaluateOptions& options);    // evaluate.cpp
int run_show(const ShowOptions& options);            // translate.cpp
int run_tutorial(const TutorialOptions& options);    // examples/tutorial.cpp

}  // namespace regrad::example

// What there is to learn: the pairs of a run, and a translator of the right sizes for them.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "examples/attention/batches.h"
#include "examples/attention/options.h"
#include "examples/attention/pairs.h"
#include "examples/attention/translator.h"

namespace regrad::example {

// The pairs to learn from, by number: all in memory, or read from their file when asked for.
struct TrainingPairs {
  int64_t count = 0;
  std::function<Pair(int64_t)> at;
};

struct Task {
  std::string name;
  TrainingPairs train;
  std::vector<Pair> held_out;  // of a file that is not held in memory: as many as measuring takes
  Tokeniser tokeniser;
};

// Larger files are streamed: a pass to split them, one to count tokens, and each pair when its turn
// comes. What is learnt is the same.
constexpr int64_t held_in_memory = int64_t{256} << 20;  // bytes

std::string task_name(const TrainOptions& options);  // "date", or the name of the data
Task read_task(const TrainOptions& options, int64_t most_in_memory = held_in_memory);
Translator make_translator(const TrainOptions& options, const Task& task, Generator& generator);
Batches make_batches(const TrainOptions& options, const Task& task, const Translator& translator,
                     uint64_t seed);

}  // namespace regrad::example

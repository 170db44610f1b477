// What there is to learn: the pairs of a run, and a translator of the right sizes for them.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "examples/attention/options.h"
#include "examples/attention/translator.h"
#include "examples/text/batches.h"
#include "examples/text/pairs.h"

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
  int64_t left_out = 0;  // pairs, for their length
};

// Larger files are streamed: a pass to split them, one to count tokens, and each pair when its turn
// comes. What is learnt is the same.
constexpr int64_t held_in_memory = int64_t{256} << 20;  // bytes

// The longest side of a pair, in tokens, unless --max-length says otherwise: the memory of a step
// grows with the product of both sides.
constexpr int64_t usual_length = 1000;

// Leaves out the pairs of which a side has more than `most` tokens; how many they were.
int64_t leave_out_long(std::vector<Pair>& pairs, const Vocabulary& source, const Vocabulary& target,
                       int64_t most);
// The same, where such a pair of a file is an Error that names its line and gives advice.
void refuse_long(const std::string& path, const std::vector<Pair>& pairs, const Vocabulary& source,
                 const Vocabulary& target, int64_t most, const std::string& advice);

std::string task_name(const TrainOptions& options);  // "date", or the name of the data
Task read_task(const TrainOptions& options, int64_t most_in_memory = held_in_memory);
// What is longer than --max-length is left out of the task, and counted; without the option it is
// an Error that names the line.
Translator make_translator(const TrainOptions& options, Task& task, Generator& generator);
Batches make_batches(const TrainOptions& options, const Task& task, const Translator& translator,
                     uint64_t seed);

}  // namespace regrad::example

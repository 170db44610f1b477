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
  std::function<Pair(int64_t)> text;
  std::function<EncodedPair(int64_t)> ids = {};  // once make_translator() has made vocabularies
};

struct Task {
  std::string name;
  TrainingPairs train;
  std::vector<Pair> held_out;  // of a file that is not held in memory: as many as measuring takes
  Tokeniser tokeniser;
  bool is_streamed = false;
  std::vector<EncodedPair> held_out_ids = {};  // as train.ids
  int64_t left_out = 0;                        // pairs, for their length
};

// Larger files are streamed: a pass to split them, one to count tokens, one for their lengths, and
// each pair when its turn comes. What is learnt is the same. In memory a text is tokenised once.
constexpr int64_t held_in_memory = int64_t{32} << 20;  // bytes

// The most tokens of a side of a pair, unless --max-length says otherwise: the memory of a step
// grows with the product of both sides.
constexpr int64_t default_max_length = 1000;

// Leaves out the pairs of which a side has more than max_length tokens; how many they were.
int64_t leave_out_long(std::vector<Pair>& pairs, std::vector<EncodedPair>& ids, int64_t max_length);
// The same, where such a pair of a file is an Error that names its line and gives advice.
void refuse_long(const std::string& path, const std::vector<Pair>& pairs,
                 const std::vector<EncodedPair>& ids, int64_t max_length,
                 const std::string& advice);

Task read_task(const TrainOptions& options, int64_t max_in_memory = held_in_memory);
// What is longer than --max-length is left out of the task, and counted; without the option it is
// an Error that names the line.
Translator make_translator(const TrainOptions& options, Task& task, Generator& generator);
Batches make_batches(const TrainOptions& options, const Task& task, uint64_t seed);

}  // namespace regrad::example

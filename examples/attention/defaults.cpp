#include "examples/attention/defaults.h"

#include <algorithm>

namespace regrad::example {
namespace {

// Sizes, the highest rate of Adam, and how long to train: `epochs`, but from min_steps to max_steps
// of 64 pairs, so that few pairs are seen often enough and many do not take all day.
struct Choice {
  int64_t embedding, hidden;
  double lr, dropout;
  int64_t epochs, min_steps, max_steps;
};

// Measured by the commands in docs/attention.md.
constexpr Choice dates = {32, 64, 5e-3, 0, 0, 600, 600};
constexpr Choice strings = {64, 128, 3e-3, 0, 10, 2000, 12000};
constexpr Choice sentences = {256, 256, 2e-3, 0.2, 6, 2000, 8000};

// A transformer diverges at a rate that suits a recurrent model.
constexpr double transformer_lr = 1e-3;

bool are_sentences(const Task& task) {
  return task.tokeniser == Tokeniser::bytepair || task.tokeniser == Tokeniser::word;
}

int64_t steps_for(const TrainOptions& options, const Choice& choice, const Task& task) {
  const int64_t step_pairs = options.batch * options.accumulate;
  const int64_t per_epoch = (task.train.count + step_pairs - 1) / step_pairs;
  return std::clamp(choice.epochs * per_epoch, choice.min_steps, choice.max_steps);
}

}  // namespace

TrainOptions with_defaults(const TrainOptions& given, const Task& task) {
  const Choice& choice = given.data.empty() ? dates : are_sentences(task) ? sentences : strings;
  const bool is_transformer = given.model == "transformer";
  TrainOptions options = given;
  if (options.embedding == 0) options.embedding = choice.embedding;
  if (options.hidden == 0) options.hidden = choice.hidden;
  if (options.layers == 0) options.layers = is_transformer ? 2 : 1;
  if (options.dropout < 0) options.dropout = choice.dropout;
  if (options.lr == 0) options.lr = is_transformer ? transformer_lr : choice.lr;
  if (options.steps == 0 && options.epochs == 0) {
    options.steps = steps_for(options, choice, task);
    options.until_solved = !given.data.empty();
  }
  return options;
}

}  // namespace regrad::example

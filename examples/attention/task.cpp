#include "examples/attention/task.h"

#include <algorithm>
#include <filesystem>
#include <memory>

#include "autograd/check.h"
#include "examples/attention/commands.h"
#include "examples/attention/dates.h"
#include "examples/attention/indexed_pairs.h"

namespace regrad::example {
namespace {

constexpr int64_t spare_tokens = 10;  // a text may be this much longer than any seen

constexpr int64_t most_held_out = 20'000;  // of a file that is streamed

Tokeniser tokeniser_for(const TrainingPairs& pairs) {
  int64_t source = 0, target = 0;
  for (int64_t i = 0; i < pairs.count; ++i) {
    const Pair pair = pairs.at(i);
    source += words_with_letters(pair.source);
    target += words_with_letters(pair.target);
  }
  return suitable_tokeniser(pairs.count, std::min(source, target));
}

Tokeniser tokeniser_of(const TrainOptions& options, const TrainingPairs& pairs) {
  if (options.tokens == "word") return Tokeniser::word;
  if (options.tokens == "bytepair") return Tokeniser::bytepair;
  return options.tokens == "char" ? Tokeniser::character : tokeniser_for(pairs);
}

Vocabulary vocabulary_of(const TokenCounts& counts, const TrainOptions& options, int64_t pairs) {
  // A word seen once teaches <unk> more than it teaches itself; every character counts.
  const int64_t min_count = counts.tokeniser() == Tokeniser::word && pairs > 1000 ? 2 : 1;
  return Vocabulary(counts, min_count, options.merges);
}

void take_from_memory(Task& task, const TrainOptions& options, std::vector<Pair> pairs) {
  if (options.pairs > 0 && options.pairs < static_cast<int64_t>(pairs.size())) {
    pairs.resize(static_cast<size_t>(options.pairs));
  }
  Split parts = split(pairs, options.held_out, options.seed);
  task.held_out = std::move(parts.held_out);
  const auto train = std::make_shared<const std::vector<Pair>>(std::move(parts.train));
  task.train = {static_cast<int64_t>(train->size()),
                [train](int64_t i) { return (*train)[static_cast<size_t>(i)]; }};
}

void take_from_file(Task& task, const TrainOptions& options) {
  const SplitOptions how = {options.held_out, options.seed, options.pairs};
  const auto parts = std::make_shared<IndexedSplit>(options.data, how, [](const Pair&, bool) {});
  task.train = {parts->train.size(), [parts](int64_t i) { return parts->train.at(i); }};
  const int64_t all = parts->held_out.size(), count = std::min(all, most_held_out);
  for (int64_t i = 0; i < count; ++i) {
    task.held_out.push_back(parts->held_out.at(i * (all / count)));
  }
}

bool is_larger(const std::string& path, int64_t bytes) {
  std::error_code ignored;
  return std::filesystem::is_regular_file(path, ignored) &&
         static_cast<int64_t>(std::filesystem::file_size(path, ignored)) > bytes;
}

}  // namespace

std::vector<std::string> token_choices() { return {"auto", "char", "word", "bytepair"}; }

std::string task_name(const TrainOptions& options) {
  return options.data.empty() ? "date" : std::filesystem::path(options.data).stem().string();
}

Task read_task(const TrainOptions& options, int64_t most_in_memory) {
  Task task;
  task.name = task_name(options);
  if (options.data.empty()) {
    const int64_t count = options.pairs > 0 ? options.pairs : TrainOptions::default_dates;
    take_from_memory(task, options, generate_dates(count, options.seed));
  } else if (is_larger(options.data, most_in_memory)) {
    take_from_file(task, options);
  } else {
    take_from_memory(task, options, read_pairs(options.data));
  }
  check(task.train.count > 0,
        "train: all {} pairs were held out and none is left to learn from; give more pairs, or a "
        "smaller --held-out than {}",
        task.held_out.size(), options.held_out);
  task.tokeniser = tokeniser_of(options, task.train);
  return task;
}

Translator make_translator(const TrainOptions& options, const Task& task, Generator& generator) {
  TokenCounts of_sources(task.tokeniser), of_targets(task.tokeniser);
  for (int64_t i = 0; i < task.train.count; ++i) {
    const Pair pair = task.train.at(i);
    of_sources.add(pair.source);
    of_targets.add(pair.target);
  }
  Vocabulary source = vocabulary_of(of_sources, options, task.train.count);
  Vocabulary target = vocabulary_of(of_targets, options, task.train.count);
  size_t longest_source = 0, longest_target = 0;
  for (int64_t i = 0; i < task.train.count; ++i) {
    const EncodedPair pair = encode(task.train.at(i), source, target);
    longest_source = std::max(longest_source, pair.source.size());
    longest_target = std::max(longest_target, pair.target.size());
  }
  const ModelSizes sizes = {options.score,
                            options.embedding,
                            options.hidden,
                            static_cast<int64_t>(longest_source) + spare_tokens,
                            static_cast<int64_t>(longest_target) + spare_tokens,
                            options.dropout,
                            options.model,
                            options.layers,
                            options.heads,
                            options.input_feeding,
                            options.tie_output};
  return Translator(std::move(source), std::move(target), sizes, generator);
}

Batches make_batches(const TrainOptions& options, const Task& task, const Translator& translator,
                     uint64_t seed) {
  const auto encoded = [at = task.train.at, &translator](int64_t i) {
    return encode(at(i), translator.source(), translator.target());
  };
  return Batches(task.train.count, encoded, options.batch, seed);
}

}  // namespace regrad::example

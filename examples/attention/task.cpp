#include "examples/attention/task.h"

#include <algorithm>
#include <filesystem>
#include <memory>

#include "autograd/check.h"
#include "examples/attention/commands.h"
#include "examples/attention/dates.h"
#include "examples/text/indexed_pairs.h"

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

bool is_long(const EncodedPair& pair, int64_t most) {
  return static_cast<int64_t>(std::max(pair.source.size(), pair.target.size())) > most;
}

// Says of a pair that is too long where it stands.
[[noreturn]] void too_long(const std::string& path, const Pair& pair, const EncodedPair& encoded,
                           int64_t most, const std::string& advice) {
  int64_t line = 0;
  if (!path.empty()) {
    PairReader reader(path);
    for (Pair other; line == 0 && reader.next(other);) {
      if (other == pair) line = reader.place().line;
    }
  }
  const bool is_source = encoded.source.size() >= encoded.target.size();
  fail("{}:{}: the {} has {} tokens; at most {} are possible{}", path, line,
       is_source ? "source" : "target", is_source ? encoded.source.size() : encoded.target.size(),
       most, advice);
}

// The pairs without those whose numbers, in order, are in `out`.
TrainingPairs without(const TrainingPairs& pairs, std::vector<int64_t> out) {
  const int64_t count = pairs.count - static_cast<int64_t>(out.size());
  for (size_t i = 0; i < out.size(); ++i)
    out[i] -= static_cast<int64_t>(i);  // how many stay before it
  const auto shared = std::make_shared<const std::vector<int64_t>>(std::move(out));
  return {count, [at = pairs.at, shared](int64_t i) {
            return at(i + (std::upper_bound(shared->begin(), shared->end(), i) - shared->begin()));
          }};
}

// The longest source and target of the pairs to learn from.
std::pair<int64_t, int64_t> bound_lengths(const TrainOptions& options, Task& task,
                                          const Vocabulary& source, const Vocabulary& target) {
  const int64_t most = options.max_length > 0 ? options.max_length : usual_length;
  const std::string advice = "; --max-length N leaves out what is longer than N tokens";
  size_t longest_source = 0, longest_target = 0;
  std::vector<int64_t> out;
  for (int64_t i = 0; i < task.train.count; ++i) {
    const Pair pair = task.train.at(i);
    const EncodedPair encoded = encode(pair, source, target);
    if (is_long(encoded, most)) {
      if (options.max_length == 0) too_long(options.data, pair, encoded, most, advice);
      out.push_back(i);
      continue;
    }
    longest_source = std::max(longest_source, encoded.source.size());
    longest_target = std::max(longest_target, encoded.target.size());
  }
  task.left_out = static_cast<int64_t>(out.size());
  if (options.max_length == 0) {
    refuse_long(options.data, task.held_out, source, target, most, advice);
  } else {
    task.left_out += leave_out_long(task.held_out, source, target, most);
  }
  if (!out.empty()) task.train = without(task.train, std::move(out));
  check(task.train.count > 0, "train: every pair has a side of more than {} tokens", most);
  return {static_cast<int64_t>(longest_source), static_cast<int64_t>(longest_target)};
}

}  // namespace

int64_t leave_out_long(std::vector<Pair>& pairs, const Vocabulary& source, const Vocabulary& target,
                       int64_t most) {
  return static_cast<int64_t>(std::erase_if(
      pairs, [&](const Pair& pair) { return is_long(encode(pair, source, target), most); }));
}

void refuse_long(const std::string& path, const std::vector<Pair>& pairs, const Vocabulary& source,
                 const Vocabulary& target, int64_t most, const std::string& advice) {
  for (const Pair& pair : pairs) {
    const EncodedPair encoded = encode(pair, source, target);
    if (is_long(encoded, most)) too_long(path, pair, encoded, most, advice);
  }
}

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

Translator make_translator(const TrainOptions& options, Task& task, Generator& generator) {
  TokenCounts of_sources(task.tokeniser), of_targets(task.tokeniser);
  for (int64_t i = 0; i < task.train.count; ++i) {
    const Pair pair = task.train.at(i);
    of_sources.add(pair.source);
    of_targets.add(pair.target);
  }
  Vocabulary source = vocabulary_of(of_sources, options, task.train.count);
  Vocabulary target = vocabulary_of(of_targets, options, task.train.count);
  const auto [longest_source, longest_target] = bound_lengths(options, task, source, target);
  const ModelSizes sizes = {options.score,
                            options.embedding,
                            options.hidden,
                            longest_source + spare_tokens,
                            longest_target + spare_tokens,
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

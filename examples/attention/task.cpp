#include "examples/attention/task.h"

#include <algorithm>
#include <filesystem>

#include "autograd/check.h"
#include "examples/attention/commands.h"
#include "examples/attention/dates.h"

namespace regrad::example {
namespace {

constexpr int64_t spare_tokens = 10;  // a text may be this much longer than any seen

Tokeniser tokeniser_for(const std::vector<Pair>& pairs) {
  int64_t source = 0, target = 0;
  for (const Pair& pair : pairs) {
    source += words_with_letters(pair.source);
    target += words_with_letters(pair.target);
  }
  return suitable_tokeniser(static_cast<int64_t>(pairs.size()), std::min(source, target));
}

Tokeniser tokeniser_of(const TrainOptions& options, const std::vector<Pair>& pairs) {
  if (options.tokens == "word") return Tokeniser::word;
  if (options.tokens == "bytepair") return Tokeniser::bytepair;
  return options.tokens == "char" ? Tokeniser::character : tokeniser_for(pairs);
}

Vocabulary vocabulary_of(const std::vector<Pair>& pairs, std::string Pair::*side, Tokeniser form,
                         int64_t merges) {
  std::vector<std::string> texts;
  for (const Pair& pair : pairs) texts.push_back(pair.*side);
  // A word seen once teaches <unk> more than it teaches itself; every character counts.
  const int64_t min_count = form == Tokeniser::word && pairs.size() > 1000 ? 2 : 1;
  return Vocabulary(texts, form, min_count, merges);
}

}  // namespace

std::vector<std::string> token_choices() { return {"auto", "char", "word", "bytepair"}; }

std::string task_name(const TrainOptions& options) {
  return options.data.empty() ? "date" : std::filesystem::path(options.data).stem().string();
}

Task read_task(const TrainOptions& options) {
  Task task;
  task.name = task_name(options);
  std::vector<Pair> pairs;
  if (options.data.empty()) {
    pairs = generate_dates(options.pairs > 0 ? options.pairs : TrainOptions::default_dates,
                           options.seed);
  } else {
    pairs = read_pairs(options.data);
    if (options.pairs > 0 && options.pairs < static_cast<int64_t>(pairs.size())) {
      pairs.resize(static_cast<size_t>(options.pairs));
    }
  }
  task.tokeniser = tokeniser_of(options, pairs);
  task.data = split(pairs, options.held_out, options.seed);
  check(!task.data.train.empty(),
        "train: all {} pairs were held out and none is left to learn from; give more pairs, or a "
        "smaller --held-out than {}",
        pairs.size(), options.held_out);
  return task;
}

Translator make_translator(const TrainOptions& options, const Task& task, Generator& generator) {
  const std::vector<Pair>& pairs = task.data.train;
  Vocabulary source = vocabulary_of(pairs, &Pair::source, task.tokeniser, options.merges);
  Vocabulary target = vocabulary_of(pairs, &Pair::target, task.tokeniser, options.merges);
  size_t longest_source = 0, longest_target = 0;
  for (const EncodedPair& pair : encode(pairs, source, target)) {
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

}  // namespace regrad::example

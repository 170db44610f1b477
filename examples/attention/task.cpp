#include "examples/attention/task.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <utility>

#include "autograd/check.h"
#include "examples/attention/dates.h"
#include "examples/runs/terminal.h"
#include "examples/text/indexed_pairs.h"

namespace regrad::example {
namespace {

constexpr int64_t spare_tokens = 10;      // a text may be this much longer than any seen
constexpr int64_t max_held_out = 20'000;  // of a file that is streamed
constexpr int64_t sample_size = 1000;     // pairs, evenly spread, that choose what a token is

Tokeniser tokeniser_for(const TrainingPairs& pairs) {
  int64_t source = 0, target = 0;
  const int64_t count = std::min(pairs.count, sample_size);
  for (int64_t i = 0; i < count; ++i) {
    const Pair pair = pairs.text(i * pairs.count / count);
    source += words_with_letters(pair.source);
    target += words_with_letters(pair.target);
  }
  return suitable_tokeniser(count, std::min(source, target));
}

Tokeniser tokeniser_of(const TrainOptions& options, const TrainingPairs& pairs) {
  if (options.tokens == "word") return Tokeniser::word;
  if (options.tokens == "bytepair") return Tokeniser::bytepair;
  return options.tokens == "char" ? Tokeniser::character : tokeniser_for(pairs);
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
  const SplitOptions split = {options.held_out, options.seed, options.pairs};
  const auto parts = std::make_shared<IndexedSplit>(options.data, split);
  for (const std::string& message : parts->remarks) remark(message);
  task.is_streamed = true;
  task.train = {parts->train.size(), [parts](int64_t i) { return parts->train.at(i); }};
  const int64_t all = parts->held_out.size(), count = std::min(all, max_held_out);
  for (int64_t i = 0; i < count; ++i) {
    task.held_out.push_back(parts->held_out.at(i * (all / count)));
  }
}

bool is_larger(const std::string& path, int64_t bytes) {
  std::error_code ignored;
  return std::filesystem::is_regular_file(path, ignored) &&
         static_cast<int64_t>(std::filesystem::file_size(path, ignored)) > bytes;
}

bool is_long(const EncodedPair& pair, int64_t max_length) {
  return static_cast<int64_t>(std::max(pair.source.size(), pair.target.size())) > max_length;
}

// Says of a pair that is too long where it stands.
[[noreturn]] void too_long(const std::string& path, const Pair& pair, const EncodedPair& ids,
                           int64_t max_length, const std::string& advice) {
  int64_t line = 0;
  if (!path.empty()) {
    PairReader reader(path);
    for (Pair other; line == 0 && reader.next(other);) {
      if (other == pair) line = reader.place().line;
    }
  }
  const bool is_source = ids.source.size() >= ids.target.size();
  fail("{}:{}: the {} has {} tokens; at most {} are possible{}", path, line,
       is_source ? "source" : "target", is_source ? ids.source.size() : ids.target.size(),
       max_length, advice);
}

// One side of the pairs to learn from: its tokens, and of each text in memory their numbers.
class Side {
 public:
  explicit Side(Tokeniser tokeniser) : counts_(tokeniser) {}

  void add(const std::string& text, bool keeps) {
    std::vector<int32_t> numbers = counts_.add(text);
    if (keeps) texts_.push_back(std::move(numbers));
  }

  Vocabulary vocabulary(const TrainOptions& options, int64_t pairs) {
    // A word seen once teaches <unk> more than it teaches itself; every character counts.
    const int64_t min_count = counts_.tokeniser() == Tokeniser::word && pairs > 1000 ? 2 : 1;
    Vocabulary vocabulary(counts_, min_count, options.merges);
    if (!texts_.empty()) ids_ = vocabulary.ids_of(counts_);
    return vocabulary;
  }

  // The ids of a text, whose numbers are then forgotten.
  Ids take(size_t text) {
    Ids all;
    for (const int32_t number : std::exchange(texts_[text], {})) {
      const Ids& ids = number < 0 ? unknown_ : ids_[static_cast<size_t>(number)];
      all.insert(all.end(), ids.begin(), ids.end());
    }
    return all;
  }

 private:
  TokenCounts counts_;
  std::vector<std::vector<int32_t>> texts_;
  std::vector<Ids> ids_;  // of each token, by its number
  const Ids unknown_ = {Vocabulary::unk};
};

// Makes the vocabularies, and with them the ids of all pairs of the task.
std::pair<Vocabulary, Vocabulary> encode_task(const TrainOptions& options, Task& task) {
  Side sources(task.tokeniser), targets(task.tokeniser);
  for (int64_t i = 0; i < task.train.count; ++i) {
    const Pair pair = task.train.text(i);
    sources.add(pair.source, !task.is_streamed);
    targets.add(pair.target, !task.is_streamed);
  }
  std::pair vocabularies(sources.vocabulary(options, task.train.count),
                         targets.vocabulary(options, task.train.count));
  const auto& [source, target] = vocabularies;
  task.held_out_ids = encode(task.held_out, source, target);
  if (task.is_streamed) {
    const auto shared = std::make_shared<const std::pair<Vocabulary, Vocabulary>>(vocabularies);
    task.train.ids = [text = task.train.text, shared](int64_t i) {
      return encode(text(i), shared->first, shared->second);
    };
  } else {
    std::vector<EncodedPair> all;
    for (size_t i = 0; i < static_cast<size_t>(task.train.count); ++i) {
      all.push_back({sources.take(i), targets.take(i)});
    }
    const auto shared = std::make_shared<const std::vector<EncodedPair>>(std::move(all));
    task.train.ids = [shared](int64_t i) { return (*shared)[static_cast<size_t>(i)]; };
  }
  return vocabularies;
}

// The pairs without those whose numbers, in order, are in `out`.
TrainingPairs without(const TrainingPairs& pairs, std::vector<int64_t> out) {
  const int64_t count = pairs.count - static_cast<int64_t>(out.size());
  for (size_t i = 0; i < out.size(); ++i)
    out[i] -= static_cast<int64_t>(i);  // how many stay before it
  const auto shared = std::make_shared<const std::vector<int64_t>>(std::move(out));
  const auto number = [shared](int64_t i) {
    return i + (std::upper_bound(shared->begin(), shared->end(), i) - shared->begin());
  };
  return {count, [text = pairs.text, number](int64_t i) { return text(number(i)); },
          [ids = pairs.ids, number](int64_t i) { return ids(number(i)); }};
}

// Sets the longest source and target of the pairs to learn from, without those that are too long.
void bound_lengths(const TrainOptions& options, Task& task, ModelOptions& model) {
  const bool leaves_out = options.max_length > 0;
  const int64_t max_length = leaves_out ? options.max_length : default_max_length;
  const std::string advice = "; --max-length N leaves out what is longer than N tokens";
  size_t longest_source = 0, longest_target = 0;
  std::vector<int64_t> out;
  for (int64_t i = 0; i < task.train.count; ++i) {
    const EncodedPair ids = task.train.ids(i);
    if (is_long(ids, max_length)) {
      if (!leaves_out) too_long(options.data, task.train.text(i), ids, max_length, advice);
      out.push_back(i);
      continue;
    }
    longest_source = std::max(longest_source, ids.source.size());
    longest_target = std::max(longest_target, ids.target.size());
  }
  task.left_out = static_cast<int64_t>(out.size());
  if (leaves_out) {
    task.left_out += leave_out_long(task.held_out, task.held_out_ids, max_length);
  } else {
    refuse_long(options.data, task.held_out, task.held_out_ids, max_length, advice);
  }
  if (!out.empty()) task.train = without(task.train, std::move(out));
  check(task.train.count > 0, "train: every pair has a side of more than {} tokens", max_length);
  model.longest_source = static_cast<int64_t>(longest_source) + spare_tokens;
  model.longest_target = static_cast<int64_t>(longest_target) + spare_tokens;
}

// "date", or the name of the data.
std::string task_name(const TrainOptions& options) {
  return options.data.empty() ? "date" : std::filesystem::path(options.data).stem().string();
}

}  // namespace

int64_t leave_out_long(std::vector<Pair>& pairs, std::vector<EncodedPair>& ids,
                       int64_t max_length) {
  size_t kept = 0;
  for (size_t i = 0; i < pairs.size(); ++i) {
    if (is_long(ids[i], max_length)) continue;
    std::swap(pairs[kept], pairs[i]);
    std::swap(ids[kept++], ids[i]);
  }
  const size_t count = pairs.size();
  pairs.resize(kept);
  ids.resize(kept);
  return static_cast<int64_t>(count - kept);
}

void refuse_long(const std::string& path, const std::vector<Pair>& pairs,
                 const std::vector<EncodedPair>& ids, int64_t max_length,
                 const std::string& advice) {
  for (size_t i = 0; i < pairs.size(); ++i) {
    if (is_long(ids[i], max_length)) too_long(path, pairs[i], ids[i], max_length, advice);
  }
}

Task read_task(const TrainOptions& options, int64_t max_in_memory) {
  Task task;
  task.name = task_name(options);
  if (options.data.empty()) {
    const int64_t count = options.pairs > 0 ? options.pairs : TrainOptions::default_dates;
    take_from_memory(task, options, generate_dates(count, options.seed));
  } else if (is_larger(options.data, max_in_memory)) {
    take_from_file(task, options);
  } else {
    std::vector<std::string> remarks;
    take_from_memory(task, options, read_pairs(options.data, &remarks));
    for (const std::string& message : remarks) remark(message);
  }
  check(task.train.count > 0,
        "train: all {} pairs were held out and none is left to learn from; give more pairs, or a "
        "smaller --held-out than {}",
        task.held_out.size(), options.held_out);
  task.tokeniser = tokeniser_of(options, task.train);
  return task;
}

Translator make_translator(const TrainOptions& options, Task& task, Generator& generator) {
  auto [source, target] = encode_task(options, task);
  ModelOptions model = options;
  bound_lengths(options, task, model);
  return Translator(std::move(source), std::move(target), model, generator);
}

Batches make_batches(const TrainOptions& options, const Task& task, uint64_t seed) {
  return Batches(task.train.count, task.train.ids, options.batch, seed);
}

}  // namespace regrad::example

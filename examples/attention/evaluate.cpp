#include "examples/attention/evaluate.h"

#include <algorithm>
#include <filesystem>
#include <iostream>

#include "autograd/check.h"
#include "examples/attention/commands.h"
#include "examples/attention/task.h"
#include "examples/runs/run_directory.h"
#include "examples/runs/terminal.h"

namespace regrad::example {
namespace {

constexpr int64_t pairs_at_once = 64;

// The pairs that the run held out; its folder says which. `weights`: that folder, or a file in it.
std::vector<Pair> held_out_pairs(const std::string& weights, const Translator& translator) {
  namespace fs = std::filesystem;
  const fs::path beside = fs::path(weights).parent_path();
  const std::string folder = fs::is_directory(weights) ? weights
                             : beside.empty()          ? "."
                                                       : beside.string();
  check(fs::exists(folder + "/config.json"),
        "evaluate: {} is in no folder of a run, which would say what it held out; give pairs with "
        "--data",
        weights);
  const Config config = RunDirectory(folder).config();
  check(config.options.data.empty() || fs::exists(config.options.data),
        "evaluate: the run in {} learnt from {}, which is not there; give pairs with --data",
        folder, config.options.data);
  check(config.data == mark_of(config.options.data),
        "evaluate: {} is not the file that the run in {} learnt from; give pairs with --data",
        config.options.data, folder);
  std::vector<Pair> pairs = read_task(config.options).held_out;
  const int64_t most = config.options.max_length > 0 ? config.options.max_length : longest_text;
  leave_out_long(pairs, translator.source(), translator.target(), most);
  check(!pairs.empty(), "evaluate: the run in {} held nothing out; give pairs with --data", folder);
  return pairs;
}

}  // namespace

NextTokens next_tokens(Translator& translator, const std::vector<EncodedPair>& pairs,
                       int64_t batch_size) {
  const NoGrad guard;
  nn::eval(translator.model());
  NextTokens next;
  const auto count = static_cast<int64_t>(pairs.size());
  for (int64_t begin = 0; begin < count; begin += batch_size) {
    std::vector<int64_t> chosen;
    for (int64_t i = begin; i < std::min(count, begin + batch_size); ++i) chosen.push_back(i);
    const Batch batch = on_device(trimmed(make_batch(pairs, chosen)));
    next.add(translator.model()(batch.source, batch.source_lengths, batch.given).logits,
             batch.wanted, Vocabulary::pad);
  }
  return next;
}

Evaluation evaluate(Translator& translator, const std::vector<Pair>& pairs, size_t count,
                    const DecodeOptions& options) {
  Evaluation result;
  result.asked = questions(pairs, translator.target().tokeniser(), count);
  std::vector<std::string> sources;
  References references;
  std::vector<Pair> told;
  for (const Question& question : result.asked) {
    sources.push_back(question.source);
    references.emplace_back(question.accepted.begin(), question.accepted.end());
    for (const std::string& target : question.accepted) told.push_back({question.source, target});
  }
  for (const std::vector<Translation>& found : translator.translate(sources, options)) {
    const size_t i = result.answers.texts.size();
    result.answers.texts.push_back(found.front().text);
    result.answers.right += result.asked[i].accepted.contains(found.front().text) ? 1 : 0;
  }
  std::vector<EncodedPair> encoded = encode(told, translator.source(), translator.target());
  std::erase_if(encoded, [](const EncodedPair& pair) { return pair.source.empty(); });
  const NextTokens next = next_tokens(translator, encoded, pairs_at_once);
  result.quality = {result.answers.share(), next.accuracy(), next.perplexity(),
                    corpus_bleu(result.answers.texts, references, suitable_tokenisation(references)),
                    chrf(result.answers.texts, references)};
  return result;
}

int run_evaluate(const EvaluateOptions& options) {
  Translator translator = Translator::load(options.weights);
  const std::vector<Pair> pairs =
      options.data.empty() ? held_out_pairs(options.weights, translator) : read_pairs(options.data);
  refuse_long(options.data, pairs, translator.source(), translator.target(), longest_text, "");
  const auto count = static_cast<size_t>(options.pairs);
  say_remarks();
  const Evaluation result = evaluate(translator, pairs, count, options.decode);
  std::cout << fmt::format(
      "sources         {}\nexact match     {:.2f} %\ntoken accuracy  {:.2f} %\n"
      "perplexity      {:.3f}\n{:14}  {}\nchrF            {:.2f}\n",
      result.asked.size(), 100 * result.quality.exact, 100 * result.quality.token_accuracy,
      result.quality.perplexity,
      fmt::format("BLEU ({})", name_of(result.quality.bleu.tokenisation)),
      bleu_text(result.quality.bleu), result.quality.chrf);
  return 0;
}

}  // namespace regrad::example

#include <filesystem>
#include <iostream>

#include "autograd/check.h"
#include "examples/attention/commands.h"
#include "examples/attention/evaluation.h"
#include "examples/attention/task.h"
#include "examples/runs/run_directory.h"
#include "examples/runs/terminal.h"

namespace regrad::example {
namespace {

// The pairs that the run held out; its folder says which. `weights`: that folder, or a file in it.
std::vector<Pair> held_out_pairs(const std::string& weights, const Translator& translator) {
  namespace fs = std::filesystem;
  const fs::path parent = fs::path(weights).parent_path();
  const std::string folder = fs::is_directory(weights) ? weights
                             : parent.empty()          ? "."
                                                       : parent.string();
  check(fs::exists(folder + "/config.json"),
        "evaluate: {} is in no folder of a run, which would say what it held out; give pairs with "
        "--data",
        weights);
  Config config;
  RunDirectory(folder).read_config(settings_of(config));
  const std::string& data = config.options.data;
  check(data.empty() || fs::exists(data),
        "evaluate: the run in {} learnt from {}, which is not there; give pairs with --data",
        folder, data);
  check(config.data == checksum_of(data),
        "evaluate: {} is not the file that the run in {} learnt from; give pairs with --data", data,
        folder);
  std::vector<Pair> pairs = read_task(config.options).held_out;
  std::vector<EncodedPair> ids = encode(pairs, translator.source(), translator.target());
  const int64_t max_length = config.options.max_length;
  leave_out_long(pairs, ids, max_length > 0 ? max_length : max_text_length);
  check(!pairs.empty(), "evaluate: the run in {} held nothing out; give pairs with --data", folder);
  return pairs;
}

std::vector<Pair> pairs_of_file(const std::string& path, const Translator& translator) {
  std::vector<std::string> remarks;
  const std::vector<Pair> pairs = read_pairs(path, &remarks);
  for (const std::string& message : remarks) remark(message);
  refuse_long(path, pairs, encode(pairs, translator.source(), translator.target()), max_text_length,
              "");
  return pairs;
}

}  // namespace

int run_evaluate(const EvaluateOptions& options) {
  Translator translator = Translator::load(options.weights);
  const std::vector<Pair> pairs = options.data.empty() ? held_out_pairs(options.weights, translator)
                                                       : pairs_of_file(options.data, translator);
  say_remarks();
  const Evaluation result =
      evaluate(translator, pairs, static_cast<size_t>(options.pairs), options.decode);
  const Quality& quality = result.quality;
  std::cout << fmt::format(
      "sources         {}\nexact match     {:.2f} %\ntoken accuracy  {:.2f} %\n"
      "perplexity      {:.3f}\n{:14}  {}\nchrF            {:.2f}\n",
      result.held_out.size(), 100 * quality.exact, 100 * quality.token_accuracy, quality.perplexity,
      fmt::format("BLEU ({})", name_of(quality.bleu.tokenisation)), bleu_text(quality.bleu),
      quality.chrf);
  return 0;
}

}  // namespace regrad::example

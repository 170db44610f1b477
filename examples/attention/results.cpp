#include "examples/attention/results.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iostream>

#include "examples/attention/alignment.h"
#include "examples/attention/commands.h"
#include "examples/runs/terminal.h"
#include "ops/backend.h"

namespace regrad::example {
namespace {

constexpr size_t max_measured = 2000;  // held-out sources
constexpr size_t max_samples = 6, max_maps = 4, max_examples = 8, max_aligned = 200;

void print_samples(const std::vector<HeldOut>& held_out, const Predictions& predictions) {
  std::cout << "\nSome of them (✗ marks a wrong one, and what was wanted):\n";
  const size_t count = std::min(max_samples, held_out.size());
  for (size_t sample = 0; sample < count; ++sample) {
    const size_t i = sample * held_out.size() / count;
    const std::string& text = predictions.texts[i];
    const bool is_correct = held_out[i].targets.contains(text);
    std::cout << "  " << (is_correct ? " " : "✗") << " " << printable(held_out[i].source) << "  →  "
              << printable(text);
    if (!is_correct) std::cout << "   (" << printable(*held_out[i].targets.begin()) << ")";
    std::cout << "\n";
  }
}

std::string machine_text(const Machine& machine) {
  if (machine.device != "cpu") return machine.device;
  return fmt::format("{} thread{} ({})", num_threads(), num_threads() == 1 ? "" : "s",
                     cpu_features());
}

Facts training_facts(const TrainOptions& options, const Task& task, Translator& translator,
                     const Trainer& trainer) {
  const std::vector<Metrics>& metrics = trainer.metrics();
  return {{"data", options.data.empty() ? "generated dates" : task.name},
          {"pairs",
           fmt::format("{} to learn from, {} held out{}", task.train.count, task.held_out.size(),
                       task.left_out > 0 ? fmt::format(", {} left out", task.left_out) : "")},
          {"tokens", fmt::format("{}: {} in the source, {} in the target", name_of(task.tokeniser),
                                 translator.source().size(), translator.target().size())},
          {"model",
           fmt::format("{}, {} attention, embedding {}, hidden {}: {} parameters", options.model,
                       options.model == "transformer" ? "multi-head" : options.score,
                       options.embedding, options.hidden, nn::num_parameters(translator.model()))},
          {"training", fmt::format("{} steps of {} pairs, Adam at {}, seed {}",
                                   trainer.state().step, options.batch, options.lr, options.seed)},
          {"time", fmt::format("{:.1f} s on {}", metrics.empty() ? 0 : metrics.back().seconds,
                               machine_text(options.machine))}};
}

void add_quality(Facts& facts, const Evaluation& unseen) {
  if (unseen.held_out.empty()) return;
  const Quality& quality = unseen.quality;
  facts.emplace_back("held-out exact match",
                     fmt::format("{:.2f} % ({} of {} sources)", 100 * quality.exact,
                                 unseen.predictions.correct, unseen.held_out.size()));
  facts.emplace_back(fmt::format("held-out BLEU ({})", name_of(quality.bleu.tokenisation)),
                     bleu_text(quality.bleu));
  facts.emplace_back("held-out chrF", fmt::format("{:.2f}", quality.chrf));
  facts.emplace_back("held-out perplexity", fmt::format("{:.3f}", quality.perplexity));
}

void add_alignment(Facts& facts, const Task& task, Translator& translator) {
  std::vector<std::string> sources;
  for (const Pair& pair : task.held_out) {
    if (sources.size() < max_aligned) sources.push_back(pair.source);
  }
  const Alignment years = alignment(translator, sources);
  if (years.digits == 0) return;
  facts.emplace_back("years align", fmt::format("{:.1f} % of the attention of {} digits, {:.1f} % "
                                                "of their peaks, on the source's year",
                                                100 * years.mass, years.digits, 100 * years.peaks));
}

std::vector<AttentionMap> draw_maps(Translator& translator, const Task& task) {
  std::vector<AttentionMap> maps;
  const bool has_unseen = !task.held_out.empty();
  const size_t all = has_unseen ? task.held_out.size() : static_cast<size_t>(task.train.count);
  const size_t count = std::min(max_maps, all);
  for (size_t map = 1; map <= count; ++map) {
    const size_t i = map * all / count - 1;
    const Pair pair = has_unseen ? task.held_out[i] : task.train.text(static_cast<int64_t>(i));
    maps.push_back(translator.show(pair.source).map);
  }
  return maps;
}

// Each translation beside the target that is most like it.
std::vector<Example> scored(const std::vector<HeldOut>& held_out, const Predictions& predictions) {
  std::vector<Example> result;
  for (size_t i = 0; i < held_out.size(); ++i) {
    Example example{held_out[i].source, predictions.texts[i], "", -1};
    for (const std::string& target : held_out[i].targets) {
      const double score = similarity(predictions.texts[i], target);
      if (score > example.score) {
        example.score = score;
        example.reference = target;
      }
    }
    result.push_back(std::move(example));
  }
  return result;
}

std::vector<Series> curves_of(const std::vector<Metrics>& metrics, int64_t steps,
                              const Predictions& predictions) {
  Series train{"train loss", "loss in nats a token", {}},
      held_out{"held-out loss", "loss in nats a token", {}},
      exact{"held-out exact match", "accuracy in %", {}};
  for (const Metrics& row : metrics) {
    train.points.emplace_back(row.step, row.train_loss);
    if (!std::isnan(row.held_out_loss)) held_out.points.emplace_back(row.step, row.held_out_loss);
    const bool is_end = row.step == steps && !predictions.texts.empty();
    const double accuracy = is_end ? predictions.accuracy() : row.accuracy;
    if (!std::isnan(accuracy)) exact.points.emplace_back(row.step, 100 * accuracy);
  }
  return {train, held_out, exact};
}

void print_files(const std::string& directory) {
  const std::string folder = printable(directory), called = printable(program);
  std::cout
      << "\nIn " << folder << ":\n"
      << "  report.html          curves, maps as they were learnt, examples; open it in a browser\n"
      << "  attention.svg        the map above\n"
      << "  curves.tsv           loss and exact match, step by step; metrics.csv says more\n"
      << "  checkpoint-*         `" << called << " train --resume " << folder
      << "` goes on from there\n"
      << "  weights.safetensors  the model: `" << called << " translate --weights " << folder
      << " TEXT`\n";
}

}  // namespace

void report_results(const TrainOptions& options, const Task& task, Translator& translator,
                    const Trainer& trainer, const std::string& directory) {
  Evaluation unseen;
  if (!task.held_out.empty()) {
    unseen = evaluate(translator, task.held_out, max_measured, default_search);
  }
  Report report;
  report.title = "Attention: " + task.name;
  report.facts = training_facts(options, task, translator, trainer);
  add_quality(report.facts, unseen);
  add_alignment(report.facts, task, translator);
  report.curves = curves_of(trainer.metrics(), trainer.state().step, unseen.predictions);
  report.maps = draw_maps(translator, task);
  report.snapshots = trainer.snapshots();
  report.score_name = "similarity";
  set_examples(report, scored(unseen.held_out, unseen.predictions), max_examples);
  write_report(directory, report);

  for (const auto& [what, value] : report.facts) {
    std::cout << what << ": " << printable(value) << "\n";
  }
  if (unseen.held_out.empty()) {
    std::cout << "held-out exact match: not measured, because nothing was held out\n";
  } else {
    print_samples(unseen.held_out, unseen.predictions);
  }
  std::cout << "\n";
  print_map(report.maps.front());
  print_files(directory);
}

}  // namespace regrad::example

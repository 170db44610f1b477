#include <algorithm>
#include <cmath>
#include <csignal>
#include <iostream>

#include "autograd/check.h"
#include "examples/attention/alignment.h"
#include "examples/attention/commands.h"
#include "examples/attention/defaults.h"
#include "examples/attention/evaluate.h"
#include "examples/attention/measure.h"
#include "examples/attention/task.h"
#include "examples/attention/trainer.h"
#include "examples/report/report.h"
#include "examples/report/snapshots.h"
#include "examples/runs/progress.h"
#include "examples/runs/run_directory.h"
#include "examples/runs/terminal.h"
#include "ops/backend.h"

namespace regrad::example {
namespace {

constexpr size_t measured_at_end = 2000;  // held-out pairs
constexpr size_t samples = 6, maps = 4, examples = 8, aligned = 200;

volatile int interrupted = 0;

// The first Ctrl-C ends the training and keeps what was learnt; the second one ends the program.
class StopOnSignal {
 public:
  StopOnSignal() {
    interrupted = 0;
    const auto note = [](int signal) {
      interrupted = signal;
      std::signal(signal, SIG_DFL);
    };
    std::signal(SIGINT, note);
    std::signal(SIGTERM, note);
  }
  ~StopOnSignal() {
    std::signal(SIGINT, SIG_DFL);
    std::signal(SIGTERM, SIG_DFL);
  }
};

void print_samples(const std::vector<Question>& held_out, const Answers& answers) {
  std::cout << "\nSome of them (✗ marks a wrong one, and what was wanted):\n";
  for (size_t i = 0; i < std::min(samples, held_out.size()); ++i) {
    const size_t at = i * held_out.size() / std::min(samples, held_out.size());
    const Question& question = held_out[at];
    const bool right = question.accepted.contains(answers.texts[at]);
    std::cout << "  " << (right ? " " : "✗") << " " << printable(question.source) << "  →  "
              << printable(answers.texts[at]);
    if (!right) std::cout << "   (" << printable(*question.accepted.begin()) << ")";
    std::cout << "\n";
  }
}

Facts facts_of(const TrainOptions& options, const Task& task, Translator& translator,
               const Learning& learning, const Evaluation& unseen) {
  Facts facts = {
      {"data", options.data.empty() ? "generated dates" : task.name},
      {"pairs",
       fmt::format("{} to learn from, {} held out{}", task.train.count, task.held_out.size(),
                   task.left_out > 0 ? fmt::format(", {} left out", task.left_out) : "")},
      {"tokens", fmt::format("{}: {} in the source, {} in the target", name_of(task.tokeniser),
                             translator.source().size(), translator.target().size())},
      {"model",
       fmt::format("{}, {} attention, embedding {}, hidden {}: {} parameters", options.model,
                   options.model == "transformer" ? "multi-head" : options.score, options.embedding,
                   options.hidden, nn::num_parameters(translator.model()))},
      {"training", fmt::format("{} steps of {} pairs, Adam at {}, seed {}", learning.state().step,
                               options.batch, options.rate, options.seed)},
      {"time", fmt::format("{:.1f} s on {}",
                           learning.metrics().empty() ? 0 : learning.metrics().back().seconds,
                           options.machine.device == "cpu"
                               ? fmt::format("{} thread{} ({})", num_threads(),
                                             num_threads() == 1 ? "" : "s", cpu_features())
                               : options.machine.device)}};
  if (const Quality& quality = unseen.quality; !unseen.asked.empty()) {
    facts.emplace_back("held-out exact match",
                       fmt::format("{:.2f} % ({} of {} sources)", 100 * quality.exact,
                                   unseen.answers.right, unseen.asked.size()));
    facts.emplace_back(fmt::format("held-out BLEU ({})", name_of(quality.bleu.tokenisation)),
                       bleu_text(quality.bleu));
    facts.emplace_back("held-out chrF", fmt::format("{:.2f}", quality.chrf));
    facts.emplace_back("held-out perplexity", fmt::format("{:.3f}", quality.perplexity));
  }
  std::vector<std::string> sources;
  for (const Pair& pair : task.held_out) {
    if (sources.size() < aligned) sources.push_back(pair.source);
  }
  if (const Alignment years = alignment(translator, sources); years.digits > 0) {
    facts.emplace_back("years align",
                       fmt::format("{:.1f} % of the attention of {} digits, {:.1f} % "
                                   "of their peaks, on the source's year",
                                   100 * years.mass, years.digits, 100 * years.peaks));
  }
  return facts;
}

std::vector<AttentionMap> draw_maps(Translator& translator, const Task& task) {
  std::vector<AttentionMap> drawn;
  const bool has_unseen = !task.held_out.empty();
  const size_t all = has_unseen ? task.held_out.size() : static_cast<size_t>(task.train.count);
  const size_t count = std::min(maps, all);
  for (size_t i = 0; i < count; ++i) {
    const size_t at = (i + 1) * all / count - 1;
    const Pair pair = has_unseen ? task.held_out[at] : task.train.at(static_cast<int64_t>(at));
    drawn.push_back(translator.show(pair.source).map);
  }
  return drawn;
}

// Each answer beside the accepted target that is most like it.
std::vector<Example> scored(const std::vector<Question>& held_out, const Answers& answers) {
  std::vector<Example> result;
  for (size_t i = 0; i < held_out.size(); ++i) {
    Example example{held_out[i].source, answers.texts[i], "", -1};
    for (const std::string& reference : held_out[i].accepted) {
      const double score = similarity(answers.texts[i], reference);
      if (score > example.score) {
        example.score = score;
        example.reference = reference;
      }
    }
    result.push_back(std::move(example));
  }
  return result;
}

std::vector<Series> curves_of(const std::vector<Metrics>& metrics, int64_t steps,
                              const Answers& answers) {
  Series train{"train loss", "loss in nats a token", {}},
      held_out{"held-out loss", "loss in nats a token", {}},
      exact{"held-out exact match", "accuracy in %", {}};
  for (const Metrics& row : metrics) {
    train.points.emplace_back(row.step, row.train_loss);
    if (!std::isnan(row.held_out_loss)) held_out.points.emplace_back(row.step, row.held_out_loss);
    const bool is_end = row.step == steps && !answers.texts.empty();
    const double accuracy = is_end ? answers.share() : row.accuracy;
    if (!std::isnan(accuracy)) exact.points.emplace_back(row.step, 100 * accuracy);
  }
  return {train, held_out, exact};
}

// Measures, prints and writes what came out of the training.
void finish(const TrainOptions& options, const Task& task, Translator& translator,
            const Learning& learning, const std::string& out) {
  const Evaluation unseen =
      task.held_out.empty() ? Evaluation()
                            : evaluate(translator, task.held_out, measured_at_end, usual_search);
  const std::vector<Question>& held_out = unseen.asked;
  const Answers& answers = unseen.answers;
  Report report = {"Attention: " + task.name,
                   facts_of(options, task, translator, learning, unseen),
                   curves_of(learning.metrics(), learning.state().step, answers),
                   draw_maps(translator, task),
                   learning.snapshots(),
                   {},
                   {},
                   "similarity"};
  set_examples(report, scored(held_out, answers), examples);
  write_report(out, report);

  for (const auto& [what, value] : report.facts) {
    std::cout << what << ": " << printable(value) << "\n";
  }
  if (held_out.empty()) {
    std::cout << "held-out exact match: not measured, because nothing was held out\n";
  } else {
    print_samples(held_out, answers);
  }
  std::cout << "\n";
  print_map(report.maps.front());
  const std::string place = printable(out), called = printable(program);
  std::cout
      << "\nIn " << place << ":\n"
      << "  report.html          curves, maps as they were learnt, examples; open it in a browser\n"
      << "  attention.svg        the map above\n"
      << "  curves.tsv           loss and exact match, step by step; metrics.csv says more\n"
      << "  checkpoint-*         `" << called << " train --resume " << place
      << "` goes on from there\n"
      << "  weights.safetensors  the model: `" << called << " translate --weights " << place
      << " TEXT`\n";
}
int64_t steps_of(const TrainOptions& options, const Batches& batches) {
  const int64_t per_epoch = (batches.per_epoch() + options.accumulate - 1) / options.accumulate;
  return options.steps > 0 ? options.steps : options.epochs * per_epoch;
}

// The options of a run that is gone on with are those that it began with; threads and device may
// differ.
TrainOptions options_of_run(const TrainOptions& given, RunDirectory& directory) {
  if (given.resume.empty()) return given;
  static_cast<void>(directory.config());  // what is no run's is not touched, not even to lock it
  directory.lock();
  const Config config = directory.config();
  const std::string& data = config.options.data;
  check(config.data == mark_of(data),
        "{}: it is not the file that the run in {} began with ({} bytes, {})", data, given.resume,
        config.data.bytes, config.data.checksum);
  TrainOptions options = config.options;
  options.out = options.resume = given.resume;
  options.machine = given.machine;
  return options;
}

void begin_or_resume(const TrainOptions& options, RunDirectory& directory, Learning& learning) {
  if (options.resume.empty()) {
    const std::string aside = directory.set_aside();
    if (!aside.empty())
      say(fmt::format("the run that was in {} is now in {}", directory.path(), aside));
    directory.begin({options, mark_of(options.data)});
    return;
  }
  directory.remove_unfinished();
  const RunDirectory::Found found = directory.newest(say);
  if (found.step < 0) return say(options.resume + " has no checkpoint yet; the run begins anew");
  learning.resume(found);
  say(fmt::format("goes on after step {}, from {}", found.step, found.path));
}

// The model that patience chose: the best one measured, not the last.
void take_best(const RunDirectory& directory, Translator& translator) {
  const RunDirectory::Found best = directory.best();
  if (best.step < 0) return;
  nn::load_state_dict(translator.model(), model_tensors(best.file.tensors));
  say(fmt::format("stopped early; the weights are those after step {}", best.step));
}

}  // namespace

int run_train(const TrainOptions& given) {
  RunDirectory directory(given.resume);
  const TrainOptions of_run = options_of_run(given, directory);
  Task task = read_task(of_run);
  if (given.tokens == "auto" && given.merges >= 0 && task.tokeniser != Tokeniser::bytepair) {
    remark(fmt::format(
        "--merges has no effect: --tokens auto takes {}s for this data; it is for --tokens bytepair",
        name_of(task.tokeniser)));
  }
  const TrainOptions options = with_defaults(of_run, task);
  const std::string out = options.out.empty() ? "runs/" + task.name : options.out;
  prepare_directory(out);
  if (given.resume.empty()) {
    directory = RunDirectory(out);
    directory.lock();
  }

  Generator generator(options.seed);
  Translator translator = make_translator(options, task, generator);
  if (task.left_out > 0) {
    say(fmt::format("{} pairs have a side of more than {} tokens and are left out", task.left_out,
                    options.max_length));
  }
  Batches batches = make_batches(options, task, translator, nn::fork(generator).seed());
  const int64_t steps = steps_of(options, batches);
  Learning learning(options, translator, batches, task, steps, directory);
  begin_or_resume(options, directory, learning);
  say_remarks();
  const StopOnSignal stop;
  learning.run(interrupted);
  if (interrupted != 0 && learning.state().step < steps) {
    translator.save(out + "/weights.safetensors");
    say(fmt::format("stopped after step {} of {}; `{} train --resume {}` goes on",
                    learning.state().step, steps, program, out));
    return 128 + interrupted;
  }
  if (learning.stopped_early()) take_best(directory, translator);
  if (learning.is_solved() && learning.state().step < steps) {
    say(fmt::format("ended after step {} of {}: no mistakes are left to learn from",
                    learning.state().step, steps));
  }
  translator.save(out + "/weights.safetensors");
  finish(options, task, translator, learning, out);
  return 0;
}

}  // namespace regrad::example

#include <algorithm>
#include <csignal>

#include "autograd/check.h"
#include "examples/attention/commands.h"
#include "examples/attention/defaults.h"
#include "examples/attention/results.h"
#include "examples/attention/task.h"
#include "examples/attention/trainer.h"
#include "examples/runs/run_directory.h"
#include "examples/runs/terminal.h"

namespace regrad::example {
namespace {

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

int64_t steps_of(const TrainOptions& options, const Batches& batches) {
  const int64_t per_epoch = (batches.per_epoch() + options.accumulate - 1) / options.accumulate;
  return options.steps > 0 ? options.steps : options.epochs * per_epoch;
}

// The options of a run that is gone on with are those that it began with; threads and device may
// differ.
TrainOptions options_of_run(const TrainOptions& given, RunDirectory& directory) {
  if (given.resume.empty()) return given;
  Config config;
  directory.read_config(settings_of(config));  // what is no run's is not touched, even to lock it
  directory.lock();
  directory.read_config(settings_of(config));
  const std::string& data = config.options.data;
  check(config.data == checksum_of(data),
        "{}: it is not the file that the run in {} began with ({} bytes, {})", data, given.resume,
        config.data.bytes, config.data.checksum);
  TrainOptions options = config.options;
  options.out = options.resume = given.resume;
  options.machine = given.machine;
  return options;
}

void begin(const TrainOptions& options, RunDirectory& directory) {
  Config config;
  const std::string moved = directory.set_aside(settings_of(config));
  if (!moved.empty()) {
    say(fmt::format("the run that was in {} is now in {}", directory.path(), moved));
  }
  config = {program_version, options, checksum_of(options.data)};
  directory.begin(settings_of(config));
}

void resume(const RunDirectory& directory, Trainer& trainer) {
  directory.remove_unfinished();
  const RunDirectory::Found found = directory.newest(say);
  if (found.step < 0) {
    return say(directory.path() + " has no checkpoint yet; the run begins anew");
  }
  trainer.resume(found);
  say(fmt::format("goes on after step {}, from {}", found.step, found.path));
}

// The model that patience chose: the best one measured, not the last.
void take_best(const RunDirectory& directory, Translator& translator) {
  const RunDirectory::Found best = directory.best();
  if (best.step < 0) return;
  nn::load_state_dict(translator.model(), model_tensors(best.file.tensors));
  say(fmt::format("stopped early; the weights are those after step {}", best.step));
}

// Trains until it ends or is stopped, and writes the weights; the signal that stopped it, or 0.
int train(Trainer& trainer, Translator& translator, const RunDirectory& directory, int64_t steps) {
  const StopOnSignal stop;
  trainer.run(interrupted);
  const bool is_cut = trainer.state().step < steps;
  const std::string weights = directory.path() + "/weights.safetensors";
  if (interrupted != 0 && is_cut) {
    translator.save(weights);
    say(fmt::format("stopped after step {} of {}; `{} train --resume {}` goes on",
                    trainer.state().step, steps, program, directory.path()));
    return interrupted;
  }
  if (trainer.stopped_early()) take_best(directory, translator);
  if (trainer.is_solved() && is_cut) {
    say(fmt::format("ended after step {} of {}: no mistakes are left to learn from",
                    trainer.state().step, steps));
  }
  translator.save(weights);
  return 0;
}

// What the options say that can be said only now that the data is known.
void note_task(const TrainOptions& given, const Task& task) {
  if (given.tokens == "auto" && given.merges >= 0 && task.tokeniser != Tokeniser::bytepair) {
    remark(
        fmt::format("--merges has no effect: --tokens auto takes {}s for this data; it is for "
                    "--tokens bytepair",
                    name_of(task.tokeniser)));
  }
}

}  // namespace

int run_train(const TrainOptions& given) {
  RunDirectory directory(given.resume);
  const TrainOptions run_options = options_of_run(given, directory);
  Task task = read_task(run_options);
  note_task(given, task);
  const TrainOptions options = with_defaults(run_options, task);
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
  Batches batches = make_batches(options, task, nn::fork(generator).seed());
  const int64_t steps = steps_of(options, batches);
  Trainer trainer(options, translator, batches, task, steps, directory);
  if (given.resume.empty()) {
    begin(options, directory);
  } else {
    resume(directory, trainer);
  }
  say_remarks();
  if (const int signal = train(trainer, translator, directory, steps); signal != 0) {
    return 128 + signal;
  }
  report_results(options, task, translator, trainer, out);
  return 0;
}

}  // namespace regrad::example

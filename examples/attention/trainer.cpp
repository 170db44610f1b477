#include "examples/attention/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <sstream>
#include <utility>

#include "autograd/check.h"
#include "examples/attention/not_finite.h"
#include "examples/report/snapshots.h"
#include "examples/runs/events.h"
#include "examples/runs/progress.h"
#include "examples/runs/terminal.h"
#include "nn/audit.h"
#include "ops/ops.h"

namespace regrad::example {
namespace {

constexpr size_t max_measured = 200, max_watched = 3;  // held-out sources
constexpr int64_t measurements = 20, lines_between = 5, enough_without_mistake = 3;
constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

std::vector<EncodedPair> evenly(const std::vector<EncodedPair>& pairs, size_t max_count) {
  if (pairs.size() <= max_count) return pairs;
  std::vector<EncodedPair> some;
  for (size_t i = 0; i < max_count; ++i) some.push_back(pairs[i * pairs.size() / max_count]);
  return some;
}

int64_t tokens_in(const Batch& batch) {
  int64_t count = 0;
  for (const int64_t id : batch.wanted.to_vector<int64_t>()) count += id != Vocabulary::pad;
  return count;
}

int64_t share_of(int64_t steps) { return std::max<int64_t>(1, steps / measurements); }

}  // namespace

optim::WarmupLR make_schedule(const TrainOptions& options, optim::Optimizer& optimiser,
                              int64_t steps) {
  const int64_t warmup = std::max<int64_t>(1, options.warmup < 0 ? steps / 20 : options.warmup);
  optim::WarmupOptions shape;
  shape.inverse_sqrt = options.schedule == "inverse-sqrt";
  if (options.schedule == "cosine") shape.cosine_to = std::max(steps, warmup) + 1;
  return optim::WarmupLR(optimiser, warmup, shape);
}

Trainer::Trainer(const TrainOptions& options, Translator& translator, Batches& batches,
                 const Task& task, int64_t steps, const RunDirectory& directory)
    : options_(options),
      translator_(translator),
      batches_(batches),
      steps_(steps),
      directory_(directory),
      optimiser_(nn::parameters(translator.model()), {.lr = options.lr}),
      schedule_(make_schedule(options, optimiser_, steps)),
      held_out_(distinct_sources(task.held_out, task.tokeniser, max_measured)),
      held_out_ids_(evenly(task.held_out_ids, 2 * max_measured)) {
  std::vector<std::string> sources;
  for (const HeldOut& one : held_out_) sources.push_back(one.source);
  watched_ = sentences_to_watch(sources, max_watched);
}

// One step of Adam on `accumulate` batches; returns the mean loss before it. Nothing is moved where
// a loss or a gradient is not finite.
double Trainer::step() {
  const nn::NamedTensors generators = generator_state(translator_.model());
  std::vector<Batch> batches;
  double value = 0;
  const auto count = static_cast<double>(options_.accumulate);
  optimiser_.zero_grad();
  for (int64_t i = 0; i < options_.accumulate; ++i) {
    batches.push_back(batches_.next());
    state_.tokens += tokens_in(batches.back());
    const Tensor loss = translator_.loss(batches.back(), options_.label_smoothing);
    value += loss.item<double>() / count;
    if (!std::isfinite(value)) fail_not_finite("loss", value, batches, generators);
    const Tensor part = options_.accumulate == 1 ? loss : loss / count;
    part.backward();
    if (state_.step == 0 && i + 1 == options_.accumulate) say_audit(part);
  }
  const double max_norm = options_.clip > 0 ? options_.clip : std::numeric_limits<double>::max();
  const double norm = optim::clip_grad_norm(optimiser_.parameters(), max_norm);
  if (!std::isfinite(norm)) fail_not_finite("gradient's length", norm, batches, generators);
  schedule_.set_steps(state_.step);
  optimiser_.step();
  return value;
}

// What the first step brought to each parameter: of a run without --audit only what is wrong. (That
// a softmax ignores a parameter, such as the bias of the scores, is not.)
void Trainer::say_audit(const Tensor& loss) const {
  const Audit all = audit(translator_.model(), loss);
  std::istringstream rows((options_.audit ? all : all.wrong()).str());
  for (std::string row; std::getline(rows, row);) say("first step: " + row);
}

void Trainer::fail_not_finite(const char* what, double value, const std::vector<Batch>& batches,
                              const nn::NamedTensors& generators) {
  fail(
      "train: at step {} the {} is {}: {}. The checkpoints in {} "
      "are from before; a smaller --lr or --clip may help",
      state_.step + 1, what, value,
      first_not_finite(translator_, batches, options_.label_smoothing, generators),
      directory_.path());
}

// What the model writes for the watched sentences, and what it attends to. Changes nothing in it.
void Trainer::take_snapshot(int64_t step) {
  Snapshot snapshot{step, {}};
  for (const std::string& sentence : watched_) {
    snapshot.maps.push_back(translator_.show(sentence).map);
  }
  snapshots_.push_back(std::move(snapshot));
}

// Whether this is the best so far.
bool Trainer::measure(Metrics& row) {
  double loss = mean_loss();
  if (!held_out_.empty()) {
    row.accuracy = predict(translator_, held_out_).accuracy();
    loss = std::log(next_tokens(translator_, held_out_ids_, options_.batch).perplexity());
    row.held_out_loss = loss;
    take_snapshot(row.step);
    state_.without_mistake = row.accuracy == 1 ? state_.without_mistake + 1 : 0;
  }
  const bool is_best = state_.measured++ == 0 || loss < state_.best_loss;
  if (is_best) state_.best_loss = loss;
  state_.without_gain = is_best ? 0 : state_.without_gain + 1;
  return is_best;
}

double Trainer::mean_loss() const {
  return state_.loss_sum / static_cast<double>(std::max<int64_t>(1, state_.loss_count));
}

Metrics Trainer::row_after(double seconds) {
  const double taken = seconds - (metrics_.empty() ? 0 : metrics_.back().seconds);
  const auto tokens = static_cast<double>(std::exchange(state_.tokens, 0));
  return {state_.step, state_.position.epoch, 0,       unknown,
          unknown,     optimiser_.lr(),       seconds, tokens / std::max(taken, 1e-9)};
}

void Trainer::log(Metrics row, EventFile& events) {
  row.train_loss = mean_loss();
  state_.loss_sum = 0;
  state_.loss_count = 0;
  metrics_.push_back(row);
  events.add(row.step, {{"loss/train", row.train_loss},
                        {"loss/held_out", row.held_out_loss},
                        {"accuracy/held_out", row.accuracy},
                        {"lr", row.lr},
                        {"tokens_per_second", row.tokens_per_second}});
  directory_.write("metrics.csv", metrics_table(metrics_));
}

bool Trainer::stopped_early() const {
  return options_.patience > 0 && state_.without_gain >= options_.patience;
}

// From a quarter of the steps on: before, one step may undo another.
bool Trainer::is_solved() const {
  return options_.until_solved && 4 * state_.step >= steps_ &&
         state_.without_mistake >= enough_without_mistake;
}

bool Trainer::is_over(int stop) const {
  return state_.step >= steps_ || stop != 0 || stopped_early() || is_solved();
}

void Trainer::advance() {
  state_.loss_sum += step();
  ++state_.loss_count;
  state_.position = batches_.position();
  if (state_.step++ == 0 && !watched_.empty()) {  // before this step nothing says it is finite
    take_snapshot(1);
  }
}

void Trainer::run(const volatile int& stop) {
  Progress progress("train", steps_);
  EventFile events(directory_.path());
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  const double before = metrics_.empty() ? 0 : metrics_.back().seconds;
  const int64_t interval = share_of(steps_), line = std::max<int64_t>(1, interval / lines_between);
  const int64_t save_interval = options_.save_every > 0 ? options_.save_every : interval;
  double accuracy = unknown;
  for (bool is_last = is_over(stop); !is_last;) {
    advance();
    const double mean = mean_loss();
    const bool measures = state_.step % interval == 0 || state_.step == steps_;
    bool is_best = false;
    if (state_.step % line == 0 || measures) {
      Metrics row = row_after(before + std::chrono::duration<double>(Clock::now() - start).count());
      if (measures) {
        is_best = measure(row);
        accuracy = row.accuracy;
      }
      log(row, events);
    }
    is_last = is_over(stop);
    if (state_.step % save_interval == 0 || is_best || is_last) save(is_best);
    progress.update(state_.step, mean, accuracy);
  }
  progress.finish();
}

void Trainer::save(bool is_best) {
  for (const auto& [name, parameter] : nn::named_parameters(translator_.model())) {
    check(all_finite(parameter),
          "train: after step {} the parameter {} is not finite; it is not "
          "saved, and the checkpoints in {} are from before",
          state_.step, name, directory_.path());
  }
  directory_.save(state_.step, checkpoint_tensors(translator_.model(), optimiser_, state_),
                  translator_.metadata(), is_best, options_.keep);
}

void Trainer::resume(const RunDirectory::Found& found) {
  Translator::check_version(found.path, found.file.metadata);
  nn::files::in_file(found.path, [&] {
    const TrainingState state =
        load_checkpoint(found.file.tensors, translator_.model(), optimiser_);
    batches_.resume(state.position);
    state_ = state;
  });
  for (const Metrics& row : directory_.metrics()) {
    if (row.step <= state_.step) metrics_.push_back(row);
  }
}

}  // namespace regrad::example

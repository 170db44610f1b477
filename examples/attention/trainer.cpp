#include "examples/attention/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <numbers>
#include <utility>

#include "autograd/check.h"
#include "autograd/watch.h"
#include "examples/attention/commands.h"
#include "examples/attention/evaluate.h"
#include "examples/runs/events.h"
#include "examples/runs/progress.h"
#include "ops/ops.h"

namespace regrad::example {
namespace {

constexpr size_t measured_often = 200, watched = 3;  // held-out pairs
constexpr int64_t measurements = 20, lines_between = 5, enough_without_mistake = 3;
constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

bool is_finite(const Tensor& x) {
  const NoGrad guard;
  return x.dtype() == int64 || x.dtype() == bool_ || x.numel() == 0 ||
         std::isfinite(sum(x.to(float64) * 0.0).item<double>());
}

std::vector<uint64_t> positions(Translator& translator) {
  std::vector<uint64_t> at;
  for (const auto& [name, generator] : nn::named_generators(translator.model())) {
    at.push_back(generator->position());
  }
  return at;
}

void set_positions(Translator& translator, const std::vector<uint64_t>& at) {
  size_t i = 0;
  for (const auto& [name, generator] : nn::named_generators(translator.model())) {
    generator->set_position(at[i++]);
  }
}

std::vector<EncodedPair> evenly(const std::vector<EncodedPair>& pairs, size_t count) {
  if (pairs.size() <= count) return pairs;
  std::vector<EncodedPair> some;
  for (size_t i = 0; i < count; ++i) some.push_back(pairs[i * pairs.size() / count]);
  return some;
}

int64_t tokens_in(const Batch& batch) {
  int64_t count = 0;
  for (const int64_t id : batch.wanted.to_vector<int64_t>()) count += id != Vocabulary::pad;
  return count;
}

int64_t share_of(int64_t steps) { return std::max<int64_t>(1, steps / measurements); }

}  // namespace

std::vector<std::string> schedule_names() { return {"cosine", "inverse-sqrt", "constant"}; }

double rate_factor(const std::string& schedule, int64_t step, int64_t warmup, int64_t steps) {
  const double rise =
      std::max(1.0, warmup < 0 ? 0.05 * static_cast<double>(steps) : static_cast<double>(warmup));
  const double done = static_cast<double>(step) + 0.5;
  if (done < rise && warmup != 0) return done / rise;
  if (schedule == "constant") return 1;
  if (schedule == "inverse-sqrt") return std::min(1.0, std::sqrt(rise / done));
  const double rest = std::max(1.0, static_cast<double>(steps) - rise);
  return 0.5 * (1 + std::cos(std::numbers::pi * std::clamp((done - rise) / rest, 0.0, 1.0)));
}

Learning::Learning(const TrainOptions& options, Translator& translator, Batches& batches,
                   const Task& task, int64_t steps, const RunDirectory& directory)
    : options_(options),
      translator_(translator),
      batches_(batches),
      steps_(steps),
      directory_(directory),
      optimiser_(nn::parameters(translator.model()), {.lr = options.rate}),
      questions_(questions(task.held_out, task.tokeniser, measured_often)),
      held_out_(evenly(encode(task.held_out, translator.source(), translator.target()),
                       2 * measured_often)) {
  std::vector<std::string> sources;
  for (const Question& question : questions_) sources.push_back(question.source);
  watched_ = sentences_to_watch(sources, watched);
}

// One step of Adam on `accumulate` batches; returns the mean loss before it. Nothing is moved where
// a loss or a gradient is not finite.
double Learning::step() {
  const std::vector<uint64_t> at = positions(translator_);
  std::vector<Batch> given;
  double value = 0;
  const auto count = static_cast<double>(options_.accumulate);
  optimiser_.zero_grad();
  for (int64_t i = 0; i < options_.accumulate; ++i) {
    given.push_back(batches_.next());
    tokens_ += tokens_in(given.back());
    const Tensor loss = translator_.loss(given.back(), options_.label_smoothing);
    value += loss.item<double>() / count;
    if (!std::isfinite(value)) explain("loss", value, given, at);
    (options_.accumulate == 1 ? loss : loss / count).backward();
  }
  const double most = options_.clip > 0 ? options_.clip : std::numeric_limits<double>::max();
  const double length = optim::clip_grad_norm(nn::parameters(translator_.model()), most);
  if (!std::isfinite(length)) explain("gradient's length", length, given, at);
  optimiser_.set_lr(options_.rate *
                    rate_factor(options_.schedule, state_.step, options_.warmup, steps_));
  optimiser_.step();
  return value;
}

// Computes the step again, and says where the first number came from that is not finite.
void Learning::explain(const char* what, double value, const std::vector<Batch>& given,
                       const std::vector<uint64_t>& at) {
  std::string where;
  for (const auto& [name, parameter] : nn::named_parameters(translator_.model())) {
    if (where.empty() && !is_finite(parameter)) where = "the parameter " + name;
  }
  if (where.empty()) {
    set_positions(translator_, at);
    const Watch watch([&](const char* op, const Tensor& output) {
      if (where.empty() && !is_finite(output)) {
        where = fmt::format("the result {} of {}", output.shape().str(), op);
      }
    });
    for (const Batch& batch : given) translator_.loss(batch, options_.label_smoothing);
  }
  for (const auto& [name, parameter] : nn::named_parameters(translator_.model())) {
    const bool is_bad = parameter.grad().defined() && !is_finite(parameter.grad());
    if (where.empty() && is_bad) where = "the gradient of " + name;
  }
  fail(
      "train: at step {} the {} is {}; the first that is not finite is {}. The checkpoints in {} "
      "are from before; a smaller --lr or --clip may help",
      state_.step + 1, what, value, where.empty() ? "not found again" : where, directory_.path());
}

// Whether this is the best so far.
bool Learning::measure(Metrics& row) {
  double loss = mean_loss();
  if (!questions_.empty()) {
    row.accuracy = ask(translator_, questions_).share();
    row.held_out_loss = std::log(next_tokens(translator_, held_out_, options_.batch).perplexity());
    snapshots_.push_back(take_snapshot(translator_, watched_, row.step));
    loss = row.held_out_loss;
    state_.without_mistake = row.accuracy == 1 ? state_.without_mistake + 1 : 0;
  }
  const bool is_best = state_.measured++ == 0 || loss < state_.best_loss;
  if (is_best) state_.best_loss = loss;
  state_.without_gain = is_best ? 0 : state_.without_gain + 1;
  return is_best;
}

double Learning::mean_loss() const {
  return state_.loss_sum / static_cast<double>(std::max<int64_t>(1, state_.loss_count));
}

Metrics Learning::row_after(double seconds) {
  const double taken = seconds - (metrics_.empty() ? 0 : metrics_.back().seconds);
  const auto tokens = static_cast<double>(std::exchange(tokens_, 0));
  return {state_.step, state_.position.epoch, 0,       unknown,
          unknown,     optimiser_.lr(),       seconds, tokens / std::max(taken, 1e-9)};
}

void Learning::log(Metrics row, EventFile& events) {
  row.train_loss = mean_loss();
  state_.loss_sum = 0;
  state_.loss_count = 0;
  metrics_.push_back(row);
  events.add(row.step, {{"loss/train", row.train_loss},
                        {"loss/held_out", row.held_out_loss},
                        {"accuracy/held_out", row.accuracy},
                        {"rate", row.rate},
                        {"tokens_per_second", row.tokens_per_second}});
  directory_.write("metrics.csv", metrics_table(metrics_));
}

bool Learning::stopped_early() const {
  return options_.patience > 0 && state_.without_gain >= options_.patience;
}

// From a quarter of the steps on: before, one step may undo another.
bool Learning::is_solved() const {
  return options_.until_solved && 4 * state_.step >= steps_ &&
         state_.without_mistake >= enough_without_mistake;
}

void Learning::advance() {
  state_.loss_sum += step();
  ++state_.loss_count;
  state_.position = batches_.position();
  if (state_.step++ == 0 && !watched_.empty()) {  // before this step nothing says it is finite
    snapshots_.push_back(take_snapshot(translator_, watched_, 1));
  }
}

void Learning::run(const volatile int& stop) {
  Progress progress("train", steps_);
  EventFile events(directory_.path());
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  const double before = metrics_.empty() ? 0 : metrics_.back().seconds;
  const int64_t interval = share_of(steps_), line = std::max<int64_t>(1, interval / lines_between);
  const int64_t every = options_.save_every > 0 ? options_.save_every : interval;
  double accuracy = unknown;
  while (state_.step < steps_ && stop == 0 && !stopped_early() && !is_solved()) {
    advance();
    const double mean = mean_loss();
    const bool is_last = state_.step == steps_, measures = state_.step % interval == 0 || is_last;
    bool is_best = false;
    if (state_.step % line == 0 || measures) {
      Metrics row = row_after(before + std::chrono::duration<double>(Clock::now() - start).count());
      if (measures) {
        is_best = measure(row);
        accuracy = row.accuracy;
      }
      log(row, events);
    }
    const bool ends = is_last || stop != 0 || stopped_early() || is_solved();
    if (state_.step % every == 0 || is_best || ends) save(is_best);
    progress.update(state_.step, mean, accuracy);
  }
  progress.finish();
}

nn::NamedTensors Learning::tensors() {
  nn::NamedTensors all;
  for (const auto& [name, value] : nn::state_dict(translator_.model())) {
    all.emplace_back("model." + name, value);
  }
  for (const auto& [name, value] : optimiser_.state_dict()) {
    all.emplace_back("optimiser." + name, value);
  }
  for (const auto& [name, generator] : nn::named_generators(translator_.model())) {
    all.emplace_back("generator." + name, tensor({static_cast<int64_t>(generator->seed()),
                                                  static_cast<int64_t>(generator->position())},
                                                 {2}));
  }
  const TrainingState& s = state_;
  all.emplace_back("training.counts",
                   tensor({s.step, s.position.epoch, s.position.index, s.loss_count, s.measured,
                           s.without_gain, tokens_, s.without_mistake},
                          {8}));
  all.emplace_back("training.losses", tensor({s.loss_sum, s.best_loss}, {2}));
  return all;
}

void Learning::save(bool is_best) {
  for (const auto& [name, parameter] : nn::named_parameters(translator_.model())) {
    check(is_finite(parameter),
          "train: after step {} the parameter {} is not finite; it is not "
          "saved, and the checkpoints in {} are from before",
          state_.step, name, directory_.path());
  }
  directory_.save(state_.step, tensors(), translator_.metadata(), is_best, options_.keep);
}

void Learning::load_training(const nn::NamedTensors& tensors) {
  const Tensor &counts = tensors.at("counts"), &losses = tensors.at("losses");
  check(counts.dtype() == int64 && counts.shape() == Shape({8}) && losses.dtype() == float64 &&
            losses.shape() == Shape({2}),
        "its training state is not of this program's form");
  const std::vector<int64_t> count = counts.to_vector<int64_t>();
  const std::vector<double> loss = losses.to_vector<double>();
  check(count[0] >= 0 && count[3] >= 0 && count[4] >= 0 && count[5] >= 0 && count[7] >= 0,
        "its training state counts below zero");
  batches_.resume({count[1], count[2]});
  state_ = {count[0], {count[1], count[2]}, loss[0], count[3], loss[1], count[4], count[5]};
  tokens_ = count[6];
  state_.without_mistake = count[7];
}

namespace {

nn::NamedTensors part(const nn::NamedTensors& checkpoint, const std::string& prefix) {
  nn::NamedTensors found;
  for (const auto& [name, value] : checkpoint) {
    if (name.starts_with(prefix)) found.emplace_back(name.substr(prefix.size()), value);
  }
  return found;
}

}  // namespace

nn::NamedTensors model_tensors(const nn::NamedTensors& checkpoint) {
  return part(checkpoint, "model.");
}

void Learning::resume(const RunDirectory::Found& found) {
  const nn::NamedTensors& tensors = found.file.tensors;
  try {
    nn::load_state_dict(translator_.model(), model_tensors(tensors));
    optimiser_.load_state_dict(part(tensors, "optimiser."));
    for (const auto& [name, generator] : nn::named_generators(translator_.model())) {
      const Tensor& at = tensors.at("generator." + name);
      check(at.dtype() == int64 && at.shape() == Shape({2}), "generator.{} is not a place", name);
      const std::vector<int64_t> place = at.to_vector<int64_t>();
      *generator = Generator(static_cast<uint64_t>(place[0]), static_cast<uint64_t>(place[1]));
    }
    load_training(part(tensors, "training."));
  } catch (const Error& error) {
    fail("{}: {}", found.path, error.what());
  }
  for (const Metrics& row : directory_.metrics()) {
    if (row.step <= state_.step) metrics_.push_back(row);
  }
}

}  // namespace regrad::example

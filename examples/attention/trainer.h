// The training loop: steps of Adam with a schedule, measurements, and checkpoints from which it
// goes on with the same bits as if it had never stopped.
#pragma once

#include <vector>

#include "examples/attention/measure.h"
#include "examples/attention/task.h"
#include "examples/report/snapshots.h"
#include "examples/runs/run_directory.h"
#include "optim/optim.h"

namespace regrad::example {

// The learning rate of a step, as a share of the highest: rises over the warm-up, then falls.
double rate_factor(const std::string& schedule, int64_t step, int64_t warmup, int64_t steps);

// Everything that a run is at a step.
struct TrainingState {
  int64_t step = 0;
  Batches::Position position;
  double loss_sum = 0;  // since the last line of metrics
  int64_t loss_count = 0;
  double best_loss = 0;  // on the held-out pairs; meaningful once something was measured
  int64_t measured = 0, without_gain = 0, without_mistake = 0;  // measurements, in a row
};

// The part of a checkpoint that is the model, under the model's own names.
nn::NamedTensors model_tensors(const nn::NamedTensors& checkpoint);

class Learning {
 public:
  Learning(const TrainOptions& options, Translator& translator, Batches& batches, const Task& task,
           int64_t steps, const RunDirectory& directory);

  // Takes a checkpoint's state. An Error that lists every tensor that is missing, left over or of
  // another shape leaves everything as it was.
  void resume(const RunDirectory::Found& found);

  // Trains to the last step, to the end of patience, until there are no mistakes, or until `stop`
  // is not 0.
  void run(const volatile int& stop);

  const TrainingState& state() const { return state_; }
  const std::vector<Metrics>& metrics() const { return metrics_; }
  const std::vector<Snapshot>& snapshots() const { return snapshots_; }
  bool stopped_early() const;  // by patience
  bool is_solved() const;      // if the options ask: enough measurements without a mistake

 private:
  double step();
  void advance();
  bool measure(Metrics& row);
  double mean_loss() const;  // since the last line of metrics
  Metrics row_after(double seconds);
  void log(Metrics row, class EventFile& events);
  void save(bool is_best);
  [[noreturn]] void explain(const char* what, double value, const std::vector<Batch>& given,
                            const std::vector<uint64_t>& at);
  nn::NamedTensors tensors();
  void load_training(const nn::NamedTensors& tensors);

  const TrainOptions& options_;
  Translator& translator_;
  Batches& batches_;
  int64_t steps_;
  const RunDirectory& directory_;
  optim::Adam optimiser_;
  std::vector<Question> questions_;
  std::vector<std::string> watched_;  // sentences whose alignment is shown as it is learnt
  std::vector<Snapshot> snapshots_;
  std::vector<EncodedPair> held_out_;
  TrainingState state_;
  std::vector<Metrics> metrics_;
  int64_t tokens_ = 0;
};

}  // namespace regrad::example

// The training loop: steps of Adam with a schedule, measurements, and checkpoints from which it
// goes on with the same bits as if it had never stopped.
#pragma once

#include <vector>

#include "examples/attention/checkpoint.h"
#include "examples/attention/evaluation.h"
#include "examples/attention/task.h"
#include "examples/report/report.h"
#include "examples/runs/run_directory.h"
#include "optim/optim.h"

namespace regrad::example {

// The schedule of the options for a training of so many steps: up over the warm-up, then down.
optim::WarmupLR make_schedule(const TrainOptions& options, optim::Optimizer& optimiser,
                              int64_t steps);

class Trainer {
 public:
  Trainer(const TrainOptions& options, Translator& translator, Batches& batches, const Task& task,
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
  void say_audit(const Tensor& loss) const;
  void advance();
  bool measure(Metrics& row);
  double mean_loss() const;  // since the last line of metrics
  bool is_over(int stop) const;
  Metrics row_after(double seconds);
  void log(Metrics row, class EventFile& events);
  void take_snapshot(int64_t step);
  void save(bool is_best);
  [[noreturn]] void fail_not_finite(const char* what, double value,
                                    const std::vector<Batch>& batches,
                                    const nn::NamedTensors& generators);

  const TrainOptions& options_;
  Translator& translator_;
  Batches& batches_;
  int64_t steps_;
  const RunDirectory& directory_;
  optim::Adam optimiser_;
  optim::WarmupLR schedule_;
  std::vector<HeldOut> held_out_;
  std::vector<EncodedPair> held_out_ids_;
  std::vector<std::string> watched_;  // sentences whose alignment is shown as it is learnt
  std::vector<Snapshot> snapshots_;
  TrainingState state_;
  std::vector<Metrics> metrics_;
};

}  // namespace regrad::example

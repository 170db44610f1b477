// Learning rates that change: call step() once after each epoch (or step) of the optimiser, which
// must outlive its schedule. Every group of parameters has a rate of its own, computed from its
// base, the optimiser's base_lr(group): the rate that the user gave, not one that a schedule has
// set. So an optimiser takes one schedule; for a cosine after a warm-up there is WarmupLR's
// cosine_to.
#pragma once

#include <cstdint>
#include <limits>

#include "optim/optimizer.h"

namespace regrad::optim {

// A rate that depends on the number of steps alone, which is all that a checkpoint needs.
class Schedule {
 public:
  virtual ~Schedule() = default;
  // One step on, and the rates for it.
  void step() { set_steps(steps_ < INT64_MAX ? steps_ + 1 : steps_); }
  int64_t steps() const { return steps_; }  // taken so far
  void set_steps(int64_t steps);            // for a run that goes on; an Error below 0
  // What a group's rates are computed from; an Error where there is no such group.
  double base_lr(int64_t group = 0) const;

 protected:
  explicit Schedule(Optimizer& optimizer);
  virtual double rate(double base, int64_t steps) const = 0;  // of a group with that base
  void apply();

 private:
  Optimizer& optimizer_;
  std::vector<double> bases_;  // of each group
  int64_t steps_ = 0;
};

// base gamma^floor(steps / step_size)
class StepLR : public Schedule {
 public:
  // step_size is above 0.
  StepLR(Optimizer& optimizer, int64_t step_size, double gamma = 0.1);

 private:
  double rate(double base, int64_t steps) const override;
  int64_t step_size_;
  double gamma_;
};

// min_lr + (base - min_lr) (1 + cos(π steps / total_steps)) / 2   (Loshchilov and Hutter, 2017)
class CosineLR : public Schedule {
 public:
  // total_steps is above 0; beyond them the cosine rises again.
  CosineLR(Optimizer& optimizer, int64_t total_steps, double min_lr = 0);

 private:
  double rate(double base, int64_t steps) const override;
  int64_t total_steps_;
  double min_lr_;
};

struct WarmupOptions {
  bool inverse_sqrt = false;  // afterwards base sqrt(warmup_steps / t); otherwise base
  int64_t cosine_to = 0;      // above 0: afterwards half a cosine down to 0 at this step
};

// base t / warmup_steps for step t = 1 .. warmup_steps; sets the rate of the first step at once.
class WarmupLR : public Schedule {
 public:
  // warmup_steps is above 0, and cosine_to, if given, above it and without inverse_sqrt.
  WarmupLR(Optimizer& optimizer, int64_t warmup_steps, WarmupOptions options = {});

 private:
  double rate(double base, int64_t steps) const override;
  int64_t warmup_steps_;
  WarmupOptions options_;
};

struct PlateauOptions {
  double factor = 0.1;
  int64_t patience = 10;    // steps without an improvement before a reduction
  double threshold = 1e-4;  // an improvement is by more than this times |best|
  int64_t cooldown = 0;     // steps after a reduction in which nothing is counted
  double min_lr = 0;
  bool maximise = false;  // the metric is an accuracy, not a loss
};

// Multiplies the rate of every group by factor when the metric has stopped improving.
class ReduceOnPlateau {
 public:
  // factor is between 0 and 1.
  explicit ReduceOnPlateau(Optimizer& optimizer, PlateauOptions options = {});
  void step(double metric);  // once after each epoch, with its loss or accuracy

  struct Progress {
    double best = std::numeric_limits<double>::infinity();
    int64_t bad_steps = 0, cooldown_left = 0;
  };
  const Progress& progress() const { return progress_; }                 // for a checkpoint
  void set_progress(const Progress& progress) { progress_ = progress; }  // from one

 private:
  Optimizer& optimizer_;
  PlateauOptions options_;
  Progress progress_;
};

}  // namespace regrad::optim

#include "optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "autograd/check.h"

namespace regrad::optim {
namespace {

double half_cosine(double done) {
  return (1 + std::cos(std::numbers::pi * done)) / 2;
}  // from 1 to 0

}  // namespace

Schedule::Schedule(Optimizer& optimizer) : optimizer_(optimizer) {
  for (int64_t group = 0; group < optimizer.num_groups(); ++group) {
    bases_.push_back(optimizer.base_lr(group));
  }
}

double Schedule::base_lr(int64_t group) const {
  check(group >= 0 && group < static_cast<int64_t>(bases_.size()),
        "base_lr: there is no group {} among {}", group, bases_.size());
  return bases_[static_cast<size_t>(group)];
}

void Schedule::apply() {
  std::vector<double> rates;  // all are computed before any is set
  for (const double base : bases_) rates.push_back(rate(base, steps_));
  for (size_t i = 0; i < rates.size(); ++i) {
    optimizer_.set_scheduled_lr(rates[i], static_cast<int64_t>(i));
  }
}

void Schedule::set_steps(int64_t steps) {
  check(steps >= 0, "a schedule cannot stand at step {}", steps);
  steps_ = steps;
  apply();
}

StepLR::StepLR(Optimizer& optimizer, int64_t step_size, double gamma)
    : Schedule(optimizer), step_size_(step_size), gamma_(gamma) {
  check(step_size > 0, "StepLR: the step size must be above 0, not {}", step_size);
}

double StepLR::rate(double base, int64_t steps) const {
  return base * std::pow(gamma_, static_cast<double>(steps / step_size_));
}

CosineLR::CosineLR(Optimizer& optimizer, int64_t total_steps, double min_lr)
    : Schedule(optimizer), total_steps_(total_steps), min_lr_(min_lr) {
  check(total_steps > 0, "CosineLR: the number of steps must be above 0, not {}", total_steps);
}

double CosineLR::rate(double base, int64_t steps) const {
  const double done = static_cast<double>(steps) / static_cast<double>(total_steps_);
  return min_lr_ + (base - min_lr_) * half_cosine(done);
}

WarmupLR::WarmupLR(Optimizer& optimizer, int64_t warmup_steps, WarmupOptions options)
    : Schedule(optimizer), warmup_steps_(warmup_steps), options_(options) {
  check(warmup_steps > 0, "WarmupLR: the number of steps must be above 0, not {}", warmup_steps);
  check(options.cosine_to == 0 || (options.cosine_to > warmup_steps && !options.inverse_sqrt),
        "WarmupLR: cosine_to must be above the {} steps of the warm-up, and without inverse_sqrt, "
        "not {}",
        warmup_steps, options.cosine_to);
  apply();
}

double WarmupLR::rate(double base, int64_t steps) const {
  const double share = (static_cast<double>(steps) + 1) / static_cast<double>(warmup_steps_);
  if (share <= 1) return base * share;
  if (options_.cosine_to > 0) {
    const double done = (static_cast<double>(steps - warmup_steps_) + 1) /
                        static_cast<double>(options_.cosine_to - warmup_steps_);
    return base * half_cosine(std::min(done, 1.0));
  }
  return options_.inverse_sqrt ? base / std::sqrt(share) : base;
}

ReduceOnPlateau::ReduceOnPlateau(Optimizer& optimizer, PlateauOptions options)
    : optimizer_(optimizer), options_(options) {
  check(options.factor > 0 && options.factor < 1,
        "ReduceOnPlateau: the factor must be between 0 and 1, not {}", options.factor);
  if (options.maximise) progress_.best = -progress_.best;
}

void ReduceOnPlateau::step(double metric) {
  const double best = progress_.best;
  const double margin = std::isfinite(best) ? std::abs(best) * options_.threshold : 0;
  const bool better = options_.maximise ? metric > best + margin : metric < best - margin;
  if (better) {
    progress_.best = metric;
    progress_.bad_steps = 0;
  } else {
    ++progress_.bad_steps;
  }
  if (progress_.cooldown_left > 0) {
    --progress_.cooldown_left;
    progress_.bad_steps = 0;
  }
  if (progress_.bad_steps <= options_.patience) return;
  progress_.cooldown_left = options_.cooldown;
  progress_.bad_steps = 0;
  for (int64_t group = 0; group < optimizer_.num_groups(); ++group) {
    const double rate = optimizer_.lr(group);
    const double reduced = std::max(rate * options_.factor, options_.min_lr);
    if (rate - reduced > 1e-8) optimizer_.set_scheduled_lr(reduced, group);
  }
}

}  // namespace regrad::optim

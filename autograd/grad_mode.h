// Whether operations are recorded: a setting of each thread, on at first.
#pragma once

#include <cstdint>

namespace regrad {

class GradMode {
 public:
  // On or off for this thread while it is alive; then as before.
  explicit GradMode(bool on) : GradMode(on ? Mode::on : Mode::off) {}
  ~GradMode() { mode_ = before_; }
  GradMode(const GradMode&) = delete;
  GradMode& operator=(const GradMode&) = delete;
  // Whether this thread records.
  static bool enabled() { return mode_ == Mode::on; }
  // Whether tensors note which leaves they were computed from (origin.h).
  static bool follows_origins() { return mode_ != Mode::inside; }

 protected:
  enum class Mode : uint8_t { on, off, inside };
  explicit GradMode(Mode mode) : before_(mode_) { mode_ = mode; }

 private:
  Mode before_;
  static inline constinit thread_local Mode mode_ = Mode::on;
};

// While one is alive, this thread records no graph.
class [[nodiscard]] NoGrad : public GradMode {
 public:
  NoGrad() : GradMode(false) {}  // as before when it is destroyed
};

// The same for what is computed inside an op that is recorded as a whole, and inside backward():
// not a cut that a user made.
class [[nodiscard]] InsideOp : public GradMode {
 public:
  // As before when it is destroyed. on: what is computed inside is recorded all the same.
  explicit InsideOp(bool on = false) : GradMode(on ? Mode::on : Mode::inside) {}
};

}  // namespace regrad

// Whether operations are recorded: a setting of each thread, on at first.
#pragma once

namespace regrad {

class GradMode {
 public:
  // On or off for this thread while it is alive; then as before.
  explicit GradMode(bool on) : before_(enabled_) { enabled_ = on; }
  ~GradMode() { enabled_ = before_; }
  GradMode(const GradMode&) = delete;
  GradMode& operator=(const GradMode&) = delete;
  // Whether this thread records.
  static bool enabled() { return enabled_; }

 private:
  bool before_;
  static constinit thread_local bool enabled_;
};

// While one is alive, this thread records no graph.
class [[nodiscard]] NoGrad : public GradMode {
 public:
  NoGrad() : GradMode(false) {}  // as before when it is destroyed
};

}  // namespace regrad

// How far a training run is: a bar that redraws itself on a terminal, plain lines anywhere else.
// Everything goes to stderr, so that stdout stays clean for results.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace regrad::example {

struct ProgressState {
  std::string label;
  int64_t step = 0, total = 0;    // in steps; total 0: not known
  double loss = 0, accuracy = 0;  // accuracy in [0, 1]; NaN: not known, and left out
  double seconds = 0;             // since the first step
  double steps_per_second = 0;    // 0: not known
};

// One line without its line end, at most `columns` terminal columns wide (0: no limit and no bar);
// what matters least is left out first. No final escape sequence stays open.
std::string progress_line(const ProgressState& state, int columns, bool colour);

class Progress {
 public:
  Progress(const std::string& label, int64_t total_steps);
  ~Progress();  // calls finish()
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // `step` steps are done. Cheap: draws at most 10 times a second, or a line every 10 seconds.
  // Pass NaN for a figure that is not known. Colour is left out where NO_COLOR is set.
  void update(int64_t step, double loss, double accuracy);

  // Draws the last state and ends its line. Further calls do nothing.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;
  void draw();

  ProgressState state_;
  bool is_bar_, colour_, started_ = false, finished_ = false, on_screen_ = false, pending_ = false;
  int64_t first_step_ = 0;
  Clock::time_point start_, last_draw_;
};

}  // namespace regrad::example

#include "examples/runs/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "examples/runs/terminal.h"

namespace regrad::example {
namespace {

constexpr std::chrono::milliseconds bar_interval(100);
constexpr std::chrono::seconds line_interval(10);
constexpr int default_columns = 80, min_bar = 10, max_bar = 40;

std::string duration(double seconds) {
  const auto total = static_cast<int64_t>(std::min(std::ceil(seconds), 1e9));
  const int64_t hours = total / 3600, minutes = total / 60 % 60;
  if (hours > 0) return fmt::format("{}:{:02}:{:02}", hours, minutes, total % 60);
  return fmt::format("{}:{:02}", minutes, total % 60);
}

double done_fraction(const ProgressState& state) {
  if (state.total <= 0) return 0;
  return std::clamp(static_cast<double>(state.step) / static_cast<double>(state.total), 0.0, 1.0);
}

struct Piece {
  std::string text;
  int rank;  // the highest goes first when there is no room
};

std::vector<Piece> pieces(const ProgressState& state) {
  std::vector<Piece> result;
  if (!state.label.empty()) result.push_back({state.label, 4});
  if (state.total > 0) {
    // A run is at 100 % when it is over, not when it rounds to it.
    const int percent = static_cast<int>(done_fraction(state) * 100);
    result.push_back({fmt::format("{:3}%", percent), 0});
    const auto digits = static_cast<int>(fmt::formatted_size("{}", state.total));
    result.push_back({fmt::format("{:{}}/{}", state.step, digits, state.total), 5});
  } else {
    result.push_back({fmt::format("step {}", state.step), 0});
  }
  if (!std::isnan(state.loss)) result.push_back({fmt::format("loss {:.4f}", state.loss), 1});
  if (!std::isnan(state.accuracy)) {
    result.push_back({fmt::format("accuracy {:.1f}%", state.accuracy * 100), 2});
  }
  const bool running = state.total <= 0 || state.step < state.total;
  if (state.steps_per_second > 0) {
    result.push_back({fmt::format("{:.{}f} steps/s", state.steps_per_second,
                                  state.steps_per_second < 10 ? 2 : 0),
                      6});
    if (state.total > 0 && running) {
      const double left = static_cast<double>(state.total - state.step) / state.steps_per_second;
      result.push_back({duration(left) + " left", 3});
    }
  }
  if (!running || state.steps_per_second <= 0) result.push_back({duration(state.seconds), 7});
  return result;
}

int joined_columns(const std::vector<Piece>& pieces) {
  int columns = 0;
  for (const Piece& piece : pieces) columns += display_columns(piece.text) + 2;
  return std::max(0, columns - 2);
}

std::string bar(double fraction, int columns, bool colour) {
  const int inside = colour ? columns : columns - 2;
  const int done = static_cast<int>(std::lround(fraction * inside));
  std::string filled, rest;
  for (int i = 0; i < inside; ++i)
    (i < done ? filled : rest) += colour ? "━" : i < done ? "#" : ".";
  if (!colour) return '[' + filled + rest + ']';
  return "\x1b[36m" + filled + "\x1b[0m\x1b[90m" + rest + "\x1b[0m";
}

}  // namespace

std::string progress_line(const ProgressState& state, int columns, bool colour) {
  std::vector<Piece> shown = pieces(state);
  while (columns > 0 && shown.size() > 1 && joined_columns(shown) > columns) {
    shown.erase(std::max_element(shown.begin(), shown.end(),
                                 [](const Piece& a, const Piece& b) { return a.rank < b.rank; }));
  }
  // In steps of 5, so that the bar does not tremble with the lengths of the figures.
  const int room = std::min((columns - joined_columns(shown) - 2) / 5 * 5, max_bar);
  std::string line;
  for (std::size_t i = 0; i < shown.size(); ++i) {
    const bool percentage = state.total > 0 && shown[i].rank == 0;
    if (i > 0) line += "  ";
    if (percentage && room >= min_bar) line += bar(done_fraction(state), room, colour) + "  ";
    line += shown[i].text;
  }
  if (columns > 0 && joined_columns(shown) > columns) {
    line.resize(std::min(line.size(), static_cast<std::size_t>(columns)));
  }
  return line;
}

Progress::Progress(const std::string& label, int64_t total_steps)
    : is_bar_(obeys_escapes(STDERR_FILENO)),
      colour_(wants_colour()),
      start_(Clock::now()),
      last_draw_(start_) {
  state_.label = printable(label);
  state_.total = total_steps;
  state_.loss = state_.accuracy = std::nan("");
}

Progress::~Progress() { finish(); }

void Progress::update(int64_t step, double loss, double accuracy) {
  if (finished_) return;
  const Clock::time_point now = Clock::now();
  if (!started_) {
    started_ = true;
    first_step_ = step;
    start_ = now;
    if (!is_bar_) last_draw_ = now;
  }
  state_.step = step;
  state_.loss = loss;
  state_.accuracy = accuracy;
  state_.seconds = std::chrono::duration<double>(now - start_).count();
  const auto steps = static_cast<double>(step - first_step_);
  state_.steps_per_second = state_.seconds > 0 && steps > 0 ? steps / state_.seconds : 0;
  pending_ = true;
  if (now - last_draw_ < (is_bar_ ? Clock::duration(bar_interval) : line_interval)) return;
  last_draw_ = now;
  draw();
}

void Progress::draw() {
  pending_ = false;
  if (is_bar_) {
    // One column less than there are: some terminals wrap when the last one is filled.
    const int columns = std::max(1, columns_of_terminal(STDERR_FILENO, default_columns) - 1);
    const std::string line = progress_line(state_, columns, colour_);
    std::fputs(("\r" + line + "\x1b[K").c_str(), stderr);
    on_screen_ = true;
  } else {
    std::fputs((progress_line(state_, 0, false) + "\n").c_str(), stderr);
  }
  std::fflush(stderr);
}

void Progress::finish() {
  if (finished_) return;
  if (pending_) draw();
  if (on_screen_) std::fputs("\n", stderr);
  finished_ = true;
}

}  // namespace regrad::example

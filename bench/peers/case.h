// Times a case and prints `case <name> threads <n> ms <median> mem_mb <peak>`: the line that
// torch_cases.py prints too, so that compare.py can join the two.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "regrad.h"

namespace peers {

inline double now_ms() {
  const auto time = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double, std::milli>(time).count();
}

inline double peak_mb() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmHWM:", 0) == 0) return std::stod(line.substr(6)) / 1024;
  }
  return 0;
}

struct Settings {
  std::string only;      // cases whose name is this, or all when empty
  double min_ms = 30;    // a repetition lasts at least this long
  int repetitions = 7;
  bool list = false;
};
inline Settings settings;

// make() builds the inputs and returns the function to time.
template <class Make>
void run_case(const std::string& name, const Make& make) {
  if (!settings.only.empty() && settings.only != name) return;
  if (settings.list) {
    std::printf("%s\n", name.c_str());
    return;
  }
  std::ofstream("/proc/self/clear_refs") << "5";  // the peak starts again, where that is allowed
  auto body = make();
  body();
  body();
  double start = now_ms();
  body();
  const double one = std::max(now_ms() - start, 1e-4);
  const int loops = std::max(1, static_cast<int>(settings.min_ms / one));
  for (int i = 0; i < loops; ++i) body();
  std::vector<double> times;
  for (int r = 0; r < settings.repetitions; ++r) {
    start = now_ms();
    for (int i = 0; i < loops; ++i) body();
    times.push_back((now_ms() - start) / loops);
  }
  std::sort(times.begin(), times.end());
  std::printf("case %s threads %d ms %.6g mem_mb %.1f\n", name.c_str(), regrad::num_threads(),
              times[times.size() / 2], peak_mb());
  std::fflush(stdout);
}

void overhead_cases();
void op_cases();
void model_cases();

}  // namespace peers

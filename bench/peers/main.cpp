// regrad's side of the comparison.
//   peers --list            the names of all cases
//   peers --only NAME       times one case: `case <name> threads <n> ms <median> mem_mb <peak>`
//   peers --limits THREADS  what the machine can do at most: `limits gflops <n> copy_gbs <four>
//   ...` peers --serve FAMILY    reads requests, one a line, and answers each with a line:
//     names                 every case of the family (overhead, ops, large, models)
//     make NAME             builds it and warms it up: `flop <n> bytes <n> exponentials <n>`
//     time                  one repetition of 30 ms or more: `ms <for one call>`
//     drop                  frees it: `mem_mb <the peak since make>`
// With REGRAD_DEVICE=cuda on the GPU, which is waited for at the end of a repetition.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <memory>
#include <thread>

#include "bench/peers/case.h"
#include "bench/peers/limits.h"
#include "bench/peers/peak.h"

namespace peers {
namespace {

double now_ms() {
  const auto time = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double, std::milli>(time).count();
}

void wait() {
  if (regrad::default_device() != regrad::cpu) regrad::zeros({1}).item<float>();
}

// A case that is being timed.
struct Running {
  std::function<void()> body;
  int loops = 1;

  explicit Running(const Case& wanted) {
    std::ofstream("/proc/self/clear_refs") << "5";  // the peak starts again, where allowed
    body = wanted.make();
    body();
    body();
    wait();
    const double start = now_ms();
    body();
    wait();
    loops = std::max(1, static_cast<int>(30 / std::max(now_ms() - start, 1e-4)));
    time();
  }
  double time() const {
    if (regrad::num_threads() > 1) {  // the other program's threads may still spin on our core
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      body();
      wait();
    }
    const double start = now_ms();
    for (int i = 0; i < loops; ++i) body();
    wait();
    return (now_ms() - start) / loops;
  }
};

const Case* find(const std::string& name) {
  const auto index =
      std::find_if(cases.begin(), cases.end(), [&](const Case& one) { return one.name == name; });
  return index == cases.end() ? nullptr : &*index;
}

int time_one(const Case& wanted) {
  const Running running(wanted);
  std::vector<double> times;
  for (int i = 0; i < 7; ++i) times.push_back(running.time());
  std::sort(times.begin(), times.end());
  std::printf("case %s threads %d ms %.6g mem_mb %.1f\n", wanted.name.c_str(),
              regrad::num_threads(), times[times.size() / 2], peak_mb());
  return 0;
}

void serve() {
  std::unique_ptr<Running> running;
  for (std::string request; std::getline(std::cin, request);) {
    if (request == "names") {
      for (const Case& one : cases) std::printf("%s ", one.name.c_str());
      std::printf("\n");
    } else if (request == "time" && running) {
      std::printf("ms %.9g\n", running->time());
    } else if (request == "drop") {
      running.reset();
      std::printf("mem_mb %.1f\n", peak_mb());
    } else if (const Case* wanted =
                   request.rfind("make ", 0) == 0 ? find(request.substr(5)) : nullptr) {
      running = std::make_unique<Running>(*wanted);
      std::printf("flop %.6g bytes %.6g exponentials %.6g\n", wanted->need.flop, wanted->need.bytes,
                  wanted->need.exponentials);
    } else {
      std::printf("error: no such request or case: %s\n", request.c_str());
    }
    std::fflush(stdout);
  }
}

int print_limits(int threads) {
  const Limits found = measure_limits(threads);
  const double* copy = found.copy_gbs;
  std::printf("limits gflops %.4g copy_gbs %.4g %.4g %.4g %.4g exponentials %.4g\n", found.gflops,
              copy[0], copy[1], copy[2], copy[3], found.exponentials);
  return 0;
}

int run(const std::string& what, const std::string& name) {
  if (what == "--limits") return print_limits(std::max(1, std::atoi(name.c_str())));
  const bool all = what != "--serve";
  if (all || name == "overhead") overhead_cases();
  if (all || name == "ops") op_cases();
  if (all || name == "ops") recurrent_cases();
  if (name == "large") large_cases();
  if (all || name == "models") model_cases();
  if (what == "--list") {
    for (const Case& one : cases) std::printf("%s\n", one.name.c_str());
    return 0;
  }
  if (what == "--serve" && !cases.empty()) {
    serve();
    return 0;
  }
  const Case* wanted = what == "--only" ? find(name) : nullptr;
  if (wanted != nullptr) return time_one(*wanted);
  std::fprintf(
      stderr,
      "usage: peers --list | --only CASE | --limits THREADS | --serve overhead|ops|large|models\n");
  return 2;
}

}  // namespace
}  // namespace peers

int main(int argc, char** argv) {
  const char* device = std::getenv("REGRAD_DEVICE");
  if (device != nullptr && std::string(device) == "cuda") {
    regrad::set_default_device(regrad::cuda());
  }
  return peers::run(argc > 1 ? argv[1] : "", argc > 2 ? argv[2] : "");
}

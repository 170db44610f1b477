// Profile: the observer behind REGRAD_PROFILE. It times every op, forward and backward, and writes
// the spans in the Trace Event Format, which Perfetto (ui.perfetto.dev) and chrome://tracing open.
#pragma once

#include <chrono>
#include <deque>
#include <unordered_map>

#include "autograd/observer.h"

namespace regrad {

class Profile : public Observer {
 public:
  explicit Profile(const std::string& path);  // an Error where it cannot be written
  ~Profile() override;                        // writes it

  void allocated(const Storage& storage) override;
  void computed(const Op& op) override;
  void took(const Node& node, const Tensor& gradient) override;
  void finished(const Node& node) override;
  void started(const Tensor& output) override;
  void ended() override;

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr size_t max_spans = 500000;

  struct Span {
    std::string name;
    const char* category;
    Clock::time_point begin, end;
    std::string details;  // JSON
  };
  void add(Span span);
  void write() const;

  const std::string path_;
  const int process_;
  const Clock::time_point start_ = Clock::now();
  Clock::time_point last_ = start_;
  // When the memory of an op's output was allocated, which is one of the first things it does.
  std::unordered_map<const Storage*, Clock::time_point> allocations_;
  std::deque<Span> spans_;
  std::vector<Clock::time_point> open_;  // of nodes, and of passes around them
  size_t left_out_ = 0;
};

}  // namespace regrad

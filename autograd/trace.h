// Trace: records what a program computes, forward and backward, and writes a page that shows it op
// by op, with numbers and the lines of the program that made each op. The page is one file; a
// browser opens it. Compile the program with -g for the lines.
//   Trace trace("out.html");
// or, with no change to a program that is linked with regrad, the environment:
//   REGRAD_TRACE=out.html ./program
//   REGRAD_TRACE_STEP=3: the third backward pass, not the first
//   REGRAD_PROFILE=out.json: the time of each op, for Perfetto (ui.perfetto.dev) and
//   chrome://tracing
#pragma once

#include <memory>
#include <string>

#include "autograd/observer.h"

namespace regrad {

struct TraceOptions {
  int64_t step = 1;  // which backward pass to record, with what was computed since the one before
};

// Records its thread until that pass has ended and then writes the page; where no pass comes, when
// it is destroyed. An op that throws is the last one on the page.
class [[nodiscard]] Trace {
 public:
  // An Error where path cannot be written. A path that ends in .json gets the recording as JSON.
  explicit Trace(const std::string& path, TraceOptions options = {});

 private:
  std::unique_ptr<Observer> recorder_;
};

}  // namespace regrad

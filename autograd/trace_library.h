// libregrad_trace.so: what shows a program, loaded when it is first asked for. It holds the trace
// page, the profile, and what turns program counters into lines of the user's source. Internal.
#pragma once

#include <memory>
#include <string>

#include "autograd/observer.h"

namespace regrad {

// Where in the program an op was called; below 0: not known. Equal for equal call stacks.
using CallSite = int;

// What the library's one function, regrad_trace_library(), hands over.
struct TraceLibrary {
  size_t size = sizeof(TraceLibrary);  // another version's may differ

  // Records this thread from now on, until the step-th backward pass has ended, and writes a page,
  // or bare JSON where the path ends so. An Error where the path cannot be written.
  // by_environment: says on standard error that it did; also writes when the program is interrupted
  // or ended by an exception.
  std::unique_ptr<Observer> (*record)(const std::string& path, int64_t step, bool by_environment);
  // Times this thread's ops from now on, and writes them when it is destroyed.
  std::unique_ptr<Observer> (*profile)(const std::string& path);

  CallSite (*call_site)();                 // of the code that calls this
  std::string (*describe)(CallSite site);  // "at toy.cpp:14 in f", without lines "in f"
};

// Null where the library is not there; then why_not says so, if given.
const TraceLibrary* trace_library(std::string* why_not = nullptr);

}  // namespace regrad

#include "autograd/trace.h"

#include <cstdio>
#include <cstdlib>

#include "autograd/check.h"
#include "autograd/plugin.h"
#include "autograd/trace_library.h"

namespace regrad {

const TraceLibrary* trace_library(std::string* why_not) {
  static const PluginFunction& found = *new PluginFunction(
      load_plugin("libregrad_trace.so", "REGRAD_TRACE_LIBRARY", "regrad_trace_library"));
  using Open = const TraceLibrary* (*)();
  static const TraceLibrary* const library =
      found.address == nullptr ? nullptr : reinterpret_cast<Open>(found.address)();
  if (library != nullptr && library->size == sizeof(TraceLibrary)) return library;
  if (why_not != nullptr) {
    *why_not = library != nullptr ? found.path + " is of another version" : found.why_not;
  }
  return nullptr;
}

namespace {

const TraceLibrary& needed_library(const char* what) {
  std::string why_not;
  const TraceLibrary* const library = trace_library(&why_not);
  check(library != nullptr, "{}: {}; it is built and installed with regrad's shared library", what,
        why_not);
  return *library;
}

const char* variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr || *value == '\0' ? nullptr : value;
}

// What the environment asks for, while the program runs. Here the library speaks on standard error:
// nobody else can.
class FromEnvironment {
 public:
  FromEnvironment() noexcept {
    begin("REGRAD_PROFILE", profile_,
          [](const char* path) { return needed_library("REGRAD_PROFILE").profile(path); });
    begin("REGRAD_TRACE", recorder_, [](const char* path) {
      return needed_library("REGRAD_TRACE").record(path, step(), true);
    });
  }

 private:
  template <class Make>
  static void begin(const char* name, std::unique_ptr<Observer>& observer, const Make& make) {
    const char* const path = variable(name);
    if (path == nullptr) return;
    try {
      observer = make(path);
    } catch (const std::exception& error) {
      std::fprintf(stderr, "regrad: nothing is recorded: %s=%s: %s\n", name, path, error.what());
    }
  }
  static int64_t step() {
    const char* const text = variable("REGRAD_TRACE_STEP");
    if (text == nullptr) return 1;
    char* end = nullptr;
    const int64_t number = std::strtoll(text, &end, 10);
    check(number > 0 && *end == '\0',
          "REGRAD_TRACE_STEP={}: must be the number of a backward pass, "
          "counted from 1",
          text);
    return number;
  }

  std::unique_ptr<Observer> profile_, recorder_;
};

FromEnvironment from_environment;

}  // namespace

Trace::Trace(const std::string& path, TraceOptions options) {
  check(!path.empty(), "Trace: the path is empty");
  check(options.step > 0, "Trace: step {}: backward passes are counted from 1", options.step);
  recorder_ = needed_library("Trace").record(path, options.step, false);
}

}  // namespace regrad

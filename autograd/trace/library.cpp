// What libregrad_trace.so hands to libregrad.so.
#include "autograd/trace/call_stack.h"
#include "autograd/trace/profile.h"
#include "autograd/trace/recorder.h"
#include "autograd/trace_library.h"

namespace {

constexpr regrad::TraceLibrary library = {
    .record = [](const std::string& path, int64_t step,
                 bool by_environment) -> std::unique_ptr<regrad::Observer> {
      return std::make_unique<regrad::Recorder>(path, step, by_environment);
    },
    .profile = [](const std::string& path) -> std::unique_ptr<regrad::Observer> {
      return std::make_unique<regrad::Profile>(path);
    },
    .call_site = &regrad::call_site,
    .describe = &regrad::describe,
};

}  // namespace

extern "C" const regrad::TraceLibrary* regrad_trace_library() { return &library; }

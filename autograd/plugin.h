// Libraries that are loaded when they are first asked for, from the folder of this one:
// libregrad_cuda.so, libregrad_trace.so.
#pragma once

#include <string>

namespace regrad {

// The function `symbol` of the library called `file`, which lies beside this one unless the
// environment variable names another path. Null where it cannot be loaded; then why_not says why,
// and is_missing whether there is no such file.
struct PluginFunction {
  void* address = nullptr;
  std::string path, why_not;
  bool is_missing = false;
};
PluginFunction load_plugin(const char* file, const char* variable, const char* symbol);

}  // namespace regrad

#include "autograd/plugin.h"

#include <dlfcn.h>
#include <unistd.h>

#include <cstdlib>

namespace regrad {
namespace {

std::string folder_of_this_library() {
  Dl_info here{};
  if (dladdr(reinterpret_cast<const void*>(&load_plugin), &here) == 0) return {};
  const std::string path = here.dli_fname;
  return path.substr(0, path.rfind('/') + 1);  // "" without a slash
}

}  // namespace

PluginFunction load_plugin(const char* file, const char* variable, const char* symbol) {
  PluginFunction found;
  const char* named = std::getenv(variable);
  found.path = named != nullptr && *named != '\0' ? named : folder_of_this_library() + file;
  if (::access(found.path.c_str(), R_OK) != 0) {
    found.is_missing = true;
    found.why_not = "there is no " + found.path;
    return found;
  }
  void* const library = dlopen(found.path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    found.why_not = "cannot load " + found.path + ": " + dlerror();
    return found;
  }
  found.address = dlsym(library, symbol);
  if (found.address == nullptr) found.why_not = found.path + " has no " + symbol;
  return found;
}

}  // namespace regrad

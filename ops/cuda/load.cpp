#include "ops/cuda/load.h"

#include <dlfcn.h>
#include <unistd.h>

#include <cstdlib>

#include "autograd/check.h"

namespace regrad {
namespace {

std::string beside_this_library() {
  Dl_info here{};
  if (dladdr(reinterpret_cast<const void*>(&cuda_backend), &here) == 0) return {};
  const std::string path = here.dli_fname;
  const size_t slash = path.rfind('/');
  return (slash == std::string::npos ? "" : path.substr(0, slash + 1)) + "libregrad_cuda.so";
}

CudaBackend load() {
  const char* named = std::getenv("REGRAD_CUDA");
  const std::string path = named != nullptr && *named != '\0' ? named : beside_this_library();
  if (::access(path.c_str(), R_OK) != 0) {
    return {nullptr, fmt::format("this build has no CUDA backend (there is no {}); use cpu, or "
                                 "build where nvcc is found",
                                 path)};
  }
  void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return {nullptr, fmt::format("cannot load {}: {}", path, dlerror())};
  // The table's layout must be the same: that of another version of regrad may differ.
  using Open = const Backend* (*)(size_t size_of_table, const char** why_not);
  const auto open = reinterpret_cast<Open>(dlsym(library, "regrad_cuda_backend"));
  if (open == nullptr) return {nullptr, fmt::format("{} is not regrad's CUDA backend", path)};
  const char* why_not = "";
  const Backend* const table = open(sizeof(Backend), &why_not);
  return {table, why_not};
}

}  // namespace

const CudaBackend& cuda_backend() {
  static const CudaBackend& backend = *new CudaBackend(load());  // never destroyed: used until exit
  return backend;
}

}  // namespace regrad

#include "ops/cuda/load.h"

#include "autograd/plugin.h"

namespace regrad {
namespace {

CudaBackend load() {
  const PluginFunction found =
      load_plugin("libregrad_cuda.so", "REGRAD_CUDA", "regrad_cuda_backend");
  if (found.is_missing) {
    return {nullptr, "this build has no CUDA backend (" + found.why_not +
                         "); use cpu, or build where nvcc is found"};
  }
  if (found.address == nullptr) return {nullptr, found.why_not};
  // The table's layout must be the same: that of another version of regrad may differ.
  using Open = const Backend* (*)(size_t size_of_table, const char** why_not);
  const char* why_not = "";
  const Backend* const table = reinterpret_cast<Open>(found.address)(sizeof(Backend), &why_not);
  return {table, why_not};
}

}  // namespace

const CudaBackend& cuda_backend() {
  static const CudaBackend& backend = *new CudaBackend(load());  // never destroyed: used until exit
  return backend;
}

}  // namespace regrad

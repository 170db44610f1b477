// The CUDA backend is a separate library, libregrad_cuda.so, which is loaded on first use: a
// program that uses only the CPU never loads a driver.
#pragma once

#include <string>

#include "ops/kernels/table.h"

namespace regrad {

struct CudaBackend {
  const Backend* table = nullptr;
  std::string why_not;  // if there is no table, the reason: no such library, no GPU, ...
};

// Loads the backend once: from the file that REGRAD_CUDA names, otherwise from this library's
// folder.
const CudaBackend& cuda_backend();

}  // namespace regrad

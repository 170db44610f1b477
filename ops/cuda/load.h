// The CUDA backend is a library of its own, libregrad_cuda.so, which is loaded when it is first
// asked for: a program that stays on the cpu never touches a driver.
#pragma once

#include <string>

#include "ops/kernels/table.h"

namespace regrad {

struct CudaBackend {
  const Backend* table = nullptr;
  std::string why_not;  // where there is no table: no such library, no GPU, ...
};

// Looked for once: where REGRAD_CUDA names a file, there; else beside this library.
const CudaBackend& cuda_backend();

}  // namespace regrad

// The table of kernels of the GPU, and the one function that ops/cuda/load.cpp looks for.
#include <string>

#include "autograd/error.h"
#include "ops/cuda/device.h"
#include "ops/cuda/families.h"
#include "ops/cuda/launch.h"

namespace regrad::gpu {
namespace {

template <class T>
NumberKernels<T> number_kernels() {
  return {move_kernels<T>(), binary_kernels<T>(), reduce_kernels<T>(), add_rows<T>, scatter_add<T>};
}

// In the order of kernels.h: a base class rules out designated initialisers.
template <class T>
Kernels<T> kernels() {
  return {number_kernels<T>(),
          unary_kernels<T>(),
          row_kernels<T>(),
          add_scaled<T>,
          scale_by<T>,
          logistic_loss<T>,
          logistic_slope<T>,
          gemm<T>,
          gru<T>,
          gru_backward<T>,
          lstm<T>,
          lstm_backward<T>,
          additive_scores<T>,
          additive_scores_backward<T>,
          sgd<T>,
          adam<T>,
          attention<T>,
          attention_backward<T>,
          uniform<T>,
          normal<T>,
          dropout<T>};
}

Backend make_table() {
  return {
      .name = "cuda",
      .float32 = kernels<float>(),
      .float64 = kernels<double>(),
      .int64 = number_kernels<int64_t>(),
      .boolean = move_kernels<bool>(),
      .convert = {{convert<float, float>, convert<float, double>, convert<float, int64_t>,
                   convert<float, bool>},
                  {convert<double, float>, convert<double, double>, convert<double, int64_t>,
                   convert<double, bool>},
                  {convert<int64_t, float>, convert<int64_t, double>, convert<int64_t, int64_t>,
                   convert<int64_t, bool>},
                  {convert<bool, float>, convert<bool, double>, convert<bool, int64_t>,
                   convert<bool, bool>}},
      .bad_index = bad_index,
      .memory = {try_to_allocate, release, upload, download},
  };
}

}  // namespace
}  // namespace regrad::gpu

// The table, or null and the reason why there is none.
extern "C" [[gnu::visibility("default")]] const regrad::Backend* regrad_cuda_backend(
    size_t size_of_table, const char** why_not) {
  static const regrad::Backend table = regrad::gpu::make_table();
  static std::string reason;
  int devices = 0;
  if (size_of_table != sizeof(regrad::Backend)) {
    reason = "the CUDA backend belongs to another version of regrad";
  } else if (const cudaError_t status = cudaGetDeviceCount(&devices); status != cudaSuccess) {
    reason = std::string("no CUDA device: ") + cudaGetErrorString(status);
  } else if (devices == 0) {
    reason = "no CUDA device";
  } else {
    return &table;
  }
  *why_not = reason.c_str();
  return nullptr;
}

// The table of kernels of the GPU, and the function that ops/cuda/load.cpp looks up.
#include <string>

#include "autograd/error.h"
#include "ops/cuda/device.h"
#include "ops/cuda/families.h"
#include "ops/cuda/launch.h"

namespace regrad::gpu {
namespace {

template <class T>
Kernels<T> float_kernels() {
  return {
      .move = move_kernels<T>(),
      .binary = binary_kernels<T>(),
      .reduce = reduce_kernels<T>(),
      .order = order_kernels<T>(),
      .index = index_kernels<T>(),
      .unary = unary_kernels<T>(),
      .softmax = softmax_kernels<T>(),
      .norm = norm_kernels<T>(),
      .loss = loss_kernels<T>(),
      .cells = cell_kernels<T>(),
      .attention = attention_kernels<T>(),
      .additive = additive_kernels<T>(),
      .optimiser = optimiser_kernels<T>(),
      .random = random_kernels<T>(),
      .vector = vector_kernels<T>(),
      .conv = conv_kernels<T>(),
      .gemm = gemm<T>,
  };
}

Kernels<int64_t> int64_kernels() {
  return {
      .move = move_kernels<int64_t>(),
      .binary = binary_kernels<int64_t>(),
      .reduce = reduce_kernels<int64_t>(),
      .order = order_kernels<int64_t>(),
      .index = index_kernels<int64_t>(),
      .gemm = integer_gemm,
  };
}

Backend make_table() {
  return {
      .name = "cuda",
      .float32 = float_kernels<float>(),
      .float64 = float_kernels<double>(),
      .int64 = int64_kernels(),
      .boolean = {.move = move_kernels<bool>()},
      .convert = {{convert<float, float>, convert<float, double>, convert<float, int64_t>,
                   convert<float, bool>},
                  {convert<double, float>, convert<double, double>, convert<double, int64_t>,
                   convert<double, bool>},
                  {convert<int64_t, float>, convert<int64_t, double>, convert<int64_t, int64_t>,
                   convert<int64_t, bool>},
                  {convert<bool, float>, convert<bool, double>, convert<bool, int64_t>,
                   convert<bool, bool>}},
      .bad_index = bad_index,
      .last_index = last_index,
      .memory = {.allocate = try_to_allocate,
                 .release = release,
                 .upload = upload,
                 .download = download},
  };
}

}  // namespace
}  // namespace regrad::gpu

// The table, or null, with the reason in why_not.
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

// Launches kernels, which are functions of pointers and sizes, on the one stream in which
// everything is executed in order. Only plain runtime calls are used, so that the sources also
// compile against tests/gpu, which runs them on the CPU.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>

namespace regrad::gpu {

cudaStream_t stream();                                  // device.cu
void check_cuda(cudaError_t status, const char* what);  // throws an Error that names `what`

constexpr int block_threads = 256;
constexpr int64_t max_blocks = 1 << 16;
constexpr unsigned all_lanes = 0xffffffffu;

struct Launch {
  int64_t blocks;
  int threads;
  int64_t shared_bytes = 0;
};

template <class... Parameters>
void launch_with(const Launch& shape, void (*kernel)(Parameters...), Parameters... arguments) {
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(static_cast<unsigned>(shape.blocks));
  config.blockDim = dim3(static_cast<unsigned>(shape.threads));
  config.dynamicSmemBytes = static_cast<size_t>(shape.shared_bytes);
  config.stream = stream();
  check_cuda(cudaLaunchKernelEx(&config, kernel, arguments...), "launch");
}

// Launches kernel(arguments...) with `blocks` blocks of `threads` threads.
template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), int64_t blocks, int threads, Arguments... arguments) {
  launch_with({blocks, threads}, kernel, static_cast<Parameters>(arguments)...);
}

// The dynamic shared memory of a block that launch_shared() launched.
template <class T>
__device__ inline T* shared_memory() {
#ifdef __CUDACC__
  extern __shared__ double2 memory[];
  return reinterpret_cast<T*>(memory);
#else
  return static_cast<T*>(emulated::shared_memory());
#endif
}

// Whether a block can have `bytes` of shared memory on this GPU.
inline bool fits_shared(int64_t bytes) {
  static const int max_bytes = [] {
    int value = 0, device = 0;
    check_cuda(cudaGetDevice(&device), "the device");
    check_cuda(cudaDeviceGetAttribute(&value, cudaDevAttrMaxSharedMemoryPerBlockOptin, device),
               "the size of shared memory");
    return value;
  }();
  return bytes <= max_bytes;
}

// Like launch(), with `bytes` of shared memory for each block; false if this GPU has less.
template <class... Parameters, class... Arguments>
bool launch_shared(void (*kernel)(Parameters...), int64_t blocks, int threads, int64_t bytes,
                   Arguments... arguments) {
  if (!fits_shared(bytes)) return false;
  check_cuda(
      cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                           cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)),
      "shared memory");
  launch_with({blocks, threads, bytes}, kernel, static_cast<Parameters>(arguments)...);
  return true;
}

// The number of threads in a block for n items: a multiple of the warp size, at most block_threads.
inline int threads_for(int64_t n) {
  return n < block_threads ? static_cast<int>((n + 31) / 32 * 32) : block_threads;
}

template <class Body>
__global__ void for_each_kernel(int64_t n, Body body) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += step) {
    body(i);
  }
}

// Calls body(i) for every i in [0, n), in any order. A Body is a struct with a __device__
// operator()(int64_t) const.
template <class Body>
void for_each(int64_t n, const Body& body) {
  if (n <= 0) return;
  const int threads = threads_for(n);
  launch(for_each_kernel<Body>, std::min((n + threads - 1) / threads, max_blocks), threads, n,
         body);
}

}  // namespace regrad::gpu

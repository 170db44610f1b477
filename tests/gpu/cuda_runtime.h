// An emulated GPU: the part of the CUDA runtime that ops/cuda uses, for g++ and clang++, so that
// the same sources run, and are tested, on a machine without a GPU. A block's threads are fibers
// that switch at barriers and shuffles (tests/gpu/runtime.cpp). Everything is executed immediately
// and in order, so that streams and events do nothing. New memory is filled with NaNs.
#pragma once

#include <math.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <tuple>
#include <utility>

#define __global__
#define __device__
#define __host__
#define __shared__ static
#define __forceinline__ inline
#define __launch_bounds__(...)

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  dim3(unsigned x_ = 1) : x(x_) {}
};

struct uint3 {
  unsigned x = 0, y = 0, z = 0;
};
extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;

namespace emulated {
constexpr size_t max_shared_bytes = size_t{227} << 10;
// Calls body(context) for every thread of every block. A block has shared_bytes of shared memory,
// filled with NaNs.
void run(dim3 grid, dim3 block, size_t shared_bytes, void (*body)(void*), void* context);
void* shared_memory();

void wait_for_block();
void wait_for_warp();                                             // all 32 lanes must call it
uint64_t exchange_in_warp(uint64_t value, unsigned source_lane);  // returns that lane's value
uint32_t ballot(bool value);

template <class T>
T exchange_value(T value, unsigned source_lane) {
  static_assert(sizeof(T) <= sizeof(uint64_t));
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  bits = exchange_in_warp(bits, source_lane);
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}
inline unsigned lane() { return threadIdx.x % 32; }

}  // namespace emulated

inline void __syncthreads() { emulated::wait_for_block(); }
inline int __syncthreads_and(int value) {  // blocks run one after the other: they can share `all`
  static int all = 0;
  __syncthreads();
  all = 1;
  __syncthreads();
  if (value == 0) all = 0;
  __syncthreads();
  return all;
}
inline void __syncwarp(unsigned = 0xffffffffu) { emulated::wait_for_warp(); }
template <class T>
T __shfl_sync(unsigned, T value, int source) {
  return emulated::exchange_value(value, static_cast<unsigned>(source) % 32);
}
template <class T>
T __shfl_xor_sync(unsigned, T value, int mask) {
  return emulated::exchange_value(value, emulated::lane() ^ static_cast<unsigned>(mask));
}
template <class T>
T __shfl_down_sync(unsigned, T value, unsigned delta) {
  const unsigned source = emulated::lane() + delta;
  return emulated::exchange_value(value, source < 32 ? source : emulated::lane());
}
inline unsigned __ballot_sync(unsigned, int value) { return emulated::ballot(value != 0); }

template <class T>
T atomicAdd(T* address, T value) {
  return std::exchange(*address, *address + value);
}

template <class T>
T atomicMax(T* address, T value) {
  return std::exchange(*address, *address < value ? value : *address);
}

// The host API.
enum cudaError_t { cudaSuccess = 0, cudaErrorMemoryAllocation = 2, cudaErrorNotReady = 600 };
using cudaStream_t = struct EmulatedStream*;
using cudaEvent_t = struct EmulatedEvent*;
using cudaMemPool_t = struct EmulatedPool*;
enum cudaMemcpyKind { cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost, cudaMemcpyDeviceToDevice };
enum cudaDeviceAttr { cudaDevAttrMaxSharedMemoryPerBlockOptin };
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize };
enum cudaMemPoolAttr { cudaMemPoolAttrReleaseThreshold };
constexpr unsigned cudaStreamNonBlocking = 1, cudaEventDisableTiming = 2;

struct cudaLaunchConfig_t {
  dim3 gridDim, blockDim;
  size_t dynamicSmemBytes = 0;
  cudaStream_t stream = nullptr;
  void* attrs = nullptr;
  unsigned numAttrs = 0;
};

inline const char* cudaGetErrorString(cudaError_t status) {
  return status == cudaSuccess ? "no error" : "out of memory";
}
inline cudaError_t cudaGetDeviceCount(int* count) { return *count = 1, cudaSuccess; }
inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline cudaError_t cudaSetDevice(int) { return cudaSuccess; }
inline cudaError_t cudaGetDevice(int* device) { return *device = 0, cudaSuccess; }
inline cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr, int) {
  return *value = static_cast<int>(emulated::max_shared_bytes), cudaSuccess;
}
inline cudaError_t cudaFuncSetAttribute(const void*, cudaFuncAttribute, int) { return cudaSuccess; }
inline cudaError_t cudaStreamCreateWithFlags(cudaStream_t* s, unsigned) {
  return *s = nullptr, cudaSuccess;
}
inline cudaError_t cudaStreamSynchronize(cudaStream_t) { return cudaSuccess; }
inline cudaError_t cudaEventCreateWithFlags(cudaEvent_t* e, unsigned) {
  return *e = nullptr, cudaSuccess;
}
inline cudaError_t cudaEventRecord(cudaEvent_t, cudaStream_t) { return cudaSuccess; }
inline cudaError_t cudaEventSynchronize(cudaEvent_t) { return cudaSuccess; }
inline cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t* pool, int) {
  return *pool = nullptr, cudaSuccess;
}
inline cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, cudaMemPoolAttr, void*) {
  return cudaSuccess;
}

inline cudaError_t cudaMallocAsync(void** block, size_t bytes, cudaStream_t) {
  const size_t rounded = (bytes + 255) / 256 * 256;
  *block = std::aligned_alloc(256, rounded == 0 ? 256 : rounded);
  if (*block == nullptr) return cudaErrorMemoryAllocation;
  std::memset(*block, 0xff, bytes);
  return cudaSuccess;
}
inline cudaError_t cudaFreeAsync(void* block, cudaStream_t) {
  return std::free(block), cudaSuccess;
}
template <class T>
cudaError_t cudaMallocHost(T** block, size_t bytes) {
  *block = static_cast<T*>(std::malloc(bytes));
  return *block == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
}
inline cudaError_t cudaMemcpyAsync(void* destination, const void* source, size_t bytes,
                                   cudaMemcpyKind, cudaStream_t) {
  return std::memcpy(destination, source, bytes), cudaSuccess;
}
inline cudaError_t cudaMemsetAsync(void* destination, int value, size_t bytes, cudaStream_t) {
  return std::memset(destination, value, bytes), cudaSuccess;
}

template <class... Parameters, class... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...),
                               Arguments&&... arguments) {
  auto call = std::make_tuple(kernel, static_cast<Parameters>(arguments)...);
  const auto body = [](void* context) {
    std::apply([](auto* function, const auto&... argument) { function(argument...); },
               *static_cast<decltype(call)*>(context));
  };
  emulated::run(config->gridDim, config->blockDim, config->dynamicSmemBytes, body, &call);
  return cudaSuccess;
}

// The only file that knows which backends exist.
#include "ops/backend.h"

#include <atomic>
#include <new>

#include "autograd/check.h"
#include "autograd/storage.h"
#include "ops/cpu/select.h"
#include "ops/cuda/load.h"

namespace regrad {

const Backend& backend(Device device) {
  if (device == cpu) return cpu_backend();
  const CudaBackend& found = cuda_backend();
  check(found.table != nullptr, "cuda: {}", found.why_not);
  return *found.table;
}

bool cuda_is_available() { return cuda_backend().table != nullptr; }

Device cuda() {
  constexpr Device device{Device::Kind::cuda};
  static_cast<void>(backend(device));
  return device;
}

void* allocate_on(Device device, int64_t bytes) {
  void* const block = backend(device).memory.allocate(bytes);
  if (block == nullptr) throw std::bad_alloc();
  return block;
}

void release_on(Device device, void* block, int64_t bytes) noexcept {
  backend(device).memory.release(block, bytes);
}

namespace {

std::atomic<Device> where_unnamed{cpu};

}  // namespace

Device default_device() { return where_unnamed.load(std::memory_order_relaxed); }

void set_default_device(Device device) {
  static_cast<void>(backend(device));
  where_unnamed.store(device, std::memory_order_relaxed);
}

}  // namespace regrad

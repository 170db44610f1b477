// Memory of the GPU that a kernel's host code needs for a while. It is given back in the order of
// the stream: what was started before still finds it.
#pragma once

#include "ops/cuda/launch.h"

namespace regrad::gpu {

template <class T>
class Temporary {
 public:
  explicit Temporary(int64_t n) {
    void* data = nullptr;
    succeed(cudaMallocAsync(&data, static_cast<std::size_t>(n) * sizeof(T), stream()), "memory");
    data_ = static_cast<T*>(data);
  }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;
  ~Temporary() { static_cast<void>(cudaFreeAsync(data_, stream())); }

  T* data() const { return data_; }

 private:
  T* data_ = nullptr;
};

}  // namespace regrad::gpu

// Memory of the GPU and transfers: DeviceMemory and bad_index of ops/kernels/table.h (device.cu).
#pragma once

#include <cstdint>

namespace regrad::gpu {

void* try_to_allocate(int64_t bytes);  // null: out of memory
void* allocate(int64_t bytes);
void release(void* block, int64_t bytes);
void upload(void* destination, const void* source, int64_t bytes);
void download(void* destination, const void* source, int64_t bytes);
int64_t bad_index(const char* op, int64_t n, const int64_t* index, int64_t size,
                  const int64_t* allowed);

// Temporary device memory; it may be reused by whatever is enqueued after its destruction.
template <class T>
class Scratch {
 public:
  explicit Scratch(int64_t count)
      : bytes_(count * static_cast<int64_t>(sizeof(T))), data_(static_cast<T*>(allocate(bytes_))) {}
  ~Scratch() { release(data_, bytes_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  T* data() const { return data_; }

 private:
  int64_t bytes_;
  T* data_;
};

}  // namespace regrad::gpu

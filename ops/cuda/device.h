// Memory of the GPU and the ways to and from it: DeviceMemory of ops/kernels/table.h (device.cu).
#pragma once

#include <cstdint>

namespace regrad::gpu {

void* try_to_allocate(int64_t bytes);  // null: there is no room
void* allocate(int64_t bytes);
void release(void* block, int64_t bytes);
void upload(void* to, const void* from, int64_t bytes);
void download(void* to, const void* from, int64_t bytes);
int64_t bad_index(const char* op, int64_t n, const int64_t* index, int64_t size,
                  const int64_t* allowed);

// Memory for the length of a call: freed in the order of the stream.
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

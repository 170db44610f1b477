#include "ops/cpu/scratch.h"

#include <cstdlib>
#include <new>

namespace regrad {

void register_thread_exit() noexcept;  // autograd/storage.h

namespace {

// Trivially destructible: if a destructor computes while its thread or the program ends, it finds
// either a valid buffer or none.
struct Buffer {
  void* data;
  std::size_t size;
};

constinit thread_local Buffer buffers[static_cast<int>(Scratch::count)]{};

void release(Buffer& buffer) {
  std::free(buffer.data);
  buffer = {};
}

}  // namespace

void free_scratch() noexcept {
  for (Buffer& buffer : buffers) release(buffer);
}

void* scratch(Scratch slot, std::size_t bytes) {
  Buffer& buffer = buffers[static_cast<int>(slot)];
  if (buffer.size < bytes) {
    register_thread_exit();
    release(buffer);  // first, as the old contents are not needed, and both might not fit in memory
    const std::size_t size = (bytes + bytes / 4 + 4095) & ~std::size_t{4095};
    void* data = std::aligned_alloc(64, size);
    if (data == nullptr) throw std::bad_alloc();
    buffer = {data, size};
  }
  return buffer.data;
}

}  // namespace regrad

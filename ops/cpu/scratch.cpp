#include "ops/cpu/scratch.h"

#include <new>

namespace regrad {
namespace {

constexpr std::align_val_t kAlignment{64};

struct Buffer {
  void* data = nullptr;
  std::size_t size = 0;
  Buffer() = default;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { ::operator delete(data, kAlignment); }
};

}  // namespace

void* scratch(Scratch slot, std::size_t bytes) {
  thread_local Buffer buffers[static_cast<int>(Scratch::count)];
  Buffer& buffer = buffers[static_cast<int>(slot)];
  if (buffer.size < bytes) {
    // Freed first: the old contents are not needed, and both at once could be too much.
    ::operator delete(buffer.data, kAlignment);
    buffer.data = nullptr;
    buffer.size = 0;
    const std::size_t size = (bytes + bytes / 4 + 4095) & ~std::size_t{4095};
    buffer.data = ::operator new(size, kAlignment);
    buffer.size = size;
  }
  return buffer.data;
}

}  // namespace regrad

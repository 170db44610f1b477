// The memory under tensors: reference counted, 64-byte aligned, recycled through a free list.
// A storage counts how often it was written, so that backward() can tell a saved value is stale.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "autograd/device.h"
#include "autograd/ref.h"

namespace regrad {

class Storage : public Counted {
 public:
  // Memory that is not initialised; std::bad_alloc where there is none.
  static Ref<Storage> allocate(int64_t bytes, Device device);
  // Gives a reference back; the last one frees the memory.
  void release() {
    if (drop()) destroy();
  }

  // Where it begins, on its device; how large it is; where it is.
  void* data() { return data_; }
  int64_t bytes() const { return bytes_; }
  Device device() const { return device_; }
  // How often it was written, and last by which op.
  uint32_t version() const { return version_.load(std::memory_order_relaxed); }
  const char* last_writer() const { return last_writer_.load(std::memory_order_relaxed); }
  void written(const char* op) {  // once more, now by op
    version_.fetch_add(1, std::memory_order_relaxed);
    last_writer_.store(op, std::memory_order_relaxed);
  }

 private:
  Storage(void* data, int64_t bytes, Device device) : data_(data), bytes_(bytes), device_(device) {}
  void destroy();

  std::atomic<uint32_t> version_{0};
  std::atomic<const char*> last_writer_{"nothing"};
  void* data_;
  int64_t bytes_;
  Device device_;
};

// The free list: blocks of 256 bytes and up in size classes, kept per thread, 64-byte aligned.
// Under sanitizers, and with REGRAD_FREE_LIST=0, every block goes straight back to the system.
// std::bad_alloc where there is no memory.
void* allocate_block(size_t bytes);
void free_block(void* block, size_t bytes) noexcept;  // bytes: as given to allocate_block()

// Says that this thread has cached something (free list, scratch buffers, counts) that is to be
// freed when it ends.
void register_thread_exit() noexcept;

// What the engine asks of a backend: host memory, 64-byte aligned, to be freed with free(), null if
// there is none (ops/cpu/blocks.cpp); to free a thread's scratch buffers (ops/cpu/scratch.cpp); and
// memory of another device (ops/backend.cpp).
void* host_block(size_t bytes) noexcept;
void free_scratch() noexcept;                                         // this thread's
void* allocate_on(Device device, int64_t bytes);                      // or std::bad_alloc
void release_on(Device device, void* block, int64_t bytes) noexcept;  // what that gave

struct MemoryUse {
  int64_t live_storages, live_bytes, peak_bytes;  // of tensors' storages, in the whole process
  int64_t live_nodes;                             // nodes of graphs that are alive
};
MemoryUse memory_use();          // threads that are running may hold back up to a MiB each
void count_node(int64_t nodes);  // for the engine
void reset_peak_memory();        // peak_bytes starts again from live_bytes

}  // namespace regrad

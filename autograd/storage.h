// The memory under tensors: reference counted, 64-byte aligned, recycled through a free list.
// A storage counts how often it was written, so that backward() can tell a saved value is stale.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "autograd/dtype.h"

namespace regrad {

// An owning pointer to a T that counts its own references with retain() and release().
template <class T>
class Ref {
 public:
  Ref() = default;
  explicit Ref(T* pointer) : pointer_(pointer) {}  // takes over the reference that pointer counts
  Ref(const Ref& other) : pointer_(other.pointer_) {
    if (pointer_ != nullptr) pointer_->retain();
  }
  Ref(Ref&& other) noexcept : pointer_(std::exchange(other.pointer_, nullptr)) {}
  Ref& operator=(Ref other) noexcept {
    std::swap(pointer_, other.pointer_);
    return *this;
  }
  ~Ref() {
    if (pointer_ != nullptr) pointer_->release();
  }

  // The pointer; null where it is empty.
  T* get() const { return pointer_; }
  T* operator->() const { return pointer_; }
  T& operator*() const { return *pointer_; }
  explicit operator bool() const { return pointer_ != nullptr; }

 private:
  T* pointer_ = nullptr;
};

// What counts its references; from 1, that of its maker.
class Counted {
 public:
  // One more reference; then, whether there is only one.
  void retain() { references_.fetch_add(1, std::memory_order_relaxed); }
  bool unique() const { return is_held_by(1); }
  bool is_held_by(int32_t count) const {  // whether there are that many
    return references_.load(std::memory_order_acquire) == count;
  }

 protected:
  bool drop() {  // whether that was the last reference
    return references_.load(std::memory_order_acquire) == 1 ||
           references_.fetch_sub(1, std::memory_order_acq_rel) == 1;
  }

 private:
  std::atomic<int32_t> references_{1};
};

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
  // How often it was written; written() counts one more.
  uint32_t version() const { return version_.load(std::memory_order_relaxed); }
  void written() { version_.fetch_add(1, std::memory_order_relaxed); }

 private:
  Storage(void* data, int64_t bytes, Device device) : data_(data), bytes_(bytes), device_(device) {}
  void destroy();

  std::atomic<uint32_t> version_{0};
  void* data_;
  int64_t bytes_;
  Device device_;
};

// The free list: blocks of 64 bytes and up in size classes, kept per thread, 64-byte aligned.
// Under sanitizers, and with REGRAD_FREE_LIST=0, every block goes straight back to the system.
// std::bad_alloc where there is no memory.
void* allocate_block(size_t bytes);
void free_block(void* block, size_t bytes) noexcept;  // bytes: as given to allocate_block()

// Free lists, scratch buffers and counts of this thread are given back when it ends; whoever keeps
// something for a thread says so.
void await_thread_end() noexcept;

// What the engine asks of a backend: memory of the host, 64-byte aligned, which free() takes back
// and which is null when there is none (ops/cpu/blocks.cpp), a thread's scratch buffers back
// (ops/cpu/scratch.cpp), and memory of another device (ops/backend.cpp).
void* host_block(size_t bytes) noexcept;
void free_scratch() noexcept;                                         // this thread's
void* allocate_on(Device device, int64_t bytes);                      // or std::bad_alloc
void release_on(Device device, void* block, int64_t bytes) noexcept;  // what that gave

struct MemoryUse {
  int64_t live_storages, live_bytes, peak_bytes;  // of tensors' storages, in the whole process
  int64_t live_nodes;                             // nodes of graphs that are alive
};
MemoryUse memory_use();    // threads that are running may hold back up to a MiB each
void count_node(int64_t nodes);  // for the engine
void reset_peak_memory();  // peak_bytes starts again from live_bytes

}  // namespace regrad

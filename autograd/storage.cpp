#include "autograd/storage.h"

#include <pthread.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <new>
#include <string_view>

#include "autograd/check.h"
#include "autograd/shape.h"

namespace regrad {
namespace {

constexpr size_t alignment = 64;
constexpr size_t class_count = 4 * 40;            // four size classes for each power of two
constexpr size_t max_cached = size_t{256} << 20;  // bytes that a thread keeps for reuse

// The memory in use in the process, without an atomic operation for every tensor: each thread
// counts for itself, and adds its count to the totals after a MiB of change, when it reads them,
// and when it ends.
std::atomic<int64_t> total_storages{0}, total_bytes{0}, total_nodes{0}, peak_bytes{0};
constexpr int64_t max_uncounted = int64_t{1} << 20;

struct Uncounted {
  int64_t storages, bytes, nodes;
};
constinit thread_local Uncounted uncounted{};

void flush_counts() {
  total_storages.fetch_add(std::exchange(uncounted.storages, 0), std::memory_order_relaxed);
  total_nodes.fetch_add(std::exchange(uncounted.nodes, 0), std::memory_order_relaxed);
  const int64_t bytes = std::exchange(uncounted.bytes, 0);
  const int64_t live = total_bytes.fetch_add(bytes, std::memory_order_relaxed) + bytes;
  int64_t peak = peak_bytes.load(std::memory_order_relaxed);
  while (live > peak && !peak_bytes.compare_exchange_weak(peak, live, std::memory_order_relaxed)) {
  }
}

void count_storage(int64_t storages, int64_t bytes) {
  uncounted.storages += storages;
  uncounted.bytes += bytes;
  if (std::abs(uncounted.bytes) >= max_uncounted) flush_counts();
}

size_t class_bytes(size_t index) { return (4 + index % 4) * alignment << index / 4; }

// Rounds up to 4, 5, 6 or 7 quarters of a power of two of at least 256: wastes at most a fifth.
size_t size_class(size_t bytes) {
  if (bytes <= 4 * alignment) return 0;  // of most blocks: tensors and small storages
  const size_t units = (bytes + alignment - 1) / alignment;
  const size_t power = static_cast<size_t>(std::bit_width(units)) - 3;  // units in [4, 8) << power
  return 4 * power + ((units - 1) >> power) - 3;
}

struct FreeBlock {
  FreeBlock* next;
};

// Trivially destructible, so that tensors freed late in a thread's life still find it.
struct FreeList {
  FreeBlock* heads[class_count];
  size_t cached;
};
constinit thread_local FreeList free_list{};

// Frees cached blocks, large ones first and none of the class `except`, until at most `max_bytes`
// are left.
void shrink_free_list(size_t max_bytes, size_t except = class_count) {
  for (size_t i = class_count; i-- > 0 && free_list.cached > max_bytes;) {
    FreeBlock*& head = free_list.heads[i];
    while (i != except && head != nullptr && free_list.cached > max_bytes) {
      std::free(std::exchange(head, head->next));
      free_list.cached -= class_bytes(i);
    }
  }
}

constinit thread_local bool exit_is_registered = false;

// Frees what a thread has cached. A destructor that runs later may allocate again: what it leaves
// is freed by another call of this.
void on_thread_exit(void*) {
  exit_is_registered = false;
  flush_counts();
  shrink_free_list(0);
  free_scratch();
}

// The pthread key whose destructor, end_thread, the system calls at the end of each thread that has
// set it, after the destructors of thread_local objects, which may still compute. (The main
// thread's memory is freed with the process.)
struct ThreadEnd {
  enum State { unmade, made, gone };
  std::atomic<State> state{unmade};
  pthread_key_t key{};
};
constinit ThreadEnd thread_end;

[[gnu::destructor]] void unload() {
  if (thread_end.state.exchange(ThreadEnd::gone) == ThreadEnd::made) {
    pthread_key_delete(thread_end.key);
  }
}

bool free_list_enabled() {
  static const bool enabled = [] {
    const char* setting = std::getenv("REGRAD_FREE_LIST");
    return REGRAD_FREE_LIST != 0 && (setting == nullptr || std::string_view(setting) != "0");
  }();
  return enabled;
}

}  // namespace

void register_thread_exit() noexcept {
  if (exit_is_registered) [[likely]]
    return;
  exit_is_registered = true;
  static const bool once = [] {
    if (thread_end.state == ThreadEnd::unmade &&
        pthread_key_create(&thread_end.key, on_thread_exit) == 0) {
      thread_end.state = ThreadEnd::made;
    }
    return true;
  }();
  if (once && thread_end.state == ThreadEnd::made) {
    pthread_setspecific(thread_end.key, &thread_end);
  }
}

namespace {

[[gnu::noinline]] void* new_block(size_t bytes) {
  register_thread_exit();  // a thread that has never freed a block finds none, and so comes here
  void* block = host_block(bytes);
  if (block == nullptr && free_list.cached > 0) {  // it may be this thread that keeps it all
    shrink_free_list(0);
    block = host_block(bytes);
  }
  if (block == nullptr) throw std::bad_alloc();
  return block;
}

}  // namespace

void* allocate_block(size_t bytes) {
  const size_t index = size_class(bytes);
  if (index >= class_count) throw std::bad_alloc();
  if (FreeBlock*& head = free_list.heads[index]; head != nullptr) {
    free_list.cached -= class_bytes(index);
    return std::exchange(head, head->next);
  }
  return new_block(class_bytes(index));
}

void free_block(void* block, size_t bytes) noexcept {
  if (!exit_is_registered) [[unlikely]]
    register_thread_exit();
  const size_t index = size_class(bytes);
  const size_t size = class_bytes(index);
  if (!free_list_enabled() || size > max_cached) return std::free(block);
  // The list may be full of sizes that the program no longer uses.
  shrink_free_list(max_cached - size, index);
  if (free_list.cached + size > max_cached) return std::free(block);
  free_list.heads[index] = new (block) FreeBlock{free_list.heads[index]};
  free_list.cached += size;
}

Ref<Storage> Storage::allocate(int64_t bytes, Device device) {
  const bool here = device == cpu;
  const size_t total = static_cast<size_t>(checked_add(here ? bytes : 0, alignment));
  char* block = static_cast<char*>(allocate_block(total));
  static_assert(sizeof(Storage) <= alignment, "the header must leave the data aligned");
  void* data = nullptr;
  if (!here) {
    try {
      data = allocate_on(device, bytes);
    } catch (...) {
      free_block(block, total);
      throw;
    }
  }
  count_storage(1, bytes);
  return Ref<Storage>(new (block) Storage(here ? block + alignment : data, bytes, device));
}

void Storage::destroy() {
  count_storage(-1, -bytes_);
  const size_t total = alignment + static_cast<size_t>(device_ == cpu ? bytes_ : 0);
  if (device_ != cpu) release_on(device_, data_, bytes_);
  this->~Storage();
  free_block(this, total);
}

void count_node(int64_t nodes) { uncounted.nodes += nodes; }

MemoryUse memory_use() {
  flush_counts();
  return {total_storages.load(), total_bytes.load(), peak_bytes.load(), total_nodes.load()};
}

void reset_peak_memory() {
  flush_counts();
  peak_bytes.store(total_bytes.load());
}

}  // namespace regrad

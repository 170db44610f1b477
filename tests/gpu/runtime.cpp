// How the emulated GPU runs a kernel: blocks run one after the other; a block's threads are fibers
// with stacks of their own, which switch where they wait for each other.
#include <sys/mman.h>

#include <cstdio>
#include <mutex>
#include <string_view>
#include <vector>

#include "tests/gpu/cuda_runtime.h"

#if defined(__SANITIZE_ADDRESS__)
extern "C" void __sanitizer_start_switch_fiber(void** saved_pointer, const void* bottom,
                                               size_t size);
extern "C" void __sanitizer_finish_switch_fiber(void* saved, const void** bottom, size_t* size);
#endif

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace emulated {
namespace {

constexpr size_t stack_bytes = size_t{256} << 10;
constexpr unsigned max_threads = 1024, warp = 32;

// Saves the callee-saved registers on this stack, and switches to another stack.
extern "C" void emulated_switch(void** saved_pointer, void* stack_pointer);
asm(R"(
.text
.globl emulated_switch
.type emulated_switch, @function
emulated_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size emulated_switch, .-emulated_switch
)");

struct Thread {
  void* stack_pointer;
  char* stack;
  void* fake_stack = nullptr;  // AddressSanitizer's
  unsigned slot_set = 0;       // which of the warp's two sets of slots it uses next
  bool is_done;
};

struct Warp {
  unsigned waiting = 0, generation = 0;
  uint64_t slots[2][warp];
};

std::mutex one_kernel;
std::vector<Thread> threads;
Warp warps[max_threads / warp];
unsigned running = 0, waiting_for_block = 0, block_generation = 0, current = 0;
uint64_t progress = 0;
void* scheduler = nullptr;
[[maybe_unused]] void* scheduler_fake_stack = nullptr;
void (*kernel)(void*) = nullptr;
void* kernel_context = nullptr;

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "emulated GPU: %s (block %u, thread %u)\n", what, blockIdx.x, current);
  std::abort();
}

void switch_to_scheduler(Thread& thread, bool is_last) {
#if defined(__SANITIZE_ADDRESS__)
  static const void* bottom = nullptr;
  static size_t size = 0;
  __sanitizer_start_switch_fiber(is_last ? nullptr : &thread.fake_stack, bottom, size);
#else
  static_cast<void>(is_last);
#endif
  emulated_switch(&thread.stack_pointer, scheduler);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(thread.fake_stack, nullptr, nullptr);
#endif
}

void yield_thread() { switch_to_scheduler(threads[current], false); }

void thread_main() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, nullptr, nullptr);
#endif
  kernel(kernel_context);
  Thread& self = threads[current];
  self.is_done = true;
  --running;
  ++progress;
  if (warps[current / warp].waiting > 0) fail("a lane ended while others wait for it in a shuffle");
  switch_to_scheduler(self, true);
}

void switch_to(Thread& thread) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&scheduler_fake_stack, thread.stack, stack_bytes);
#endif
  emulated_switch(&scheduler, thread.stack_pointer);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(scheduler_fake_stack, nullptr, nullptr);
#endif
}

// Prepares a stack from which emulated_switch() returns into thread_main(). Stacks begin at
// different cache lines of their pages: otherwise they would all compete for the same set of the
// cache.
void initialise(Thread& thread, unsigned index) {
  constexpr size_t saved_registers = 6, line_bytes = 64, line_count = 64;
  char* const end = thread.stack + stack_bytes - 3 * index % line_count * line_bytes;
  auto* stack_top = reinterpret_cast<void**>(end) - 2;
  *stack_top = reinterpret_cast<void*>(&thread_main);
  thread.stack_pointer = stack_top - saved_registers;
  for (size_t i = 1; i <= saved_registers; ++i) stack_top[-static_cast<ptrdiff_t>(i)] = nullptr;
  thread.slot_set = 0;
  thread.is_done = false;
}

void create_threads(unsigned count) {
  while (threads.size() < count) {
    void* stack = mmap(nullptr, stack_bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (stack == MAP_FAILED) fail("no memory for a thread's stack");
    threads.push_back({nullptr, static_cast<char*>(stack), nullptr, 0, true});
  }
}

bool runs_backwards() {  // to test that the order of threads does not matter
  static const char* order = std::getenv("REGRAD_EMULATED_ORDER");
  return order != nullptr && std::string_view(order) == "backwards";
}

void run_block(unsigned count) {
  for (unsigned i = 0; i < count; ++i) initialise(threads[i], i);
  for (unsigned i = 0; i < (count + warp - 1) / warp; ++i) warps[i].waiting = 0;
  running = count;
  waiting_for_block = 0;
  while (running > 0) {
    const uint64_t before = progress;
    for (unsigned i = 0; i < count; ++i) {
      current = runs_backwards() ? count - 1 - i : i;
      if (threads[current].is_done) continue;
      threadIdx.x = current;
      switch_to(threads[current]);
    }
    if (waiting_for_block > 0 && waiting_for_block == running) {
      waiting_for_block = 0;
      ++block_generation;
      ++progress;
    }
    if (progress == before) fail("threads wait for others that never come");
  }
}

}  // namespace

void* shared_memory() {
  alignas(64) static char bytes[max_shared_bytes];
  return bytes;
}

void run(dim3 grid, dim3 block, size_t shared_bytes, void (*body)(void*), void* context) {
  const std::lock_guard lock(one_kernel);
  if (block.x == 0 || block.x > max_threads || grid.x == 0 || shared_bytes > max_shared_bytes) {
    fail("this grid cannot be started");
  }
  create_threads(block.x);
  kernel = body;
  kernel_context = context;
  blockDim = block;
  gridDim = grid;
  for (unsigned i = 0; i < grid.x; ++i) {
    blockIdx.x = i;
    std::memset(shared_memory(), 0xff, shared_bytes);
    run_block(block.x);
  }
}

void wait_for_block() {
  const unsigned self = current, generation = block_generation;
  ++waiting_for_block;
  ++progress;
  while (block_generation == generation) yield_thread();
  threadIdx.x = current = self;
}

void wait_for_warp() {
  const unsigned self = current;
  Warp& own_warp = warps[self / warp];
  const unsigned generation = own_warp.generation;
  ++progress;
  if (++own_warp.waiting == warp) {
    own_warp.waiting = 0;
    ++own_warp.generation;
  }
  while (own_warp.generation == generation) yield_thread();
  threadIdx.x = current = self;
}

// Two sets of slots, used alternately, suffice: no lane is more than one exchange ahead of another.
uint64_t exchange_in_warp(uint64_t value, unsigned source_lane) {
  const unsigned self = current, slot_set = threads[self].slot_set++ % 2;
  Warp& own_warp = warps[self / warp];
  own_warp.slots[slot_set][self % warp] = value;
  wait_for_warp();
  return own_warp.slots[slot_set][source_lane];
}

uint32_t ballot(bool value) {
  const unsigned self = current, slot_set = threads[self].slot_set++ % 2;
  Warp& own_warp = warps[self / warp];
  own_warp.slots[slot_set][self % warp] = value ? 1 : 0;
  wait_for_warp();
  uint32_t bits = 0;
  for (unsigned i = 0; i < warp; ++i)
    bits |= static_cast<uint32_t>(own_warp.slots[slot_set][i]) << i;
  return bits;
}

}  // namespace emulated

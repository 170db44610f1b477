// How the emulated GPU runs a kernel: one block after another; a block's threads take turns on
// stacks of their own, and change places where they wait for each other.
#include <sys/mman.h>

#include <cstdio>
#include <mutex>
#include <string_view>
#include <vector>

#include "tests/gpu/cuda_runtime.h"

#if defined(__SANITIZE_ADDRESS__)
extern "C" void __sanitizer_start_switch_fiber(void** save, const void* bottom, size_t size);
extern "C" void __sanitizer_finish_switch_fiber(void* saved, const void** bottom, size_t* size);
#endif

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace emulated {
namespace {

constexpr size_t stack_bytes = size_t{256} << 10;
constexpr unsigned most_threads = 1024, warp = 32;

// Keeps the registers that a call must keep on this stack, and goes on with another.
extern "C" void emulated_switch(void** save, void* to);
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
  unsigned turn = 0;           // which of a warp's two sets of slots comes next
  bool is_done;
};

struct Warp {
  unsigned waiting = 0, meetings = 0;
  uint64_t slots[2][warp];
};

std::mutex one_kernel;
std::vector<Thread> threads;
Warp warps[most_threads / warp];
unsigned live = 0, waiting_for_block = 0, block_meetings = 0, current = 0;
uint64_t progress = 0;
void* scheduler = nullptr;
[[maybe_unused]] void* scheduler_fake_stack = nullptr;
void (*kernel)(void*) = nullptr;
void* kernel_context = nullptr;

[[noreturn]] void fault(const char* what) {
  std::fprintf(stderr, "emulated GPU: %s (block %u, thread %u)\n", what, blockIdx.x, current);
  std::abort();
}

void go_to_scheduler(Thread& from, bool for_ever) {
#if defined(__SANITIZE_ADDRESS__)
  static const void* bottom = nullptr;
  static size_t size = 0;
  __sanitizer_start_switch_fiber(for_ever ? nullptr : &from.fake_stack, bottom, size);
#else
  static_cast<void>(for_ever);
#endif
  emulated_switch(&from.stack_pointer, scheduler);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(from.fake_stack, nullptr, nullptr);
#endif
}

void let_others() { go_to_scheduler(threads[current], false); }

void thread_main() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, nullptr, nullptr);
#endif
  kernel(kernel_context);
  Thread& self = threads[current];
  self.is_done = true;
  --live;
  ++progress;
  if (warps[current / warp].waiting > 0)
    fault("a lane ended while others wait for it in a shuffle");
  go_to_scheduler(self, true);
}

void go_to(Thread& thread) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&scheduler_fake_stack, thread.stack, stack_bytes);
#endif
  emulated_switch(&scheduler, thread.stack_pointer);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(scheduler_fake_stack, nullptr, nullptr);
#endif
}

// A stack on which emulated_switch() returns into thread_main(). Stacks begin at different lines of
// their pages: otherwise they would all want the same place in the cache.
void begin(Thread& thread, unsigned number) {
  constexpr size_t saved_registers = 6, line = 64, lines = 64;
  char* const end = thread.stack + stack_bytes - 3 * number % lines * line;
  auto* top = reinterpret_cast<void**>(end) - 2;
  *top = reinterpret_cast<void*>(&thread_main);
  thread.stack_pointer = top - saved_registers;
  for (size_t i = 1; i <= saved_registers; ++i) top[-static_cast<ptrdiff_t>(i)] = nullptr;
  thread.turn = 0;
  thread.is_done = false;
}

void make_threads(unsigned count) {
  while (threads.size() < count) {
    void* stack = mmap(nullptr, stack_bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (stack == MAP_FAILED) fault("no memory for a thread's stack");
    threads.push_back({nullptr, static_cast<char*>(stack), nullptr, 0, true});
  }
}

bool runs_backwards() {  // the order of threads must not matter: another one to test with
  static const char* order = std::getenv("REGRAD_EMULATED_ORDER");
  return order != nullptr && std::string_view(order) == "backwards";
}

void run_block(unsigned count) {
  for (unsigned i = 0; i < count; ++i) begin(threads[i], i);
  for (unsigned i = 0; i < (count + warp - 1) / warp; ++i) warps[i].waiting = 0;
  live = count;
  waiting_for_block = 0;
  while (live > 0) {
    const uint64_t before = progress;
    for (unsigned i = 0; i < count; ++i) {
      current = runs_backwards() ? count - 1 - i : i;
      if (threads[current].is_done) continue;
      threadIdx.x = current;
      go_to(threads[current]);
    }
    if (waiting_for_block > 0 && waiting_for_block == live) {
      waiting_for_block = 0;
      ++block_meetings;
      ++progress;
    }
    if (progress == before) fault("threads wait for others that never come");
  }
}

}  // namespace

void* shared_memory() {
  alignas(64) static char bytes[most_shared_bytes];
  return bytes;
}

void run(dim3 grid, dim3 block, size_t shared_bytes, void (*body)(void*), void* context) {
  const std::lock_guard lock(one_kernel);
  if (block.x == 0 || block.x > most_threads || grid.x == 0 || shared_bytes > most_shared_bytes) {
    fault("this grid cannot be started");
  }
  make_threads(block.x);
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
  const unsigned self = current, meeting = block_meetings;
  ++waiting_for_block;
  ++progress;
  while (block_meetings == meeting) let_others();
  threadIdx.x = current = self;
}

void wait_for_warp() {
  const unsigned self = current;
  Warp& mine = warps[self / warp];
  const unsigned meeting = mine.meetings;
  ++progress;
  if (++mine.waiting == warp) {
    mine.waiting = 0;
    ++mine.meetings;
  }
  while (mine.meetings == meeting) let_others();
  threadIdx.x = current = self;
}

// Two sets of slots by turns: nobody is more than one exchange ahead of another.
uint64_t swap_in_warp(uint64_t given, unsigned from_lane) {
  const unsigned self = current, turn = threads[self].turn++ % 2;
  Warp& mine = warps[self / warp];
  mine.slots[turn][self % warp] = given;
  wait_for_warp();
  return mine.slots[turn][from_lane];
}

uint32_t ballot(bool given) {
  const unsigned self = current, turn = threads[self].turn++ % 2;
  Warp& mine = warps[self / warp];
  mine.slots[turn][self % warp] = given ? 1 : 0;
  wait_for_warp();
  uint32_t bits = 0;
  for (unsigned i = 0; i < warp; ++i) bits |= static_cast<uint32_t>(mine.slots[turn][i]) << i;
  return bits;
}

}  // namespace emulated

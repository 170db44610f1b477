#include "tests/examples/memory.h"

#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<std::size_t> held = 0, peak = 0;

}  // namespace

void* operator new(std::size_t size) {
  void* block = std::malloc(size == 0 ? 1 : size);
  if (block == nullptr) throw std::bad_alloc();
  const std::size_t now = held += malloc_usable_size(block);
  if (now > peak) peak = now;
  return block;
}

void operator delete(void* block) noexcept {
  if (block != nullptr) held -= malloc_usable_size(block);
  std::free(block);
}

void operator delete(void* block, std::size_t) noexcept { operator delete(block); }

namespace regrad::example {

std::size_t held_bytes() { return held; }
std::size_t peak_bytes() { return peak; }
void forget_peak() { peak = held.load(); }

}  // namespace regrad::example

// Allocates host memory for autograd/storage.h, which declares this. Large blocks use huge pages of
// 2 MiB where the system has them: the hardware prefetcher stops at the end of a page, and huge
// pages cause fewer TLB misses.
#include <sys/mman.h>

#include <cstddef>
#include <cstdlib>

namespace regrad {

void* host_block(std::size_t bytes) noexcept {
  constexpr std::size_t line = 64, large_page = std::size_t{2} << 20;
  if (bytes < large_page) return std::aligned_alloc(line, bytes);
  void* block = std::aligned_alloc(large_page, (bytes + large_page - 1) / large_page * large_page);
#ifdef MADV_HUGEPAGE
  if (block != nullptr) madvise(block, bytes, MADV_HUGEPAGE);
#endif
  return block;
}

}  // namespace regrad

// Memory of the host for the blocks of autograd/storage.h, which declares this. A large block is
// asked for in pages of 2 MiB, where the system has them: a processor reads ahead within a page,
// and looks up fewer.
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

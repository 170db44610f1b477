// Workspace of the kernels: a few buffers per thread, which grow as needed, are reused by the next
// call, and are freed when the thread ends. A buffer is valid until the same thread requests the
// same slot again; its contents are uninitialised.
#pragma once

#include <cstddef>

namespace regrad {

// One name per use, so that a kernel that calls another keeps its own buffer.
enum class Scratch {
  gemm_a,
  gemm_b,
  gemm_shared_b,
  attention,
  attention_shared,
  conv,
  conv_shared,
  reduce,
  sort,
  count
};

// At least `bytes` bytes, aligned to 64. Throws std::bad_alloc.
void* scratch(Scratch slot, std::size_t bytes);

}  // namespace regrad

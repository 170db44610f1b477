// How work is cut into chunks: by its size alone, so that results have the same bits for any number
// of threads.
#pragma once

#include "ops/cpu/lanes.h"
#include "ops/cpu/parallel.h"
#include "ops/cpu/scratch.h"

namespace regrad::simd {

REGRAD_INLINE int64_t min(int64_t a, int64_t b) { return a < b ? a : b; }
REGRAD_INLINE int64_t max(int64_t a, int64_t b) { return a > b ? a : b; }
REGRAD_INLINE int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Scratch memory for so many elements.
template <class T>
REGRAD_INLINE T* scratch_for(Scratch slot, int64_t elements) {
  return static_cast<T*>(scratch(slot, static_cast<std::size_t>(elements) * sizeof(T)));
}

struct Range {
  int64_t begin, end;
  REGRAD_INLINE int64_t size() const { return end - begin; }
};

// [0, total) cut into `parts` ranges whose sizes differ by at most one, the longer ones in the
// middle: threads take chunks from both ends, so that each gets its share of the longer ones.
struct Cut {
  // A range has `size` elements; `longer` of them, which follow the first `before`, have size + 1.
  int64_t parts, size, longer, before;
  REGRAD_INLINE Cut(int64_t total, int64_t part_count)
      : parts(part_count),
        size(part_count == 1 ? total : total / part_count),
        longer(total - part_count * size),
        before((part_count - longer) / 2) {}
  REGRAD_INLINE int64_t begin(int64_t i) const {
    return i * size + min(max(i - before, 0), longer);
  }
  REGRAD_INLINE Range operator[](int64_t i) const { return {begin(i), begin(i + 1)}; }
};

// for_ranges calls body(begin, end) over [0, count), in chunks of about `chunk_work` steps, where
// an element takes `cost` steps. There are at most 256 chunks.
inline constexpr int64_t chunk_work = 16384;

REGRAD_INLINE int64_t chunk_size(int64_t count, int64_t cost) {
  const int64_t by_work = chunk_work / max(cost, 1);
  return max(max(by_work, 1), ceil_div(count, 256));
}

template <class Body>
REGRAD_INLINE void for_ranges(int64_t count, int64_t cost, Body&& body) {
  const int64_t size = chunk_size(count, cost);
  parallel_for(count <= size ? static_cast<int64_t>(count > 0) : ceil_div(count, size),
               [&](int64_t chunk) { body(chunk * size, min((chunk + 1) * size, count)); });
}

// The same for an array, in chunks whose size is a multiple of 64 elements (whole cache lines).
template <class Body>
REGRAD_INLINE void for_elements(int64_t count, Body&& body) {
  for_ranges(ceil_div(count, 64), 64,
             [&](int64_t begin, int64_t end) { body(begin * 64, min(end * 64, count)); });
}

}  // namespace regrad::simd

// Drives a pointwise Loop: calls a block function with contiguous runs of each operand's elements.
// Operands that are contiguous in memory are used in place. Others go through a buffer of 256
// elements: a broadcast element fills it once, other strides are gathered or scattered.
// This code handles bytes only, so that one copy of it serves every function and type.
#pragma once

#include "ops/cpu/chunks.h"
#include "ops/cpu/math.h"
#include "ops/kernels/table.h"

namespace regrad::simd {

// Computes n contiguous elements of each operand; operand 0 is the output.
using BlockFunction = void (*)(const void* context, int64_t n, void* const* operands);

struct Work {
  BlockFunction block;
  const void* context;
  int operands;
  int64_t bytes[4];  // of one element of each operand
};

inline constexpr int64_t block_size = 256;

// A position in a loop: the index along each dimension, and each operand's offset.
struct Cursor {
  int64_t index[8];
  int64_t offset[4];
  int64_t column;  // the index along the last dimension, which the offsets do not include

  REGRAD_INLINE Cursor(const Loop& loop, int operands, int64_t position) {
    const int last = loop.rank - 1;
    column = position % loop.sizes[last];
    position /= loop.sizes[last];
    for (int k = 0; k < operands; ++k) offset[k] = 0;
    for (int d = last - 1; d >= 0; --d) {
      index[d] = position % loop.sizes[d];
      position /= loop.sizes[d];
      for (int k = 0; k < operands; ++k) offset[k] += index[d] * loop.strides[k][d];
    }
  }
  // The number of remaining rows along the dimension before the last: these have a constant stride.
  REGRAD_INLINE int64_t rows_left(const Loop& loop) const {
    const int d = loop.rank - 2;
    return d < 0 ? 1 : loop.sizes[d] - index[d];
  }
  REGRAD_INLINE void next_row(const Loop& loop, int operands, int64_t rows = 1) {
    column = 0;
    for (int d = loop.rank - 2; d >= 0; --d, rows = 1) {
      for (int k = 0; k < operands; ++k) offset[k] += rows * loop.strides[k][d];
      index[d] += rows;
      if (index[d] < loop.sizes[d]) return;
      for (int k = 0; k < operands; ++k) offset[k] -= index[d] * loop.strides[k][d];
      index[d] = 0;
    }
  }
};

template <class Word>
REGRAD_INLINE void copy_words(int64_t n, char* destination, int64_t destination_stride,
                              const char* source, int64_t source_stride) {
  for (int64_t i = 0; i < n; ++i) {
    Word word;
    __builtin_memcpy(&word, source + i * source_stride * int64_t{sizeof(Word)}, sizeof(Word));
    __builtin_memcpy(destination + i * destination_stride * int64_t{sizeof(Word)}, &word,
                     sizeof(Word));
  }
}

template <class Word>
REGRAD_INLINE void repeat_word(int64_t n, char* destination, const char* source) {
  Word word;
  __builtin_memcpy(&word, source, sizeof(Word));
  for (int64_t i = 0; i < n; ++i)
    __builtin_memcpy(destination + i * int64_t{sizeof(Word)}, &word, sizeof(Word));
}

// Copies contiguous bytes. Runs of 32 bytes to 1 KiB are copied inline, as a call of memcpy would
// take longer than the copy.
REGRAD_INLINE void copy_contiguous(int64_t bytes, char* destination, const char* source) {
  if (bytes < 32 || bytes > 1024) {
    __builtin_memcpy(destination, source, static_cast<std::size_t>(bytes));
    return;
  }
  for (int64_t i = 0; i + 32 <= bytes; i += 32) __builtin_memcpy(destination + i, source + i, 32);
  __builtin_memcpy(destination + bytes - 32, source + bytes - 32, 32);
}

// Strides in elements of `bytes` bytes.
template <class Arch>
void copy_strided(int64_t bytes, int64_t n, char* destination, int64_t destination_stride,
                  const char* source, int64_t source_stride) {
  if (destination_stride == 1 && source_stride == 1) {
    copy_contiguous(n * bytes, destination, source);
  } else if (destination_stride == 1 && source_stride == 0 && bytes == 4) {
    repeat_word<uint32_t>(n, destination, source);
  } else if (destination_stride == 1 && source_stride == 0 && bytes == 8) {
    repeat_word<uint64_t>(n, destination, source);
  } else if (bytes == 4) {
    copy_words<uint32_t>(n, destination, destination_stride, source, source_stride);
  } else if (bytes == 8) {
    copy_words<uint64_t>(n, destination, destination_stride, source, source_stride);
  } else {
    copy_words<uint8_t>(n, destination, destination_stride, source, source_stride);
  }
}

// Whether an operand is contiguous over the whole loop.
REGRAD_INLINE bool is_compact(const Loop& loop, int operand) {
  int64_t expected = 1;
  for (int d = loop.rank - 1; d >= 0; --d) {
    if (loop.sizes[d] != 1 && loop.strides[operand][d] != expected) return false;
    expected *= loop.sizes[d];
  }
  return true;
}

REGRAD_INLINE bool is_constant(const Loop& loop, int operand) {
  for (int d = 0; d < loop.rank; ++d) {
    if (loop.sizes[d] != 1 && loop.strides[operand][d] != 0) return false;
  }
  return true;
}

// For long rows: each block is a run of one row.
template <class Arch>
void run_rows(const Loop& loop, const Work& work, void* const* data, int64_t begin, int64_t end) {
  alignas(64) char buffers[4][block_size * 8];
  const char* filled[4] = {};
  const int last = loop.rank - 1;
  Cursor cursor(loop, work.operands, begin);
  int64_t limit = end;
  for (int k = 0; k < work.operands; ++k) {
    if (loop.strides[k][last] != 1) limit = block_size;
  }
  while (begin < end) {
    const int64_t row_end = min(loop.sizes[last], cursor.column + end - begin);
    while (cursor.column < row_end) {
      const int64_t n = min(limit, row_end - cursor.column);
      void* operands[4];
      for (int k = work.operands - 1; k >= 0; --k) {
        const int64_t stride = loop.strides[k][last];
        char* source = static_cast<char*>(data[k]) +
                       (cursor.offset[k] + cursor.column * stride) * work.bytes[k];
        operands[k] = stride == 1 ? source : buffers[k];
        if (stride == 1 || k == 0 || filled[k] == source) continue;
        const int64_t count = stride == 0 ? min(block_size, end - begin) : n;
        copy_strided<Arch>(work.bytes[k], count, buffers[k], 1, source, stride);
        if (stride == 0) filled[k] = source;
      }
      work.block(work.context, n, operands);
      if (loop.strides[0][last] != 1) {
        char* memory = static_cast<char*>(data[0]) +
                       (cursor.offset[0] + cursor.column * loop.strides[0][last]) * work.bytes[0];
        copy_strided<Arch>(work.bytes[0], n, memory, loop.strides[0][last], buffers[0], 1);
      }
      cursor.column += n;
      begin += n;
    }
    cursor.next_row(loop, work.operands);
  }
}

// Copies the next n elements, from the cursor on, of the buffered inputs into their buffers, or of
// the output from its buffer to memory.
template <class Arch>
void move_rows(const Loop& loop, const Work& work, void* const* data, Cursor& cursor, int64_t n,
               const bool* is_buffered, char (*buffers)[block_size * 8], bool is_output) {
  const int inner = loop.rank - 1;
  for (int64_t done = 0; done < n;) {
    const int64_t count = min(loop.sizes[inner] - cursor.column, n - done);
    for (int k = is_output ? 0 : 1; k < (is_output ? 1 : work.operands); ++k) {
      if (!is_buffered[k]) continue;
      const int64_t stride = loop.strides[k][inner];
      char* memory =
          static_cast<char*>(data[k]) + (cursor.offset[k] + cursor.column * stride) * work.bytes[k];
      char* buffer = buffers[k] + done * work.bytes[k];
      if (is_output) {
        copy_strided<Arch>(work.bytes[k], count, memory, stride, buffer, 1);
      } else {
        copy_strided<Arch>(work.bytes[k], count, buffer, 1, memory, stride);
      }
    }
    done += count;
    cursor.column += count;
    if (cursor.column == loop.sizes[inner]) cursor.next_row(loop, work.operands);
  }
}

// For short rows: a block holds many of them.
template <class Arch>
void run_blocks(const Loop& loop, const Work& work, void* const* data, int64_t begin, int64_t end) {
  alignas(64) char buffers[4][block_size * 8];
  bool in_place[4], is_buffered[4];
  bool any_buffered = false;
  for (int k = 0; k < work.operands; ++k) {
    in_place[k] = is_compact(loop, k);
    is_buffered[k] = !in_place[k];
    if (k > 0 && is_constant(loop, k)) {
      is_buffered[k] = in_place[k] = false;
      copy_strided<Arch>(work.bytes[k], block_size, buffers[k], 1, static_cast<char*>(data[k]), 0);
    }
    if (k > 0) any_buffered = any_buffered || is_buffered[k];
  }
  Cursor input(loop, work.operands, begin), output(loop, 1, begin);
  for (int64_t n; begin < end; begin += n) {
    n = min(block_size, end - begin);
    void* operands[4];
    for (int k = 0; k < work.operands; ++k) {
      operands[k] = in_place[k] ? static_cast<char*>(data[k]) + begin * work.bytes[k] : buffers[k];
    }
    if (any_buffered) move_rows<Arch>(loop, work, data, input, n, is_buffered, buffers, false);
    work.block(work.context, n, operands);
    if (is_buffered[0]) move_rows<Arch>(loop, work, data, output, n, is_buffered, buffers, true);
  }
}

template <class Arch>
void run_any(const Loop& loop, const Work& work, void* const* data) {
  Loop scalar;
  const Loop* effective = &loop;
  if (loop.rank == 0) {
    scalar.rank = 1;
    scalar.sizes[0] = 1;
    for (auto& strides : scalar.strides) strides[0] = 1;
    effective = &scalar;
  }
  const bool rows = effective->rank == 1 || effective->sizes[effective->rank - 1] >= 64;
  for_elements(effective->numel(), [&](int64_t begin, int64_t end) {
    (rows ? run_rows<Arch> : run_blocks<Arch>)(*effective, work, data, begin, end);
  });
}

// Runs the block function over the loop; calls it directly if all operands are contiguous and
// small.
template <class Arch, class Out, class... In>
REGRAD_INLINE void run_loop(const Loop& loop, BlockFunction block, const void* context, Out* out,
                            const In*... in) {
  constexpr int count = 1 + static_cast<int>(sizeof...(In));
  void* data[] = {out, const_cast<In*>(in)...};
  bool direct = loop.rank == 1 && loop.sizes[0] <= chunk_work;
  for (int k = 0; k < count; ++k) direct = direct && loop.strides[k][0] == 1;
  if (direct) {
    if (loop.sizes[0] > 0) block(context, loop.sizes[0], data);
    return;
  }
  const Work work{block, context, count, {int64_t{sizeof(Out)}, int64_t{sizeof(In)}...}};
  run_any<Arch>(loop, work, data);
}

}  // namespace regrad::simd

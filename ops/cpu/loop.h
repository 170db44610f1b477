// Drives a pointwise Loop: hands a block function runs of elements that lie side by side.
// Operands that do so in memory are used in place. Others pass through a buffer of 256 elements:
// one that repeats an element is filled once, one with other strides is gathered.
// It sees bytes only, so that one copy of it serves every function and type.
#pragma once

#include "ops/cpu/chunks.h"
#include "ops/cpu/math.h"
#include "ops/kernels/table.h"

namespace regrad::simd {

// One pass over n adjacent elements; operand 0 is written.
using BlockFunction = void (*)(const void* context, int64_t n, void* const* operands);

struct Work {
  BlockFunction block;
  const void* context;
  int operands;
  int64_t bytes[4];  // of one element of each operand
};

inline constexpr int64_t block_size = 256;

// A position in a loop: an index for every dimension and where each operand stands there.
struct Cursor {
  int64_t index[8];
  int64_t offset[4];
  int64_t column;  // within the last dimension, not part of the offsets

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
  // Rows that follow each other with one step: those of the dimension before the last.
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
REGRAD_INLINE void copy_words(int64_t n, char* to, int64_t to_stride, const char* from,
                              int64_t from_stride) {
  for (int64_t i = 0; i < n; ++i) {
    Word word;
    __builtin_memcpy(&word, from + i * from_stride * int64_t{sizeof(Word)}, sizeof(Word));
    __builtin_memcpy(to + i * to_stride * int64_t{sizeof(Word)}, &word, sizeof(Word));
  }
}

template <class Word>
REGRAD_INLINE void repeat_word(int64_t n, char* to, const char* from) {
  Word word;
  __builtin_memcpy(&word, from, sizeof(Word));
  for (int64_t i = 0; i < n; ++i)
    __builtin_memcpy(to + i * int64_t{sizeof(Word)}, &word, sizeof(Word));
}

// Bytes that lie side by side. Short runs are not worth a call of memcpy.
REGRAD_INLINE void copy_run(int64_t bytes, char* to, const char* from) {
  if (bytes < 32 || bytes > 1024) {
    __builtin_memcpy(to, from, static_cast<std::size_t>(bytes));
    return;
  }
  for (int64_t i = 0; i + 32 <= bytes; i += 32) __builtin_memcpy(to + i, from + i, 32);
  __builtin_memcpy(to + bytes - 32, from + bytes - 32, 32);
}

// Strides in elements of `bytes` bytes.
template <class Arch>
void copy_strided(int64_t bytes, int64_t n, char* to, int64_t to_stride, const char* from,
                  int64_t from_stride) {
  if (to_stride == 1 && from_stride == 1) {
    copy_run(n * bytes, to, from);
  } else if (to_stride == 1 && from_stride == 0 && bytes == 4) {
    repeat_word<uint32_t>(n, to, from);
  } else if (to_stride == 1 && from_stride == 0 && bytes == 8) {
    repeat_word<uint64_t>(n, to, from);
  } else if (bytes == 4) {
    copy_words<uint32_t>(n, to, to_stride, from, from_stride);
  } else if (bytes == 8) {
    copy_words<uint64_t>(n, to, to_stride, from, from_stride);
  } else {
    copy_words<uint8_t>(n, to, to_stride, from, from_stride);
  }
}

// Where an operand's strides are those of one array without gaps.
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

// Long rows: each is taken in runs, one at a time.
template <class Arch>
void run_rows(const Loop& loop, const Work& work, void* const* data, int64_t begin, int64_t end) {
  alignas(64) char buffers[4][block_size * 8];
  const char* filled[4] = {};
  const int last = loop.rank - 1;
  Cursor at(loop, work.operands, begin);
  int64_t limit = end;
  for (int k = 0; k < work.operands; ++k) {
    if (loop.strides[k][last] != 1) limit = block_size;
  }
  while (begin < end) {
    const int64_t row_end = min(loop.sizes[last], at.column + end - begin);
    while (at.column < row_end) {
      const int64_t n = min(limit, row_end - at.column);
      void* operands[4];
      for (int k = work.operands - 1; k >= 0; --k) {
        const int64_t stride = loop.strides[k][last];
        char* source =
            static_cast<char*>(data[k]) + (at.offset[k] + at.column * stride) * work.bytes[k];
        operands[k] = stride == 1 ? source : buffers[k];
        if (stride == 1 || k == 0 || filled[k] == source) continue;
        const int64_t count = stride == 0 ? min(block_size, end - begin) : n;
        copy_strided<Arch>(work.bytes[k], count, buffers[k], 1, source, stride);
        if (stride == 0) filled[k] = source;
      }
      work.block(work.context, n, operands);
      if (loop.strides[0][last] != 1) {
        char* to = static_cast<char*>(data[0]) +
                   (at.offset[0] + at.column * loop.strides[0][last]) * work.bytes[0];
        copy_strided<Arch>(work.bytes[0], n, to, loop.strides[0][last], buffers[0], 1);
      }
      at.column += n;
      begin += n;
    }
    at.next_row(loop, work.operands);
  }
}

// Moves operands [first, last) between memory and their buffers for n elements from `at` on.
template <class Arch>
void move_rows(const Loop& loop, const Work& work, void* const* data, Cursor& at, int64_t n,
               const bool* moves, char (*buffers)[block_size * 8], bool out) {
  const int inner = loop.rank - 1;
  for (int64_t done = 0; done < n;) {
    const int64_t run = min(loop.sizes[inner] - at.column, n - done);
    for (int k = out ? 0 : 1; k < (out ? 1 : work.operands); ++k) {
      if (!moves[k]) continue;
      const int64_t stride = loop.strides[k][inner];
      char* memory =
          static_cast<char*>(data[k]) + (at.offset[k] + at.column * stride) * work.bytes[k];
      char* buffer = buffers[k] + done * work.bytes[k];
      if (out) {
        copy_strided<Arch>(work.bytes[k], run, memory, stride, buffer, 1);
      } else {
        copy_strided<Arch>(work.bytes[k], run, buffer, 1, memory, stride);
      }
    }
    done += run;
    at.column += run;
    if (at.column == loop.sizes[inner]) at.next_row(loop, work.operands);
  }
}

// Short rows: many of them make one block.
template <class Arch>
void run_blocks(const Loop& loop, const Work& work, void* const* data, int64_t begin, int64_t end) {
  alignas(64) char buffers[4][block_size * 8];
  bool in_place[4], moves[4];
  bool any_moves = false;
  for (int k = 0; k < work.operands; ++k) {
    in_place[k] = is_compact(loop, k);
    moves[k] = !in_place[k];
    if (k > 0 && is_constant(loop, k)) {
      moves[k] = in_place[k] = false;
      copy_strided<Arch>(work.bytes[k], block_size, buffers[k], 1, static_cast<char*>(data[k]), 0);
    }
    if (k > 0) any_moves = any_moves || moves[k];
  }
  Cursor in(loop, work.operands, begin), out(loop, 1, begin);
  for (int64_t n; begin < end; begin += n) {
    n = min(block_size, end - begin);
    void* operands[4];
    for (int k = 0; k < work.operands; ++k) {
      operands[k] = in_place[k] ? static_cast<char*>(data[k]) + begin * work.bytes[k] : buffers[k];
    }
    if (any_moves) move_rows<Arch>(loop, work, data, in, n, moves, buffers, false);
    work.block(work.context, n, operands);
    if (moves[0]) move_rows<Arch>(loop, work, data, out, n, moves, buffers, true);
  }
}

template <class Arch>
void run_any(const Loop& loop, const Work& work, void* const* data) {
  Loop scalar;
  const Loop* given = &loop;
  if (loop.rank == 0) {
    scalar.rank = 1;
    scalar.sizes[0] = 1;
    for (auto& strides : scalar.strides) strides[0] = 1;
    given = &scalar;
  }
  const bool rows = given->rank == 1 || given->sizes[given->rank - 1] >= 64;
  for_elements(given->numel(), [&](int64_t begin, int64_t end) {
    (rows ? run_rows<Arch> : run_blocks<Arch>)(*given, work, data, begin, end);
  });
}

// Runs the block function over the loop. Everything contiguous and not large: called at once.
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

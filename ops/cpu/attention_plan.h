// How fused attention is cut into blocks, where their copies lie, and which of them a mask closes.
// All of it from sizes and strides alone, so that the number of threads changes nothing.
#pragma once

#include "ops/kernels/attention.h"
#include "ops/cpu/attention_tile.h"
#include "ops/cpu/fold.h"
#include "ops/cpu/gemm_pack.h"
#include "ops/cpu/parallel.h"
#include "ops/cpu/scratch.h"

namespace regrad::simd {

template <class T, class Arch>
struct AttentionPlan {
  static constexpr int64_t lanes = lanes_of<T, Arch>;
  static constexpr int64_t panel = 2 * lanes;  // columns of a register tile
  static constexpr int64_t tile = TileSize<Arch>::rows;
  static constexpr int64_t line = 64 / int64_t{sizeof(T)};  // elements of a cache line
  // Queries of a block: its scores of one block of keys take most of a first-level cache.
  static constexpr int64_t query_block = (192 / int64_t{sizeof(T)} + tile - 1) / tile * tile;
  static constexpr int64_t wanted_chunks = 16;     // enough for the threads to share out
  static constexpr double chunk_operations = 1e6;  // fewer are not worth another thread

  int64_t key_block;     // keys of a block: their copies fit in a second-level cache
  int64_t query_stride;  // from row to row of the copies of q and k
  int64_t width_stride;  // and of v, g and the output
  int64_t key_stride;    // and of the scores
  int64_t depth_panels, width_panels;
  int64_t batches = 1;
  double operations;  // of one member of the batch, for one product of queries and keys

  explicit AttentionPlan(const AttentionCall<T>& call) {
    for (int i = 0; i < call.batch_rank; ++i) batches *= call.batch_sizes[i];
    depth_panels = ceil_div(call.depth, panel);
    width_panels = ceil_div(call.width, panel);
    query_stride = apart(depth_panels * panel);
    width_stride = apart(width_panels * panel);
    const int64_t each = int64_t{sizeof(T)} * max(call.depth + call.width, 1);
    const int64_t fitting = (1 << 16) / each / 16 * 16;
    key_block = max(min(fitting, 128), 32);
    key_stride = apart(key_block + tile);
    operations = static_cast<double>(call.queries) * static_cast<double>(call.keys) *
                 static_cast<double>(call.depth + call.width);
  }
  // Units of work that take so many operations each: how many of them make a chunk.
  int64_t group_of(double each, int64_t units) const {
    const double count = chunk_operations / (each + 1);
    return count >= static_cast<double>(units) ? max(units, 1)
                                               : max(static_cast<int64_t>(count), 1);
  }
  int64_t key_blocks(const AttentionCall<T>& call) const { return ceil_div(call.keys, key_block); }

  // Rows an odd number of cache lines apart do not drive each other out of the cache.
  static int64_t apart(int64_t columns) { return (ceil_div(columns, line) | 1) * line; }
};

// Pieces of one buffer, each at a cache line; without a buffer they are only measured.
struct Carver {
  char* base = nullptr;
  int64_t used = 0;
  template <class T>
  REGRAD_INLINE T* take(int64_t count) {
    T* const at = base ? reinterpret_cast<T*>(base + used) : nullptr;
    used += ceil_div(count * int64_t{sizeof(T)}, 64) * 64;
    return at;
  }
};

// Space is made of a Carver and what says how large its pieces are.
template <class Space, class... Sizes>
REGRAD_INLINE Space carve(Scratch slot, const Sizes&... sizes) {
  Carver measure;
  Space(measure, sizes...);
  Carver carver{static_cast<char*>(scratch(slot, static_cast<std::size_t>(measure.used)))};
  return Space(carver, sizes...);
}

// An operand's matrix for one member of the batch; null stays null.
template <class T, class Call>
REGRAD_INLINE T* member(const Call& call, const AttentionOperand<T>& operand, int64_t index) {
  if (operand.data == nullptr) return nullptr;
  T* at = operand.data;
  for (int d = call.batch_rank - 1; d >= 0; --d) {
    at += index % call.batch_sizes[d] * operand.batch[d];
    index /= call.batch_sizes[d];
  }
  return at;
}

// Rows of any stride, fetched ahead: the processor does not foresee short rows that lie far apart.
template <class T>
struct FarRows {
  const T* data;
  int64_t stride, count, columns;
  REGRAD_INLINE const T* operator[](int64_t i) const {
    const T* const row = data + i * stride;
    if (i + 8 < count) {
      for (int64_t j = 0; j < columns; j += 64 / int64_t{sizeof(T)}) {
        __builtin_prefetch(row + 8 * stride + j);
      }
    }
    return row;
  }
};

// Is none of the numbers that it saw NaN or infinite?
template <class T, class Arch>
struct Finite {
  Vec<T, Arch> zero = Vec<T, Arch>(T(0));
  REGRAD_INLINE void see(Vec<T, Arch> x) { zero = multiply_add(x, Vec<T, Arch>(T(0)), zero); }
  REGRAD_INLINE bool all() const { return sum_lanes(zero) == T(0); }
};

template <class T, class Arch>
bool all_finite(const T* rows, int64_t stride, int64_t count, int64_t columns) {
  Finite<T, Arch> finite;
  for (int64_t i = 0; i < count; ++i, rows += stride) {
    for (int64_t j = 0; j < columns; j += lanes_of<T, Arch>) {
      finite.see(load<T, Arch>(rows + j, columns - j));
    }
  }
  return finite.all();
}

// to = factor * from, with zeros beyond the last column and in `more` rows beyond the last. Tells
// whether all of it is finite.
template <class T, class Arch>
bool copy_rows(const FarRows<T>& from, T* to, int64_t to_stride, int64_t more, T factor) {
  using V = Vec<T, Arch>;
  constexpr int64_t lanes = lanes_of<T, Arch>;
  const V by(factor);
  Finite<T, Arch> finite;
  for (int64_t i = 0; i < from.count; ++i, to += to_stride) {
    const T* const row = from[i];
    int64_t j = 0;
    for (; j < from.columns; j += lanes) {
      const V x = load<T, Arch>(row + j, from.columns - j) * by;
      finite.see(x);
      x.store_unaligned(to + j);
    }
    for (; j < to_stride; j += lanes) V(T(0)).store_unaligned(to + j);
  }
  for (int64_t i = 0; i < more * to_stride; ++i) to[i] = 0;
  return finite.all();
}

// Can a weight be 0 because a key is closed to a query?
template <class T>
REGRAD_INLINE bool has_closed_keys(const AttentionCall<T>& call) {
  return call.causal || call.mask.data != nullptr || call.bias.data != nullptr;
}

// Which keys of a block the mask lets the queries of a block attend to.
enum class Permitted { none, some, all };

template <class T, class Arch>
Permitted permitted(const AttentionCall<T>& call, const bool* mask, Range queries, Range keys) {
  if (mask == nullptr) return Permitted::all;
  const int64_t rows = call.mask.row == 0 ? 1 : queries.size();
  const int64_t step = call.mask.column, columns = step == 0 ? 1 : keys.size();
  int64_t count = 0;
  for (int64_t i = 0; i < rows; ++i) {
    const bool* row = mask + (queries.begin + i) * call.mask.row + keys.begin * step;
    int in_row = 0;
    if (step == 1) {
      for (int64_t j = 0; j < columns; ++j) in_row += row[j] ? 1 : 0;
    } else {
      for (int64_t j = 0; j < columns; ++j) in_row += row[j * step] ? 1 : 0;
    }
    count += in_row;
  }
  return count == 0 ? Permitted::none : count == rows * columns ? Permitted::all : Permitted::some;
}

// x[j] = value where the mask closes key j to a query.
template <class T>
REGRAD_INLINE void close(int64_t count, T* x, const bool* mask, int64_t step, T value) {
  if (step == 1) {
    for (int64_t j = 0; j < count; ++j) x[j] = mask[j] ? x[j] : value;
  } else {
    for (int64_t j = 0; j < count; ++j) x[j] = mask[j * step] ? x[j] : value;
  }
}

// How many keys of a block a query may attend to, as far as the order in time is concerned.
template <class T>
REGRAD_INLINE int64_t keys_open_to(const AttentionCall<T>& call, int64_t query, Range keys) {
  return call.causal ? max(min(query + 1 - keys.begin, keys.size()), 0) : keys.size();
}

}  // namespace regrad::simd

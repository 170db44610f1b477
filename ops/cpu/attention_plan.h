// How fused attention is divided into blocks, the workspace for their packed copies, and masks.
// Block sizes depend on sizes and strides alone, so that the result has the same bits for any
// number of threads.
#pragma once

#include "ops/cpu/attention_tile.h"
#include "ops/cpu/fold.h"
#include "ops/cpu/gemm_pack.h"
#include "ops/cpu/parallel.h"
#include "ops/cpu/scratch.h"
#include "ops/kernels/attention.h"

namespace regrad::simd {

template <class T, class Arch>
struct AttentionPlan {
  static constexpr int64_t lanes = lanes_of<T, Arch>;
  static constexpr int64_t panel = 2 * lanes;  // columns of a register tile
  static constexpr int64_t tile = TileSize<Arch>::rows;
  static constexpr int64_t line_elements = 64 / int64_t{sizeof(T)};  // elements of a cache line
  // Queries of a block: their scores with a block of keys take most of the L1 cache.
  static constexpr int64_t query_block = (192 / int64_t{sizeof(T)} + tile - 1) / tile * tile;
  static constexpr int64_t target_chunks = 16;     // enough to balance the load of the threads
  static constexpr double chunk_operations = 1e6;  // fewer are not worth another thread

  int64_t key_block;     // keys of a block: their copies fit the L2 cache
  int64_t query_stride;  // row stride of the copies of q and of dq and dk
  int64_t width_stride;  // row stride of the copies of g, and of dv and the output
  int64_t key_stride;    // row stride of the scores
  int64_t depth_panels, width_panels;
  int64_t batches = 1;
  double operations;  // multiply-adds of one batch entry, for Q Kᵀ and P V

  explicit AttentionPlan(const AttentionCall<T>& call) {
    for (int i = 0; i < call.batch_rank; ++i) batches *= call.batch_sizes[i];
    depth_panels = ceil_div(call.depth, panel);
    width_panels = ceil_div(call.width, panel);
    query_stride = padded_stride(depth_panels * panel);
    width_stride = padded_stride(width_panels * panel);
    const int64_t key_bytes = int64_t{sizeof(T)} * max(call.depth + call.width, 1);
    const int64_t fitting_keys = (1 << 16) / key_bytes / 16 * 16;
    key_block = max(min(fitting_keys, 128), 32);
    key_stride = padded_stride(key_block + tile);
    operations = static_cast<double>(call.queries) * static_cast<double>(call.keys) *
                 static_cast<double>(call.depth + call.width);
  }
  // How many of `units` units of work, each of so many operations, make a chunk.
  int64_t units_per_chunk(double cost_per_unit, int64_t units) const {
    const double count = chunk_operations / (cost_per_unit + 1);
    return count >= static_cast<double>(units) ? max(units, 1)
                                               : max(static_cast<int64_t>(count), 1);
  }
  int64_t key_blocks(const AttentionCall<T>& call) const { return ceil_div(call.keys, key_block); }

  // An odd number of cache lines, so that rows fall into different sets of the cache.
  static int64_t padded_stride(int64_t columns) {
    return (ceil_div(columns, line_elements) | 1) * line_elements;
  }
};

// Allocates arrays from one buffer, each aligned to a cache line. Without a buffer it only computes
// how much memory they take.
struct Arena {
  char* base = nullptr;
  int64_t used = 0;
  template <class T>
  REGRAD_INLINE T* allocate(int64_t count) {
    T* const block = base ? reinterpret_cast<T*>(base + used) : nullptr;
    used += ceil_div(count * int64_t{sizeof(T)}, 64) * 64;
    return block;
  }
};

// Constructs a Workspace from an arena and the sizes of its arrays: once to measure, once for real.
template <class Workspace, class... Sizes>
REGRAD_INLINE Workspace allocate_in_arena(Scratch slot, const Sizes&... sizes) {
  Arena measure;
  Workspace(measure, sizes...);
  Arena arena{static_cast<char*>(scratch(slot, static_cast<std::size_t>(measure.used)))};
  return Workspace(arena, sizes...);
}

// An operand's matrix for one batch entry; null if the operand is null.
template <class T, class Call>
REGRAD_INLINE T* batch_entry(const Call& call, const AttentionOperand<T>& operand, int64_t batch) {
  if (operand.data == nullptr) return nullptr;
  T* matrix = operand.data;
  for (int d = call.batch_rank - 1; d >= 0; --d) {
    matrix += batch % call.batch_sizes[d] * operand.batch[d];
    batch /= call.batch_sizes[d];
  }
  return matrix;
}

// Rows with any stride. Reading row i prefetches row i + 8: the hardware prefetcher does not detect
// short rows with a large stride.
template <class T>
struct StridedRows {
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

// Checks that all numbers added are finite: 0 x is 0 for those, and NaN otherwise.
template <class T, class Arch>
struct FiniteCheck {
  Vec<T, Arch> zero = Vec<T, Arch>(T(0));
  REGRAD_INLINE void add(Vec<T, Arch> x) { zero = multiply_add(x, Vec<T, Arch>(T(0)), zero); }
  REGRAD_INLINE bool all_finite() const { return sum_lanes(zero) == T(0); }
};

template <class T, class Arch>
bool all_finite(const T* rows, int64_t stride, int64_t count, int64_t columns) {
  FiniteCheck<T, Arch> check;
  for (int64_t i = 0; i < count; ++i, rows += stride) {
    for (int64_t j = 0; j < columns; j += lanes_of<T, Arch>) {
      check.add(load<T, Arch>(rows + j, columns - j));
    }
  }
  return check.all_finite();
}

// destination = factor * source, padded with zeros to destination_stride columns and by
// padding_rows rows. Returns whether all numbers are finite.
template <class T, class Arch>
bool copy_rows(const StridedRows<T>& source, T* destination, int64_t destination_stride,
               int64_t padding_rows, T factor) {
  using V = Vec<T, Arch>;
  constexpr int64_t lanes = lanes_of<T, Arch>;
  const V factors(factor);
  FiniteCheck<T, Arch> check;
  for (int64_t i = 0; i < source.count; ++i, destination += destination_stride) {
    const T* const row = source[i];
    int64_t j = 0;
    for (; j < source.columns; j += lanes) {
      const V x = load<T, Arch>(row + j, source.columns - j) * factors;
      check.add(x);
      x.store_unaligned(destination + j);
    }
    for (; j < destination_stride; j += lanes) V(T(0)).store_unaligned(destination + j);
  }
  for (int64_t i = 0; i < padding_rows * destination_stride; ++i) destination[i] = 0;
  return check.all_finite();
}

// Whether a key may be masked for a query, so that its weight is 0.
template <class T>
REGRAD_INLINE bool has_masked_keys(const AttentionCall<T>& call) {
  return call.causal || call.mask.data != nullptr || call.bias.data != nullptr;
}

// Which pairs of a block of queries and a block of keys the mask lets through.
enum class Visibility { none, some, all };

template <class T, class Arch>
Visibility block_visibility(const AttentionCall<T>& call, const bool* mask, Range queries,
                            Range keys) {
  if (mask == nullptr) return Visibility::all;
  const int64_t rows = call.mask.row == 0 ? 1 : queries.size();
  const int64_t stride = call.mask.column, columns = stride == 0 ? 1 : keys.size();
  int64_t visible = 0;
  for (int64_t i = 0; i < rows; ++i) {
    const bool* row = mask + (queries.begin + i) * call.mask.row + keys.begin * stride;
    int visible_in_row = 0;
    if (stride == 1) {
      for (int64_t j = 0; j < columns; ++j) visible_in_row += row[j] ? 1 : 0;
    } else {
      for (int64_t j = 0; j < columns; ++j) visible_in_row += row[j * stride] ? 1 : 0;
    }
    visible += visible_in_row;
  }
  return visible == 0                ? Visibility::none
         : visible == rows * columns ? Visibility::all
                                     : Visibility::some;
}

// x[j] = value where the mask is false.
template <class T>
REGRAD_INLINE void fill_masked(int64_t count, T* x, const bool* mask, int64_t stride, T value) {
  if (stride == 1) {
    for (int64_t j = 0; j < count; ++j) x[j] = mask[j] ? x[j] : value;
  } else {
    for (int64_t j = 0; j < count; ++j) x[j] = mask[j * stride] ? x[j] : value;
  }
}

// How many keys of a block the causal mask, if any, lets a query attend to.
template <class T>
REGRAD_INLINE int64_t visible_keys(const AttentionCall<T>& call, int64_t query, Range keys) {
  return call.causal ? max(min(query + 1 - keys.begin, keys.size()), 0) : keys.size();
}

}  // namespace regrad::simd

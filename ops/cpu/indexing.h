// Kernels that read or accumulate elements by index. The caller has checked that indices are in
// range. No two threads write the same element, and the summands of an element are added in the
// order of the indices.
#pragma once

#include "ops/cpu/loop.h"

namespace regrad::simd {

template <class Arch>
int64_t bad_index(const char*, int64_t n, const int64_t* index, int64_t size,
                  const int64_t* allowed) {
  for (int64_t i = 0; i < n; ++i) {
    const bool in_range = index[i] >= 0 && index[i] < size;
    if (!in_range && !(allowed != nullptr && index[i] == *allowed)) return i;
  }
  return -1;
}

template <class T, class Arch>
void take_rows(Rows x, int64_t count, T* out, const T* x_data, const int64_t* index) {
  const auto bytes = static_cast<std::size_t>(x.inner) * sizeof(T);
  for_ranges(x.outer * count, x.inner, [&](int64_t begin, int64_t end) {
    int64_t o = begin / count, j = begin - o * count;
    for (int64_t i = begin; i < end; ++i, ++j) {
      if (j == count) {
        j = 0;
        ++o;
      }
      const T* source = x_data + (o * x.n + index[j]) * x.inner;
      if (x.inner == 1) {
        out[i] = *source;
      } else {
        __builtin_memcpy(out + i * x.inner, source, bytes);
      }
    }
  });
}

template <class T, class Arch>
void gather(Rows x, int64_t count, T* out, const T* x_data, const int64_t* index) {
  for_ranges(x.outer * count, x.inner, [&](int64_t begin, int64_t end) {
    int64_t o = begin / count, j = begin - o * count;
    for (int64_t i = begin; i < end; ++i, ++j) {
      if (j == count) {
        j = 0;
        ++o;
      }
      const T* source = x_data + o * x.n * x.inner;
      for (int64_t s = 0; s < x.inner; ++s) {
        out[i * x.inner + s] = source[index[i * x.inner + s] * x.inner + s];
      }
    }
  });
}

template <class T>
REGRAD_INLINE void add_to(T& sum, T value) {
  if constexpr (std::is_floating_point_v<T>) {
    sum += value;
  } else {
    sum = static_cast<T>(static_cast<uint64_t>(sum) + static_cast<uint64_t>(value));
  }
}

// [outer, inner] cut into blocks of columns, a few cache lines wide; a block is written by one
// thread.
struct ColumnBlocks {
  static constexpr int64_t width = 128;
  int64_t inner, blocks;
  REGRAD_INLINE explicit ColumnBlocks(Rows out)
      : inner(out.inner), blocks(ceil_div(out.inner, width)) {}
  REGRAD_INLINE int64_t outer(int64_t i) const { return i / blocks; }
  REGRAD_INLINE int64_t begin(int64_t i) const { return i % blocks * width; }
  REGRAD_INLINE int64_t end(int64_t i) const { return min(begin(i) + width, inner); }
  REGRAD_INLINE int64_t cost(int64_t count) const { return count * min(width, inner); }
};

template <class T, class Arch>
void add_rows(Rows out, int64_t count, T* out_data, const T* g, const int64_t* index) {
  const ColumnBlocks columns(out);
  for_ranges(out.outer * columns.blocks, columns.cost(count), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const int64_t o = columns.outer(r), end_column = columns.end(r);
      for (int64_t i = 0; i < count; ++i) {
        T* destination = out_data + (o * out.n + index[i]) * out.inner;
        const T* source = g + (o * count + i) * out.inner;
        for (int64_t s = columns.begin(r); s < end_column; ++s) add_to(destination[s], source[s]);
      }
    }
  });
}

template <class T, class Arch>
void scatter_add(Rows out, int64_t count, T* out_data, const T* g, const int64_t* index) {
  const ColumnBlocks columns(out);
  for_ranges(out.outer * columns.blocks, columns.cost(count), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const int64_t o = columns.outer(r), end_column = columns.end(r);
      T* destination = out_data + o * out.n * out.inner;
      for (int64_t i = 0; i < count; ++i) {
        const int64_t row = (o * count + i) * out.inner;
        for (int64_t s = columns.begin(r); s < end_column; ++s) {
          add_to(destination[index[row + s] * out.inner + s], g[row + s]);
        }
      }
    }
  });
}

template <class Arch>
void last_index(Rows out, int64_t count, int64_t* last, const int64_t* index) {
  const ColumnBlocks columns(out);
  for_ranges(out.outer * columns.blocks, columns.cost(out.n + count),
             [&](int64_t begin, int64_t end) {
               for (int64_t r = begin; r < end; ++r) {
                 const int64_t first = columns.begin(r), end_column = columns.end(r);
                 int64_t* rows = last + columns.outer(r) * out.n * out.inner;
                 for (int64_t i = 0; i < out.n; ++i) {
                   for (int64_t s = first; s < end_column; ++s) rows[i * out.inner + s] = -1;
                 }
                 const int64_t* row = index + columns.outer(r) * count * out.inner;
                 for (int64_t i = 0; i < count; ++i, row += out.inner) {
                   for (int64_t s = first; s < end_column; ++s) rows[row[s] * out.inner + s] = i;
                 }
               }
             });
}

}  // namespace regrad::simd

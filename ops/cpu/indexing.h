// Elements chosen and added by index. Indices are in range: the caller has checked.
// Threads share the work so that no two of them write one element, and what is added to an element
// is added in the order of the indices.
#pragma once

#include "ops/cpu/loop.h"

namespace regrad::simd {

template <class Arch>
int64_t bad_index(const char*, int64_t n, const int64_t* index, int64_t size,
                  const int64_t* allowed) {
  for (int64_t i = 0; i < n; ++i) {
    const bool inside = index[i] >= 0 && index[i] < size;
    if (!inside && !(allowed != nullptr && index[i] == *allowed)) return i;
  }
  return -1;
}

template <class T, class Arch>
void take_rows(Rows x, int64_t count, T* out, const T* x_data, const int64_t* index) {
  const auto bytes = static_cast<std::size_t>(x.inner) * sizeof(T);
  for_ranges(x.outer * count, x.inner, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const T* from = x_data + (i / count * x.n + index[i % count]) * x.inner;
      if (x.inner == 1) {
        out[i] = *from;
      } else {
        __builtin_memcpy(out + i * x.inner, from, bytes);
      }
    }
  });
}

template <class T, class Arch>
void gather(Rows x, int64_t count, T* out, const T* x_data, const int64_t* index) {
  for_ranges(x.outer * count, x.inner, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const T* from = x_data + i / count * x.n * x.inner;
      for (int64_t s = 0; s < x.inner; ++s) {
        out[i * x.inner + s] = from[index[i * x.inner + s] * x.inner + s];
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

// The columns of each outer part in runs of a few cache lines: what one thread adds to.
struct ColumnRuns {
  static constexpr int64_t width = 128;
  int64_t inner, runs;
  REGRAD_INLINE explicit ColumnRuns(Rows out)
      : inner(out.inner), runs(ceil_div(out.inner, width)) {}
  REGRAD_INLINE int64_t outer(int64_t i) const { return i / runs; }
  REGRAD_INLINE int64_t begin(int64_t i) const { return i % runs * width; }
  REGRAD_INLINE int64_t end(int64_t i) const { return min(begin(i) + width, inner); }
  REGRAD_INLINE int64_t cost(int64_t count) const { return count * min(width, inner); }
};

template <class T, class Arch>
void add_rows(Rows out, int64_t count, T* out_data, const T* g, const int64_t* index) {
  const ColumnRuns run(out);
  for_ranges(out.outer * run.runs, run.cost(count), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const int64_t o = run.outer(r), last = run.end(r);
      for (int64_t i = 0; i < count; ++i) {
        T* to = out_data + (o * out.n + index[i]) * out.inner;
        const T* from = g + (o * count + i) * out.inner;
        for (int64_t s = run.begin(r); s < last; ++s) add_to(to[s], from[s]);
      }
    }
  });
}

template <class T, class Arch>
void scatter_add(Rows out, int64_t count, T* out_data, const T* g, const int64_t* index) {
  const ColumnRuns run(out);
  for_ranges(out.outer * run.runs, run.cost(count), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const int64_t o = run.outer(r), last = run.end(r);
      T* to = out_data + o * out.n * out.inner;
      for (int64_t i = 0; i < count; ++i) {
        const int64_t row = (o * count + i) * out.inner;
        for (int64_t s = run.begin(r); s < last; ++s) {
          add_to(to[index[row + s] * out.inner + s], g[row + s]);
        }
      }
    }
  });
}

}  // namespace regrad::simd

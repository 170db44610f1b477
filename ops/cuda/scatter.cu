// Scatter-add without atomics, so that the summands of an element are added in an order that
// depends on the indices alone. A few rows are added one after the other. More are sorted by index,
// so that those of one element are adjacent, and cut into runs of fixed length: a thread sums one
// column of a run, and a second kernel combines the sums of elements that extend over several runs.
// An index out of range, which the next download reports, is skipped.
#include "ops/cuda/families.h"
#include "ops/cuda/loop.h"
#include "ops/cuda/sort.h"

namespace regrad::gpu {
namespace {

constexpr int64_t max_ordered_rows = 32, max_sorted_columns = 16384, run_length = 32;

template <class T>
__device__ inline T add_elements(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    return a + b;
  } else {
    return static_cast<T>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
  }
}

// ---- rows added one after the other, with a thread for each column

template <class T>
struct AddInOrder {
  T* out;
  const T* g;
  const int64_t* index;
  int64_t rows, count, inner;
  bool is_row_index;  // index[i] is the row of all columns; false: each element has its own index
  Divisor inner_divisor;
  __device__ void operator()(int64_t column) const {
    const int64_t o = inner_divisor.divide(column), s = column - o * inner;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t g_index = (o * count + i) * inner + s;
      const int64_t row = index[is_row_index ? i : g_index];
      if (row < 0 || row >= rows) continue;
      T& element = out[(o * rows + row) * inner + s];
      element = add_elements(element, g[g_index]);
    }
  }
};

template <class T>
void add_in_order(Rows out, int64_t count, bool is_row_index, T* out_data, const T* g,
                  const int64_t* index) {
  for_each(out.outer * out.inner, AddInOrder<T>{out_data, g, index, out.n, count, out.inner,
                                                is_row_index, Divisor(out.inner)});
}

// ---- sorted

struct RowKeys {
  int64_t* keys;
  const int64_t* index;
  int64_t rows;
  __device__ void operator()(int64_t i) const {
    const int64_t row = index[i];
    keys[i] = row < 0 || row >= rows ? rows : row;
  }
};

struct ElementKeys {
  int64_t* keys;
  const int64_t* index;
  int64_t outer, rows, count, inner;
  Divisor inner_divisor, count_divisor;
  __device__ void operator()(int64_t i) const {
    const int64_t row_index = inner_divisor.divide(i), o = count_divisor.divide(row_index);
    const int64_t row = index[i];
    const bool in_range = row >= 0 && row < rows;
    keys[i] =
        (in_range ? (o * rows + row) * inner + (i - row_index * inner) : outer * rows * inner);
  }
};

// Row positions[p] of g is added to row keys[p] of out; keys are sorted.
template <class T>
struct SortedAdditions {
  int64_t outer, rows, count, inner;
  int64_t runs;
  T* out;
  const T* g;
  const int64_t *keys, *positions;
  T *heads, *tails;  // [outer, runs, inner]
  Divisor inner_divisor, runs_divisor;

  __device__ bool continues_at(int64_t p) const {  // the key of p is that of p - 1
    return p > 0 && p < count && keys[p - 1] == keys[p];
  }
  __device__ int64_t run_end(int64_t r) const {
    return (r + 1) * run_length < count ? (r + 1) * run_length : count;
  }
  __device__ void add(int64_t o, int64_t key, int64_t s, T value) const {
    if (key >= rows) return;
    T& element = out[(o * rows + key) * inner + s];
    element = add_elements(element, value);
  }
};

// Sums one column of a run. Sums of elements that lie within the run are added to out. The sum of
// an element that began in an earlier run is stored in heads, that of one that continues in the
// next run in tails.
template <class T>
struct AddRun {
  SortedAdditions<T> work;
  __device__ void operator()(int64_t i) const {
    const int64_t row_index = work.inner_divisor.divide(i), o = work.runs_divisor.divide(row_index);
    const int64_t r = row_index - o * work.runs, s = i - row_index * work.inner;
    const int64_t end = work.run_end(r);
    for (int64_t p = r * run_length; p < end;) {
      const int64_t begin = p, key = work.keys[p];
      T total = T(0);
      do {
        total = add_elements(total, work.g[(o * work.count + work.positions[p]) * work.inner + s]);
        ++p;
      } while (p < end && work.keys[p] == key);
      if (begin == r * run_length && work.continues_at(begin)) {
        work.heads[i] = total;
      } else if (p == end && work.continues_at(end)) {
        work.tails[i] = total;
      } else {
        work.add(o, key, s, total);
      }
    }
  }
};

// Adds the sum of each element that extends over several runs: a tail, and the heads that follow
// it.
template <class T>
struct CombineRuns {
  SortedAdditions<T> work;
  __device__ void operator()(int64_t i) const {
    const int64_t row_index = work.inner_divisor.divide(i), o = work.runs_divisor.divide(row_index);
    const int64_t r = row_index - o * work.runs, s = i - row_index * work.inner;
    const int64_t begin = r * run_length, end = work.run_end(r), key = work.keys[end - 1];
    const bool is_middle = work.keys[begin] == key && work.continues_at(begin);
    if (!work.continues_at(end) || is_middle) return;
    T total = work.tails[i];
    int64_t head_index = i;
    for (int64_t p = end; p < work.count && work.keys[p] == key; p += run_length) {
      head_index += work.inner;
      total = add_elements(total, work.heads[head_index]);
    }
    work.add(o, key, s, total);
  }
};

template <class T>
void add_sorted(Rows out, int64_t count, T* out_data, const T* g, int64_t* keys) {
  const sorting::Sorted sorted(count, out.n, keys);
  const int64_t runs = (count + run_length - 1) / run_length, parts = out.outer * runs * out.inner;
  const Scratch<T> heads(parts), tails(parts);
  const SortedAdditions<T> work{out.outer,
                                out.n,
                                count,
                                out.inner,
                                runs,
                                out_data,
                                g,
                                sorted.keys(),
                                sorted.positions(),
                                heads.data(),
                                tails.data(),
                                Divisor(out.inner),
                                Divisor(runs)};
  for_each(parts, AddRun<T>{work});
  for_each(parts, CombineRuns<T>{work});
}

// ---- the last of the indices that are equal

struct NoIndex {
  int64_t* last;
  __device__ void operator()(int64_t i) const { last[i] = -1; }
};

struct LastIndex {
  int64_t* last;
  const int64_t* index;
  int64_t rows, count, inner;
  Divisor inner_divisor, per_outer_divisor;
  __device__ void operator()(int64_t place) const {
    const int64_t row = index[place];
    if (row < 0 || row >= rows) return;
    const int64_t o = per_outer_divisor.divide(place), line = inner_divisor.divide(place);
    const int64_t i = line - o * count, s = place - line * inner;
    // Of integers: the greatest wins in whatever order the threads come.
    atomicMax(reinterpret_cast<long long*>(last + (o * rows + row) * inner + s),
              static_cast<long long>(i));
  }
};

}  // namespace

template <class T>
void add_rows(Rows out, int64_t count, T* out_data, const T* g, const int64_t* index) {
  if (out.outer * out.n * out.inner * count == 0) return;
  if (count <= max_ordered_rows) return add_in_order(out, count, true, out_data, g, index);
  const Scratch<int64_t> keys(count);
  for_each(count, RowKeys{keys.data(), index, out.n});
  add_sorted(out, count, out_data, g, keys.data());
}

template <class T>
void scatter_add(Rows out, int64_t count, T* out_data, const T* g, const int64_t* index) {
  if (out.outer * out.n * out.inner * count == 0) return;
  if (count <= max_ordered_rows || out.outer * out.inner >= max_sorted_columns) {
    return add_in_order(out, count, false, out_data, g, index);
  }
  const int64_t total_count = out.outer * count * out.inner;
  const Scratch<int64_t> keys(total_count);
  for_each(total_count, ElementKeys{keys.data(), index, out.outer, out.n, count, out.inner,
                                    Divisor(out.inner), Divisor(count)});
  add_sorted({1, out.outer * out.n * out.inner, 1}, total_count, out_data, g, keys.data());
}

void last_index(Rows out, int64_t count, int64_t* last, const int64_t* index) {
  for_each(out.outer * out.n * out.inner, NoIndex{last});
  if (out.outer * count * out.inner == 0) return;
  const Divisor inner(out.inner), per_outer(count * out.inner);
  for_each(out.outer * count * out.inner,
           LastIndex{last, index, out.n, count, out.inner, inner, per_outer});
}

template <class T>
IndexKernels<T> index_kernels() {
  return {
      .add_rows = add_rows<T>,
      .scatter_add = scatter_add<T>,
  };
}

template IndexKernels<float> index_kernels();
template IndexKernels<double> index_kernels();
template IndexKernels<int64_t> index_kernels();

}  // namespace regrad::gpu

// Elements added where an index says, without atomic additions: what is added to one element is
// added in an order that depends on the indices alone. A few rows are added one after the other.
// More are sorted by their index, so that those of one element stand side by side, and cut into
// runs: a thread adds up its column of a run, and those that reach into further runs are joined.
// An index out of range, which the next download reports, adds nothing.
#include "ops/cuda/families.h"
#include "ops/cuda/loop.h"
#include "ops/cuda/sort.h"

namespace regrad::gpu {
namespace {

constexpr int64_t few_rows = 32, many_columns = 16384, run = 32;

template <class T>
__device__ inline T sum_of(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    return a + b;
  } else {
    return static_cast<T>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
  }
}

// ---- one after the other, each column by its own thread

template <class T>
struct AddInOrder {
  T* out;
  const T* g;
  const int64_t* index;
  int64_t rows, count, inner;
  bool one_index;  // for all columns, or one for each
  Divisor by_inner;
  __device__ void operator()(int64_t at) const {
    const int64_t o = by_inner.divide(at), s = at - o * inner;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t from = (o * count + i) * inner + s;
      const int64_t row = index[one_index ? i : from];
      if (row < 0 || row >= rows) continue;
      T& to = out[(o * rows + row) * inner + s];
      to = sum_of(to, g[from]);
    }
  }
};

template <class T>
void add_in_order(Rows out, int64_t count, bool one_index, T* out_data, const T* g,
                  const int64_t* index) {
  for_each(out.outer * out.inner, AddInOrder<T>{out_data, g, index, out.n, count, out.inner,
                                                one_index, Divisor(out.inner)});
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
  Divisor by_inner, by_count;
  __device__ void operator()(int64_t at) const {
    const int64_t line = by_inner.divide(at), o = by_count.divide(line);
    const int64_t row = index[at];
    const bool in_range = row >= 0 && row < rows;
    keys[at] = (in_range ? (o * rows + row) * inner + (at - line * inner) : outer * rows * inner);
  }
};

// Row positions[p] of g goes to row keys[p] of out.
template <class T>
struct Additions {
  int64_t outer, rows, count, inner;
  int64_t runs;
  T* out;
  const T* g;
  const int64_t *keys, *positions;
  T *heads, *tails;  // [outer, runs, inner]
  Divisor by_inner, by_runs;

  __device__ bool continues(int64_t p) const {  // at p what stood at p - 1
    return p > 0 && p < count && keys[p - 1] == keys[p];
  }
  __device__ int64_t end_of(int64_t r) const {
    return (r + 1) * run < count ? (r + 1) * run : count;
  }
  __device__ void add(int64_t o, int64_t key, int64_t s, T value) const {
    if (key >= rows) return;
    T& to = out[(o * rows + key) * inner + s];
    to = sum_of(to, value);
  }
};

// What a run adds to one element: all there is, or a part of it, its head where it began in an
// earlier run, its tail where it goes on in the next.
template <class T>
struct AddRun {
  Additions<T> of;
  __device__ void operator()(int64_t at) const {
    const int64_t line = of.by_inner.divide(at), o = of.by_runs.divide(line);
    const int64_t r = line - o * of.runs, s = at - line * of.inner;
    const int64_t end = of.end_of(r);
    for (int64_t p = r * run; p < end;) {
      const int64_t begin = p, key = of.keys[p];
      T total = T(0);
      do {
        total = sum_of(total, of.g[(o * of.count + of.positions[p]) * of.inner + s]);
        ++p;
      } while (p < end && of.keys[p] == key);
      if (begin == r * run && of.continues(begin)) {
        of.heads[at] = total;
      } else if (p == end && of.continues(end)) {
        of.tails[at] = total;
      } else {
        of.add(o, key, s, total);
      }
    }
  }
};

template <class T>
struct JoinRuns {
  Additions<T> of;
  __device__ void operator()(int64_t at) const {
    const int64_t line = of.by_inner.divide(at), o = of.by_runs.divide(line);
    const int64_t r = line - o * of.runs, s = at - line * of.inner;
    const int64_t begin = r * run, end = of.end_of(r), key = of.keys[end - 1];
    const bool began_before = of.keys[begin] == key && of.continues(begin);
    if (!of.continues(end) || began_before) return;
    T total = of.tails[at];
    int64_t next = at;
    for (int64_t p = end; p < of.count && of.keys[p] == key; p += run) {
      next += of.inner;
      total = sum_of(total, of.heads[next]);
    }
    of.add(o, key, s, total);
  }
};

template <class T>
void add_sorted(Rows out, int64_t count, T* out_data, const T* g, int64_t* keys) {
  const sorting::Sorted sorted(count, out.n, keys);
  const int64_t runs = (count + run - 1) / run, parts = out.outer * runs * out.inner;
  const Scratch<T> heads(parts), tails(parts);
  const Additions<T> of{out.outer,
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
  for_each(parts, AddRun<T>{of});
  for_each(parts, JoinRuns<T>{of});
}

}  // namespace

template <class T>
void add_rows(Rows out, int64_t count, T* out_data, const T* g, const int64_t* index) {
  if (out.outer * out.n * out.inner * count == 0) return;
  if (count <= few_rows) return add_in_order(out, count, true, out_data, g, index);
  const Scratch<int64_t> keys(count);
  for_each(count, RowKeys{keys.data(), index, out.n});
  add_sorted(out, count, out_data, g, keys.data());
}

template <class T>
void scatter_add(Rows out, int64_t count, T* out_data, const T* g, const int64_t* index) {
  if (out.outer * out.n * out.inner * count == 0) return;
  if (count <= few_rows || out.outer * out.inner >= many_columns) {
    return add_in_order(out, count, false, out_data, g, index);
  }
  const int64_t all = out.outer * count * out.inner;
  const Scratch<int64_t> keys(all);
  for_each(all, ElementKeys{keys.data(), index, out.outer, out.n, count, out.inner,
                            Divisor(out.inner), Divisor(count)});
  add_sorted({1, out.outer * out.n * out.inner, 1}, all, out_data, g, keys.data());
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

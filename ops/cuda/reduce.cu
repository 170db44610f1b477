// Sums, extremes and their positions along n. Long rows are cut into parts by their sizes alone,
// which a second pass combines, so that the result has the same bits on every GPU.
#include "ops/cuda/device.h"
#include "ops/cuda/families.h"
#include "ops/cuda/slice.h"
#include "ops/cuda/reducers.h"

namespace regrad::gpu {
namespace {

constexpr int64_t enough_blocks = 2048;  // to fill any GPU
constexpr int unrolled = 4;

inline int64_t parts_of(int64_t size, int64_t each) { return (size + each - 1) / each; }

// Work along [outer, n, inner], where n is cut into `parts` of `part` elements.
struct Cut {
  int64_t outer, n, inner;
  int64_t parts, part;
  Divisor by_parts;
};

Cut cut(Rows rows, int64_t parts, int64_t multiple) {
  const int64_t part = parts_of(parts_of(rows.n, std::max<int64_t>(parts, 1)), multiple) * multiple;
  parts = parts_of(rows.n, part);
  return {rows.outer, rows.n, rows.inner, parts, part, Divisor(parts)};
}

// ---- rows that lie side by side: 1 to 32 lanes each, or a block

template <class R, int width>
__device__ typename R::Total reduce_run(const typename R::Element* x, int64_t begin, int64_t end,
                                        int lane, int lanes) {
  using Group = Pack<typename R::Element, width>;
  typename R::Total total = R::none();
  const int64_t step = static_cast<int64_t>(lanes) * width;
  int64_t i = begin + static_cast<int64_t>(lane) * width;
  for (; i + (unrolled - 1) * step < end; i += unrolled * step) {
    Group groups[unrolled];
#pragma unroll
    for (int k = 0; k < unrolled; ++k) {
      groups[k] = *reinterpret_cast<const Group*>(x + i + k * step);
    }
#pragma unroll
    for (int k = 0; k < unrolled; ++k) {
      total = R::combine(total, R::of(groups[k].values, i + k * step, 1));
    }
  }
  for (; i < end; i += step) {
    total = R::combine(total, R::of(reinterpret_cast<const Group*>(x + i)->values, i, 1));
  }
  return total;
}

template <class R, int width>
__global__ void rows_kernel(Cut cut, int lanes, typename R::Result* out,
                            const typename R::Element* x) {
  __shared__ typename R::Total totals[block_threads / 32];
  const int lane = static_cast<int>(threadIdx.x) % lanes;
  const int at_once = static_cast<int>(blockDim.x) / lanes;
  const int64_t jobs = cut.outer * cut.parts;
  for (int64_t first = static_cast<int64_t>(blockIdx.x) * at_once; first < jobs;
       first += static_cast<int64_t>(gridDim.x) * at_once) {
    const int64_t job = first + static_cast<int>(threadIdx.x) / lanes;
    typename R::Total total = R::none();
    if (job < jobs) {
      const int64_t row = cut.by_parts.divide(job);
      const int64_t begin = (job - row * cut.parts) * cut.part;
      const int64_t end = begin + cut.part < cut.n ? begin + cut.part : cut.n;
      total = reduce_run<R, width>(x + row * cut.n, begin, end, lane, lanes);
    }
    for (int half = (lanes < 32 ? lanes : 32) / 2; half > 0; half /= 2) {
      total = R::combine(total, R::from_lane(total, half));
    }
    if (lanes > 32) {
      if (threadIdx.x % 32 == 0) totals[threadIdx.x / 32] = total;
      __syncthreads();
      if (threadIdx.x == 0) {
        for (int w = 1; w < block_threads / 32; ++w) total = R::combine(total, totals[w]);
      }
      __syncthreads();
    }
    if (lane == 0 && job < jobs) out[job] = R::result(total);
  }
}

template <class R, int width>
void launch_rows_kernel(const Cut& cut, typename R::Result* out, const typename R::Element* x) {
  const int64_t each = std::min(cut.part, cut.n);
  int lanes = 1;
  while (lanes < 32 && lanes * unrolled * width < each) lanes *= 2;
  if (each >= unrolled * width * block_threads) lanes = block_threads;
  const int64_t jobs = cut.outer * cut.parts;
  const int threads = threads_for(jobs * lanes);
  const int64_t blocks = parts_of(jobs, threads / lanes);
  launch(rows_kernel<R, width>, std::min<int64_t>(blocks, INT32_MAX), threads, cut, lanes, out, x);
}

template <class R>
void run_rows(const Cut& cut, typename R::Result* out, const typename R::Element* x) {
  constexpr int width = 16 / sizeof(typename R::Element);
  if constexpr (width > 1) {
    if (cut.n % width == 0 && is_aligned(x, 16)) return launch_rows_kernel<R, width>(cut, out, x);
  }
  launch_rows_kernel<R, 1>(cut, out, x);
}

template <class R>
void reduce_rows(Rows rows, typename R::Result* out, const typename R::Element* x) {
  constexpr int64_t least = 8192;  // elements of a part
  const int64_t parts = std::min(parts_of(rows.n, least), parts_of(enough_blocks, rows.outer));
  const Cut first = cut(rows, parts, 1024);
  if (first.parts == 1) return run_rows<R>(first, out, x);
  const Scratch<typename R::Total> totals(rows.outer * first.parts);
  run_rows<WithTotals<R>>(first, totals.data(), x);
  const Cut second = cut({rows.outer, first.parts, 1}, 1, 1);
  launch_rows_kernel<CombineTotals<R>, 1>(second, out, totals.data());
}

// ---- columns: a block takes some that lie side by side, and every so many-th row of them at once

template <class R>
__global__ void columns_kernel(Cut cut, int columns, Divisor by_blocks, int64_t column_blocks,
                               typename R::Result* out, const typename R::Element* x) {
  using Element = typename R::Element;
  __shared__ typename R::Total totals[block_threads];
  const int lanes = block_threads / columns, thread = static_cast<int>(threadIdx.x);
  const int lane = thread / columns;
  const int64_t jobs = cut.outer * cut.parts * column_blocks;
  for (int64_t job = blockIdx.x; job < jobs; job += gridDim.x) {
    const int64_t run = by_blocks.divide(job), outer = cut.by_parts.divide(run);
    const int64_t column = (job - run * column_blocks) * columns + thread % columns;
    const int64_t begin = (run - outer * cut.parts) * cut.part;
    const int64_t end = begin + cut.part < cut.n ? begin + cut.part : cut.n;
    typename R::Total total = R::none();
    if (column < cut.inner) {
      const Element* from = x + outer * cut.n * cut.inner + column;
      int64_t i = begin + lane;
      for (; i + 3 * lanes < end; i += 4 * lanes) {
        Element four[4];
#pragma unroll
        for (int k = 0; k < 4; ++k) four[k] = from[(i + k * lanes) * cut.inner];
        total = R::combine(total, R::of(four, i, lanes));
      }
      for (; i < end; i += lanes) {
        const Element one[1] = {from[i * cut.inner]};
        total = R::combine(total, R::of(one, i, lanes));
      }
    }
    totals[thread] = total;
    __syncthreads();
    for (int half = lanes / 2; half > 0; half /= 2) {
      if (lane < half) totals[thread] = R::combine(totals[thread], totals[thread + half * columns]);
      __syncthreads();
    }
    if (lane == 0 && column < cut.inner) out[run * cut.inner + column] = R::result(totals[thread]);
    __syncthreads();
  }
}

template <class R>
void run_columns(const Cut& cut, typename R::Result* out, const typename R::Element* x) {
  const int columns = columns_per_block(cut.inner);
  const int64_t blocks = parts_of(cut.inner, columns);
  launch(columns_kernel<R>, std::min<int64_t>(cut.outer * cut.parts * blocks, INT32_MAX),
         block_threads, cut, columns, Divisor(blocks), blocks, out, x);
}

template <class R>
void reduce_columns(Rows rows, typename R::Result* out, const typename R::Element* x) {
  const int columns = columns_per_block(rows.inner);
  const int64_t blocks = rows.outer * parts_of(rows.inner, columns);
  const int64_t least = block_threads / columns * 16;  // rows of a part
  const Cut first =
      cut(rows, std::min(parts_of(rows.n, least), parts_of(enough_blocks, blocks)), 1);
  if (first.parts == 1) return run_columns<R>(first, out, x);
  const Scratch<typename R::Total> totals(rows.outer * first.parts * rows.inner);
  run_columns<WithTotals<R>>(first, totals.data(), x);
  run_columns<CombineTotals<R>>(cut({rows.outer, first.parts, rows.inner}, 1, 1), out,
                                totals.data());
}

template <class R>
void reduce_with(Rows rows, typename R::Result* out, const typename R::Element* x) {
  if (rows.inner == 1) return reduce_rows<R>(rows, out, x);
  reduce_columns<R>(rows, out, x);
}

template <class T>
struct Zero {
  __device__ T operator()() const { return T(0); }
};

template <class R, class T>
void reduce(Rows rows, T* out, const T* x) {
  if (rows.outer * rows.inner == 0) return;
  if (rows.n == 0) return run_loop(flat_loop(rows.outer * rows.inner), Zero<T>{}, out);
  reduce_with<R>(rows, out, x);
}

template <class T>
void arg_reduce(Rows rows, int sign, int64_t* out, const T* x) {
  if (rows.outer * rows.inner * rows.n == 0) return;
  if (sign > 0) return reduce_with<ArgExtremumOf<1, T>>(rows, out, x);
  reduce_with<ArgExtremumOf<-1, T>>(rows, out, x);
}

}  // namespace

template <class T>
ReduceKernels<T> reduce_kernels() {
  return {
      .apply = {reduce<SumOf<T>, T>, reduce<ExtremumOf<1, T>, T>, reduce<ExtremumOf<-1, T>, T>},
      .arg_reduce = arg_reduce<T>,
  };
}

template ReduceKernels<float> reduce_kernels<float>();
template ReduceKernels<double> reduce_kernels<double>();
template ReduceKernels<int64_t> reduce_kernels<int64_t>();

}  // namespace regrad::gpu

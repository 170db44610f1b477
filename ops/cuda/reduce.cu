// Sums, maxima, minima and their indices along n. Long rows are cut into parts, which a second pass
// combines; the cut depends on sizes alone, so that the result has the same bits on every GPU.
#include "ops/cuda/device.h"
#include "ops/cuda/families.h"
#include "ops/cuda/reducers.h"
#include "ops/cuda/slice.h"

namespace regrad::gpu {
namespace {

constexpr int64_t target_blocks = 2048;  // enough to occupy any GPU
constexpr int unrolled = 4;

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// A reduction of [outer, n, inner] along n, which is cut into `parts` of part_size elements.
struct Cut {
  int64_t outer, n, inner;
  int64_t parts, part_size;
  Divisor parts_divisor;
};

Cut cut(Rows rows, int64_t parts, int64_t multiple) {
  const int64_t part_size =
      ceil_div(ceil_div(rows.n, std::max<int64_t>(parts, 1)), multiple) * multiple;
  parts = ceil_div(rows.n, part_size);
  return {rows.outer, rows.n, rows.inner, parts, part_size, Divisor(parts)};
}

// ---- contiguous rows: each is reduced by 1 to 32 lanes of a warp, or by a block

template <class R, int width>
__device__ typename R::Total reduce_run(const typename R::Element* x, int64_t begin, int64_t end,
                                        int lane, int lanes) {
  using Vector = Pack<typename R::Element, width>;
  typename R::Total total = R::identity();
  const int64_t step = static_cast<int64_t>(lanes) * width;
  int64_t i = begin + static_cast<int64_t>(lane) * width;
  for (; i + (unrolled - 1) * step < end; i += unrolled * step) {
    Vector vectors[unrolled];
#pragma unroll
    for (int k = 0; k < unrolled; ++k) {
      vectors[k] = *reinterpret_cast<const Vector*>(x + i + k * step);
    }
#pragma unroll
    for (int k = 0; k < unrolled; ++k) {
      total = R::combine(total, R::reduce_elements(vectors[k].values, i + k * step, 1));
    }
  }
  for (; i < end; i += step) {
    total =
        R::combine(total, R::reduce_elements(reinterpret_cast<const Vector*>(x + i)->values, i, 1));
  }
  return total;
}

template <class R, int width>
__global__ void rows_kernel(Cut cut, int lanes, typename R::Result* out,
                            const typename R::Element* x) {
  __shared__ typename R::Total totals[block_threads / 32];
  const int lane = static_cast<int>(threadIdx.x) % lanes;
  const int rows_per_block = static_cast<int>(blockDim.x) / lanes;
  const int64_t tasks = cut.outer * cut.parts;
  for (int64_t first = static_cast<int64_t>(blockIdx.x) * rows_per_block; first < tasks;
       first += static_cast<int64_t>(gridDim.x) * rows_per_block) {
    const int64_t task = first + static_cast<int>(threadIdx.x) / lanes;
    typename R::Total total = R::identity();
    if (task < tasks) {
      const int64_t row = cut.parts_divisor.divide(task);
      const int64_t begin = (task - row * cut.parts) * cut.part_size;
      const int64_t end = begin + cut.part_size < cut.n ? begin + cut.part_size : cut.n;
      total = reduce_run<R, width>(x + row * cut.n, begin, end, lane, lanes);
    }
    for (int half = (lanes < 32 ? lanes : 32) / 2; half > 0; half /= 2) {
      total = R::combine(total, R::shuffle_xor(total, half));
    }
    if (lanes > 32) {
      if (threadIdx.x % 32 == 0) totals[threadIdx.x / 32] = total;
      __syncthreads();
      if (threadIdx.x == 0) {
        for (int w = 1; w < block_threads / 32; ++w) total = R::combine(total, totals[w]);
      }
      __syncthreads();
    }
    if (lane == 0 && task < tasks) out[task] = R::result(total);
  }
}

template <class R, int width>
void launch_rows_kernel(const Cut& cut, typename R::Result* out, const typename R::Element* x) {
  const int64_t elements = std::min(cut.part_size, cut.n);
  int lanes = 1;
  while (lanes < 32 && lanes * unrolled * width < elements) lanes *= 2;
  if (elements >= unrolled * width * block_threads) lanes = block_threads;
  const int64_t tasks = cut.outer * cut.parts;
  const int threads = threads_for(tasks * lanes);
  const int64_t blocks = ceil_div(tasks, threads / lanes);
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
  constexpr int64_t min_part = 8192;  // elements of a part
  const int64_t parts = std::min(ceil_div(rows.n, min_part), ceil_div(target_blocks, rows.outer));
  const Cut first = cut(rows, parts, 1024);
  if (first.parts == 1) return run_rows<R>(first, out, x);
  const Scratch<typename R::Total> totals(rows.outer * first.parts);
  run_rows<WithTotals<R>>(first, totals.data(), x);
  const Cut second = cut({rows.outer, first.parts, 1}, 1, 1);
  launch_rows_kernel<CombineTotals<R>, 1>(second, out, totals.data());
}

// ---- columns: a block reduces adjacent columns; its threads divide their rows among them, with a
// stride

template <class R>
__global__ void columns_kernel(Cut cut, int columns, Divisor blocks_divisor, int64_t column_blocks,
                               typename R::Result* out, const typename R::Element* x) {
  using Element = typename R::Element;
  __shared__ typename R::Total totals[block_threads];
  const int lanes = block_threads / columns, thread = static_cast<int>(threadIdx.x);
  const int lane = thread / columns;
  const int64_t tasks = cut.outer * cut.parts * column_blocks;
  for (int64_t task = blockIdx.x; task < tasks; task += gridDim.x) {
    const int64_t piece = blocks_divisor.divide(task), outer = cut.parts_divisor.divide(piece);
    const int64_t column = (task - piece * column_blocks) * columns + thread % columns;
    const int64_t begin = (piece - outer * cut.parts) * cut.part_size;
    const int64_t end = begin + cut.part_size < cut.n ? begin + cut.part_size : cut.n;
    typename R::Total total = R::identity();
    if (column < cut.inner) {
      const Element* column_x = x + outer * cut.n * cut.inner + column;
      int64_t i = begin + lane;
      for (; i + 3 * lanes < end; i += 4 * lanes) {
        Element values[4];
#pragma unroll
        for (int k = 0; k < 4; ++k) values[k] = column_x[(i + k * lanes) * cut.inner];
        total = R::combine(total, R::reduce_elements(values, i, lanes));
      }
      for (; i < end; i += lanes) {
        const Element value[1] = {column_x[i * cut.inner]};
        total = R::combine(total, R::reduce_elements(value, i, lanes));
      }
    }
    totals[thread] = total;
    __syncthreads();
    for (int half = lanes / 2; half > 0; half /= 2) {
      if (lane < half) totals[thread] = R::combine(totals[thread], totals[thread + half * columns]);
      __syncthreads();
    }
    if (lane == 0 && column < cut.inner)
      out[piece * cut.inner + column] = R::result(totals[thread]);
    __syncthreads();
  }
}

template <class R>
void run_columns(const Cut& cut, typename R::Result* out, const typename R::Element* x) {
  const int columns = columns_per_block(cut.inner);
  const int64_t blocks = ceil_div(cut.inner, columns);
  launch(columns_kernel<R>, std::min<int64_t>(cut.outer * cut.parts * blocks, INT32_MAX),
         block_threads, cut, columns, Divisor(blocks), blocks, out, x);
}

template <class R>
void reduce_columns(Rows rows, typename R::Result* out, const typename R::Element* x) {
  const int columns = columns_per_block(rows.inner);
  const int64_t blocks = rows.outer * ceil_div(rows.inner, columns);
  const int64_t min_part = block_threads / columns * 16;  // rows of a part
  const Cut first =
      cut(rows, std::min(ceil_div(rows.n, min_part), ceil_div(target_blocks, blocks)), 1);
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
struct Constant {
  T value;
  __device__ T operator()() const { return value; }
};

template <class R, class T>
void reduce(Rows rows, T* out, const T* x) {
  if (rows.outer * rows.inner == 0) return;
  constexpr T of_nothing = std::is_same_v<R, ProductReducer<T>> ? T(1) : T(0);
  if (rows.n == 0) {
    return run_loop(flat_loop(rows.outer * rows.inner), Constant<T>{of_nothing}, out);
  }
  reduce_with<R>(rows, out, x);
}

template <class T>
void arg_reduce(Rows rows, int sign, int64_t* out, const T* x) {
  if (rows.outer * rows.inner * rows.n == 0) return;
  if (sign > 0) return reduce_with<ArgExtremumReducer<1, T>>(rows, out, x);
  reduce_with<ArgExtremumReducer<-1, T>>(rows, out, x);
}

}  // namespace

template <class T>
ReduceKernels<T> reduce_kernels() {
  return {
      .apply = {reduce<SumReducer<T>, T>, reduce<ExtremumReducer<1, T>, T>,
                reduce<ExtremumReducer<-1, T>, T>, reduce<ProductReducer<T>, T>},
      .arg_reduce = arg_reduce<T>,
  };
}

template ReduceKernels<float> reduce_kernels<float>();
template ReduceKernels<double> reduce_kernels<double>();
template ReduceKernels<int64_t> reduce_kernels<int64_t>();

}  // namespace regrad::gpu

// Drives a pointwise Loop on the GPU: out = body(inputs...) for every element.
// Threads take groups of `width` neighbours along the last dimension, 16 bytes of the widest
// operand, where every operand has them side by side in aligned memory or repeats one element;
// elsewhere single ones. Only loops of more than one dimension divide, by multiplication.
#pragma once

#include <tuple>
#include <utility>

#include "ops/cuda/launch.h"
#include "ops/kernels/table.h"

namespace regrad::gpu {

// x / divisor for 0 <= x < 2^31 by a product and a shift (Granlund and Montgomery, "Division by
// invariant integers using multiplication", 1994); beyond that, plainly.
class Divisor {
 public:
  Divisor() = default;
  explicit Divisor(int64_t divisor) : divisor_(divisor) {
    if (divisor <= 0 || divisor > INT32_MAX) return;
    while ((int64_t{1} << shift_) < divisor) ++shift_;
    factor_ =
        static_cast<uint32_t>((((uint64_t{1} << shift_) - static_cast<uint64_t>(divisor)) << 32) /
                                  static_cast<uint64_t>(divisor) +
                              1);
  }
  __host__ __device__ int64_t divide(int64_t x) const {
    if (x > INT32_MAX || factor_ == 0) return x / divisor_;
    const auto high = static_cast<uint32_t>(static_cast<uint64_t>(x) * factor_ >> 32);
    return static_cast<int64_t>((high + static_cast<uint32_t>(x)) >> shift_);
  }

 private:
  int64_t divisor_ = 1;
  uint32_t factor_ = 0;
  int shift_ = 0;
};

// Neighbours that are read or written at once.
template <class T, int width>
struct alignas(sizeof(T) * width) Pack {
  T values[width];
};

inline bool is_aligned(const void* pointer, int64_t bytes) {
  return reinterpret_cast<uintptr_t>(pointer) % static_cast<uintptr_t>(bytes) == 0;
}

// A loop as the kernel sees it: positions count groups.
template <int operands>
struct Grid {
  int rank;
  int64_t groups;  // whole ones
  int64_t rest;    // single elements behind them, in a loop of one dimension
  Divisor sizes[8];
  int64_t size[8];
  int64_t strides[operands][8];
};

// Where each operand's elements of group g begin.
template <int operands>
__device__ inline void find(const Grid<operands>& grid, int64_t g, int width,
                            int64_t (&offset)[operands]) {
  for (int k = 0; k < operands; ++k) offset[k] = 0;
  for (int d = grid.rank - 1; d > 0; --d) {
    const int64_t rest = grid.sizes[d].divide(g);
    const int64_t index = (g - rest * grid.size[d]) * (d == grid.rank - 1 ? width : 1);
    for (int k = 0; k < operands; ++k) offset[k] += index * grid.strides[k][d];
    g = rest;
  }
  const int64_t index = grid.rank == 1 ? g * width : g;
  for (int k = 0; k < operands; ++k) offset[k] += index * grid.strides[k][0];
}

template <class T, int width>
__device__ inline Pack<T, width> load_pack(const T* from, int64_t stride) {
  if constexpr (width == 1) {
    return {*from};
  } else {
    if (stride == 1) return *reinterpret_cast<const Pack<T, width>*>(from);
    Pack<T, width> group;
    for (int i = 0; i < width; ++i) group.values[i] = *from;
    return group;
  }
}

template <class Out, int width, class Body, class... In>
__device__ inline Pack<Out, width> apply_pack(const Body& body, const Pack<In, width>&... x) {
  Pack<Out, width> result;
#pragma unroll
  for (int i = 0; i < width; ++i) result.values[i] = body(x.values[i]...);
  return result;
}

// Loops of one dimension. A thread's next group is on its way while it works on one: an operand
// that is also the result is read where nobody else writes.
template <int width, class Body, class Out, class... In, std::size_t... input>
__device__ inline void run_flat(std::index_sequence<input...>, const Grid<1 + sizeof...(In)>& grid,
                                const Body& body, Out* out, const In*... in) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  const int64_t first = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  const auto read = [&](int64_t g) {
    return std::tuple<Pack<In, width>...>(load_pack<In, width>(
        in + g * width * grid.strides[input + 1][0], grid.strides[input + 1][0])...);
  };
  const auto write = [&](int64_t g, const std::tuple<Pack<In, width>...>& x) {
    *reinterpret_cast<Pack<Out, width>*>(out + g * width * grid.strides[0][0]) =
        apply_pack<Out, width>(body, std::get<input>(x)...);
  };
  for (int64_t g = first; g < grid.groups; g += 2 * step) {
    const bool has_next = g + step < grid.groups;
    const auto one = read(g), next = read(has_next ? g + step : g);
    write(g, one);
    if (has_next) write(g + step, next);
  }
  if (first < grid.rest) {
    const int64_t i = grid.groups * width + first;
    out[i * grid.strides[0][0]] = body(in[i * grid.strides[input + 1][0]]...);
  }
}

template <int width, class Body, class Out, class... In, std::size_t... input>
__device__ inline void run_strided(std::index_sequence<input...>,
                                   const Grid<1 + sizeof...(In)>& grid, const Body& body, Out* out,
                                   const In*... in) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  const int64_t first = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  [[maybe_unused]] const int last = grid.rank - 1;
  for (int64_t g = first; g < grid.groups; g += step) {
    int64_t offset[1 + sizeof...(In)];
    find(grid, g, width, offset);
    *reinterpret_cast<Pack<Out, width>*>(out + offset[0]) = apply_pack<Out, width>(
        body, load_pack<In, width>(in + offset[input + 1], grid.strides[input + 1][last])...);
  }
}

template <int width, class Body, class Out, class... In>
__global__ void pointwise_kernel(Grid<1 + sizeof...(In)> grid, Body body, Out* out,
                                 const In*... in) {
  constexpr std::index_sequence_for<In...> inputs;
  if (grid.rank == 1) return run_flat<width>(inputs, grid, body, out, in...);
  run_strided<width>(inputs, grid, body, out, in...);
}

// Whether groups of `width` neighbours serve the loop's operand k, whose elements have `bytes`.
inline bool packs_fit(const Loop& loop, int k, int64_t width, const void* data, int64_t bytes) {
  const int last = loop.rank - 1;
  const int64_t along = loop.strides[k][last];
  if (k > 0 && along == 0) return true;
  if (along != 1 || !is_aligned(data, width * bytes)) return false;
  for (int d = 0; d < last; ++d) {
    if (loop.strides[k][d] % width != 0) return false;
  }
  return last == 0 || loop.sizes[last] % width == 0;
}

template <int operands>
Grid<operands> loop_layout_of(const Loop& loop, int64_t width) {
  Grid<operands> grid{};
  grid.rank = loop.rank;
  const int last = loop.rank - 1;
  int64_t outer = 1;
  for (int d = 0; d < loop.rank; ++d) {
    grid.size[d] = d == last ? loop.sizes[d] / width : loop.sizes[d];
    grid.sizes[d] = Divisor(grid.size[d]);
    outer *= grid.size[d];
    for (int k = 0; k < operands; ++k) grid.strides[k][d] = loop.strides[k][d];
  }
  grid.groups = outer;
  grid.rest = last == 0 ? loop.sizes[0] % width : 0;
  return grid;
}

template <int width, class Body, class Out, class... In>
void launch_loop(const Loop& loop, const Body& body, Out* out, const In*... in) {
  const auto grid = loop_layout_of<1 + sizeof...(In)>(loop, width);
  constexpr int64_t plenty = 1 << 18;  // groups: enough to give each thread two
  const int64_t items = std::max(grid.groups, grid.rest);
  const int threads = threads_for(items);
  const int64_t each = threads * (grid.rank == 1 && items >= plenty ? 2 : 1);
  launch(pointwise_kernel<width, Body, Out, In...>, std::min((items + each - 1) / each, max_blocks),
         threads, grid, body, out, in...);
}

// A Body is a struct with Out operator()(In...) const on the device.
template <class Body, class Out, class... In>
void run_loop(Loop loop, const Body& body, Out* out, const In*... in) {
  if (loop.numel() == 0) return;
  if (loop.rank == 0) {
    loop.rank = 1;
    loop.sizes[0] = 1;
    for (auto& strides : loop.strides) strides[0] = 1;
  }
  constexpr std::size_t widest = std::max({sizeof(Out), sizeof(In)...});
  constexpr int width = static_cast<int>(16 / widest);
  int k = 1;
  bool fits = packs_fit(loop, 0, width, out, sizeof(Out));
  ((fits = packs_fit(loop, k++, width, in, sizeof(In)) && fits), ...);
  if (fits) return launch_loop<width>(loop, body, out, in...);
  launch_loop<1>(loop, body, out, in...);
}

// One loop over n elements that lie side by side in every operand.
inline Loop flat_loop(int64_t n) {
  Loop loop;
  loop.rank = 1;
  loop.sizes[0] = n;
  for (auto& strides : loop.strides) strides[0] = 1;
  return loop;
}

}  // namespace regrad::gpu

// Drives a pointwise Loop on the GPU: out = body(inputs...) for every element.
// A thread processes packs of `width` adjacent elements of the last dimension (16 bytes of the
// widest operand) if in every operand these are contiguous and aligned, or broadcast; otherwise
// single elements. Loops of more than one dimension divide indices, which is done by
// multiplication.
#pragma once

#include <tuple>
#include <utility>

#include "ops/cuda/launch.h"
#include "ops/kernels/table.h"

namespace regrad::gpu {

// x / divisor by a multiplication and a shift for 0 <= x < 2^31 (Granlund and Montgomery, "Division
// by invariant integers using multiplication", 1994); by a division beyond that.
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

// Adjacent elements that are loaded or stored with one instruction.
template <class T, int width>
struct alignas(sizeof(T) * width) Pack {
  T values[width];
};

inline bool is_aligned(const void* pointer, int64_t bytes) {
  return reinterpret_cast<uintptr_t>(pointer) % static_cast<uintptr_t>(bytes) == 0;
}

// A loop as the kernel sees it: the last dimension counts packs.
template <int operands>
struct LoopLayout {
  int rank;
  int64_t packs;
  int64_t remainder;  // single elements after the packs, in a loop of one dimension
  Divisor size_divisors[8];
  int64_t size[8];
  int64_t strides[operands][8];
};

// The offset of each operand's elements of pack g.
template <int operands>
__device__ inline void compute_offsets(const LoopLayout<operands>& layout, int64_t g, int width,
                                       int64_t (&offset)[operands]) {
  for (int k = 0; k < operands; ++k) offset[k] = 0;
  for (int d = layout.rank - 1; d > 0; --d) {
    const int64_t quotient = layout.size_divisors[d].divide(g);
    const int64_t index = (g - quotient * layout.size[d]) * (d == layout.rank - 1 ? width : 1);
    for (int k = 0; k < operands; ++k) offset[k] += index * layout.strides[k][d];
    g = quotient;
  }
  const int64_t index = layout.rank == 1 ? g * width : g;
  for (int k = 0; k < operands; ++k) offset[k] += index * layout.strides[k][0];
}

template <class T, int width>
__device__ inline Pack<T, width> load_pack(const T* source, int64_t stride) {
  if constexpr (width == 1) {
    return {*source};
  } else {
    if (stride == 1) return *reinterpret_cast<const Pack<T, width>*>(source);
    Pack<T, width> pack;
    for (int i = 0; i < width; ++i) pack.values[i] = *source;
    return pack;
  }
}

template <class Out, int width, class Body, class... In>
__device__ inline Pack<Out, width> apply_pack(const Body& body, const Pack<In, width>&... x) {
  Pack<Out, width> result;
#pragma unroll
  for (int i = 0; i < width; ++i) result.values[i] = body(x.values[i]...);
  return result;
}

// Loops of one dimension. A thread loads its next pack before it stores the current one; an operand
// may be the output itself, as no other thread writes these elements.
template <int width, class Body, class Out, class... In, std::size_t... input>
__device__ inline void run_flat(std::index_sequence<input...>,
                                const LoopLayout<1 + sizeof...(In)>& layout, const Body& body,
                                Out* out, const In*... in) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  const int64_t first = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  const auto load_packs = [&](int64_t g) {
    return std::tuple<Pack<In, width>...>(load_pack<In, width>(
        in + g * width * layout.strides[input + 1][0], layout.strides[input + 1][0])...);
  };
  const auto store_packs = [&](int64_t g, const std::tuple<Pack<In, width>...>& x) {
    *reinterpret_cast<Pack<Out, width>*>(out + g * width * layout.strides[0][0]) =
        apply_pack<Out, width>(body, std::get<input>(x)...);
  };
  for (int64_t g = first; g < layout.packs; g += 2 * step) {
    const bool has_next = g + step < layout.packs;
    const auto current = load_packs(g), next = load_packs(has_next ? g + step : g);
    store_packs(g, current);
    if (has_next) store_packs(g + step, next);
  }
  if (first < layout.remainder) {
    const int64_t i = layout.packs * width + first;
    out[i * layout.strides[0][0]] = body(in[i * layout.strides[input + 1][0]]...);
  }
}

template <int width, class Body, class Out, class... In, std::size_t... input>
__device__ inline void run_strided(std::index_sequence<input...>,
                                   const LoopLayout<1 + sizeof...(In)>& layout, const Body& body,
                                   Out* out, const In*... in) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  const int64_t first = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  [[maybe_unused]] const int last = layout.rank - 1;
  for (int64_t g = first; g < layout.packs; g += step) {
    int64_t offset[1 + sizeof...(In)];
    compute_offsets(layout, g, width, offset);
    *reinterpret_cast<Pack<Out, width>*>(out + offset[0]) = apply_pack<Out, width>(
        body, load_pack<In, width>(in + offset[input + 1], layout.strides[input + 1][last])...);
  }
}

template <int width, class Body, class Out, class... In>
__global__ void pointwise_kernel(LoopLayout<1 + sizeof...(In)> layout, Body body, Out* out,
                                 const In*... in) {
  constexpr std::index_sequence_for<In...> inputs;
  if (layout.rank == 1) return run_flat<width>(inputs, layout, body, out, in...);
  run_strided<width>(inputs, layout, body, out, in...);
}

// Whether packs of `width` elements, of `bytes` each, can be used for operand k.
inline bool packs_fit(const Loop& loop, int k, int64_t width, const void* data, int64_t bytes) {
  const int last = loop.rank - 1;
  const int64_t stride = loop.strides[k][last];
  if (k > 0 && stride == 0) return true;
  if (stride != 1 || !is_aligned(data, width * bytes)) return false;
  for (int d = 0; d < last; ++d) {
    if (loop.strides[k][d] % width != 0) return false;
  }
  return last == 0 || loop.sizes[last] % width == 0;
}

template <int operands>
LoopLayout<operands> loop_layout_of(const Loop& loop, int64_t width) {
  LoopLayout<operands> layout{};
  layout.rank = loop.rank;
  const int last = loop.rank - 1;
  int64_t outer = 1;
  for (int d = 0; d < loop.rank; ++d) {
    layout.size[d] = d == last ? loop.sizes[d] / width : loop.sizes[d];
    layout.size_divisors[d] = Divisor(layout.size[d]);
    outer *= layout.size[d];
    for (int k = 0; k < operands; ++k) layout.strides[k][d] = loop.strides[k][d];
  }
  layout.packs = outer;
  layout.remainder = last == 0 ? loop.sizes[0] % width : 0;
  return layout;
}

template <int width, class Body, class Out, class... In>
void launch_loop(const Loop& loop, const Body& body, Out* out, const In*... in) {
  const auto layout = loop_layout_of<1 + sizeof...(In)>(loop, width);
  constexpr int64_t two_per_thread = 1 << 18;  // packs
  const int64_t items = std::max(layout.packs, layout.remainder);
  const int threads = threads_for(items);
  const int64_t per_block = threads * (layout.rank == 1 && items >= two_per_thread ? 2 : 1);
  launch(pointwise_kernel<width, Body, Out, In...>,
         std::min((items + per_block - 1) / per_block, max_blocks), threads, layout, body, out,
         in...);
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
  constexpr std::size_t max_bytes = std::max({sizeof(Out), sizeof(In)...});
  constexpr int width = static_cast<int>(16 / max_bytes);
  int k = 1;
  bool use_packs = packs_fit(loop, 0, width, out, sizeof(Out));
  ((use_packs = packs_fit(loop, k++, width, in, sizeof(In)) && use_packs), ...);
  if (use_packs) return launch_loop<width>(loop, body, out, in...);
  launch_loop<1>(loop, body, out, in...);
}

// A loop over n elements, contiguous in every operand.
inline Loop flat_loop(int64_t n) {
  Loop loop;
  loop.rank = 1;
  loop.sizes[0] = n;
  for (auto& strides : loop.strides) strides[0] = 1;
  return loop;
}

}  // namespace regrad::gpu

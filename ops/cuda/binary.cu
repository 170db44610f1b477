// Functions of two arguments and comparisons (ops/kernels/elements.h).
#include "ops/cuda/families.h"
#include "ops/cuda/loop.h"
#include "ops/cuda/numbers.h"
#include "ops/kernels/elements.h"

namespace regrad::gpu {
namespace {

template <Binary function, class T>
struct Apply {
  __device__ T operator()(T a, T b) const {
    if constexpr (std::is_floating_point_v<T>) {
      return pointwise::apply_binary<function>(a, b);
    } else {
      return pointwise::apply_integer<function>(a, b);
    }
  }
};

template <Compare function, class T>
struct Comparison {
  __device__ bool operator()(T a, T b) const { return pointwise::compare<function>(a, b); }
};

template <Binary function, class T>
void binary(const Loop& loop, T* out, const T* a, const T* b) {
  run_loop(loop, Apply<function, T>{}, out, a, b);
}
template <Compare function, class T>
void compare(const Loop& loop, bool* out, const T* a, const T* b) {
  run_loop(loop, Comparison<function, T>{}, out, a, b);
}

template <class T, int... B, int... C>
BinaryKernels<T> binary_kernels(std::integer_sequence<int, B...>,
                                std::integer_sequence<int, C...>) {
  return {
      .apply = {binary<static_cast<Binary>(B), T>...},
      .compare = {compare<static_cast<Compare>(C), T>...},
  };
}

}  // namespace

template <class T>
BinaryKernels<T> binary_kernels() {
  return binary_kernels<T>(std::make_integer_sequence<int, static_cast<int>(Binary::count)>(),
                           std::make_integer_sequence<int, static_cast<int>(Compare::count)>());
}

template BinaryKernels<float> binary_kernels<float>();
template BinaryKernels<double> binary_kernels<double>();
template BinaryKernels<int64_t> binary_kernels<int64_t>();

}  // namespace regrad::gpu

// Functions of two arguments and comparisons for one instruction set: see table.cpp.
#include "ops/cpu/families.h"
#include "ops/cpu/pointwise.h"

namespace regrad::simd {

// Arrays are filled in the order of their enum.
template <class T, class Arch, int... F, int... C>
BinaryKernels<T> binary_kernels(std::integer_sequence<int, F...>,
                                std::integer_sequence<int, C...>) {
  return {
      .apply = {BinaryKernel<static_cast<Binary>(F), T, Arch>::run...},
      .compare = {CompareKernel<static_cast<Compare>(C), T, Arch>::run...},
  };
}

template <class T, class Arch>
BinaryKernels<T> binary_kernels() {
  return binary_kernels<T, Arch>(All<Binary>(), All<Compare>());
}

template BinaryKernels<float> binary_kernels<float, REGRAD_ARCH>();
template BinaryKernels<double> binary_kernels<double, REGRAD_ARCH>();
template BinaryKernels<int64_t> binary_kernels<int64_t, REGRAD_ARCH>();

}  // namespace regrad::simd

// Functions of one argument for one instruction set: see table.cpp.
#include "ops/cpu/families.h"
#include "ops/cpu/pointwise.h"

namespace regrad::simd {

template <class T, class Arch, int... U>
UnaryKernels<T> unary_kernels(std::integer_sequence<int, U...>) {
  return {
      .value = {UnaryKernel<static_cast<Unary>(U), T, Arch>::value...},
      .slope = {UnaryKernel<static_cast<Unary>(U), T, Arch>::slope...},
      .curvature = {UnaryKernel<static_cast<Unary>(U), T, Arch>::curvature...},
  };
}

template <class T, class Arch>
UnaryKernels<T> unary_kernels() {
  return unary_kernels<T, Arch>(All<Unary>());
}

template UnaryKernels<float> unary_kernels<float, REGRAD_ARCH>();
template UnaryKernels<double> unary_kernels<double, REGRAD_ARCH>();

}  // namespace regrad::simd

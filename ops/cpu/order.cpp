// Sorting and cumulative sums for one instruction set: see table.cpp.
#include "ops/cpu/cumsum.h"
#include "ops/cpu/families.h"
#include "ops/cpu/sort.h"

namespace regrad::simd {

template <class T, class Arch>
OrderKernels<T> order_kernels() {
  return {.sort = sort<T, Arch>, .cumsum = cumsum<T, Arch>};
}

template OrderKernels<float> order_kernels<float, REGRAD_ARCH>();
template OrderKernels<double> order_kernels<double, REGRAD_ARCH>();
template OrderKernels<int64_t> order_kernels<int64_t, REGRAD_ARCH>();

}  // namespace regrad::simd

// Convolutions for one instruction set: see table.cpp.
#include "ops/cpu/conv.h"

#include "ops/cpu/families.h"
#include "ops/cpu/pool.h"

namespace regrad::simd {

template <class T, class Arch>
ConvKernels<T> conv_kernels() {
  return {
      .forward = conv_forward<T, Arch>,
      .transposed = conv_transposed<T, Arch>,
      .weight = conv_weight<T, Arch>,
      .max_pool = max_pool<T, Arch>,
  };
}

extern template void gemm<float, REGRAD_ARCH>(const Gemm<float>&);
extern template void gemm<double, REGRAD_ARCH>(const Gemm<double>&);
template void correlate_plane<float, REGRAD_ARCH>(const Correlation<float>&, const Region&);
template void correlate_plane<double, REGRAD_ARCH>(const Correlation<double>&, const Region&);
template ConvKernels<float> conv_kernels<float, REGRAD_ARCH>();
template ConvKernels<double> conv_kernels<double, REGRAD_ARCH>();

}  // namespace regrad::simd

// The matrix product for one instruction set: see table.cpp.
#include "ops/cpu/gemm.h"

namespace regrad::simd {

template void gemm<float, REGRAD_ARCH>(const Gemm<float>&);
template void gemm<double, REGRAD_ARCH>(const Gemm<double>&);

}  // namespace regrad::simd

// Fused attention for one instruction set: see table.cpp.
#include "ops/cpu/attention_backward.h"

namespace regrad::simd {

template void attention<float, REGRAD_ARCH>(const AttentionCall<float>&);
template void attention<double, REGRAD_ARCH>(const AttentionCall<double>&);
template void attention_backward<float, REGRAD_ARCH>(const AttentionCall<float>&);
template void attention_backward<double, REGRAD_ARCH>(const AttentionCall<double>&);

}  // namespace regrad::simd

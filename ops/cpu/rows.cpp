// Kernels along rows and columns, for one instruction set: see table.cpp.
#include "ops/cpu/families.h"
#include "ops/cpu/loss.h"
#include "ops/cpu/normalise.h"
#include "ops/cpu/pointwise.h"
#include "ops/cpu/rms_norm.h"

namespace regrad::simd {

template <class T, class Arch, int... R>
ReduceKernels<T> reduce_kernels(std::integer_sequence<int, R...>) {
  return {
      .apply = {reduce<static_cast<Reduction>(R), T, Arch>...},
      .arg_reduce = arg_reduce<T, Arch>,
  };
}

template <class T, class Arch>
ReduceKernels<T> reduce_kernels() {
  return reduce_kernels<T, Arch>(All<Reduction>());
}

template <class T, class Arch>
SoftmaxKernels<T> softmax_kernels() {
  return {
      .softmax = softmax<T, Arch>,
      .log_softmax = log_softmax<T, Arch>,
      .logsumexp = logsumexp<T, Arch>,
      .softmax_backward = softmax_backward<false, T, Arch>,
      .log_softmax_backward = softmax_backward<true, T, Arch>,
  };
}

template <class T, class Arch>
NormKernels<T> norm_kernels() {
  return {
      .layer_norm = layer_norm<T, Arch>,
      .layer_norm_backward = layer_norm_backward<T, Arch>,
      .rms_norm = rms_norm<T, Arch>,
      .rms_norm_backward = rms_norm_backward<T, Arch>,
  };
}

template <class T, class Arch>
LossKernels<T> loss_kernels() {
  return {
      .cross_entropy = cross_entropy<T, Arch>,
      .cross_entropy_backward = cross_entropy_backward<T, Arch>,
      .logistic = LogisticKernel<T, Arch>::loss,
      .logistic_slope = LogisticKernel<T, Arch>::slope,
  };
}

template ReduceKernels<float> reduce_kernels<float, REGRAD_ARCH>();
template ReduceKernels<double> reduce_kernels<double, REGRAD_ARCH>();
template ReduceKernels<int64_t> reduce_kernels<int64_t, REGRAD_ARCH>();
template SoftmaxKernels<float> softmax_kernels<float, REGRAD_ARCH>();
template SoftmaxKernels<double> softmax_kernels<double, REGRAD_ARCH>();
template NormKernels<float> norm_kernels<float, REGRAD_ARCH>();
template NormKernels<double> norm_kernels<double, REGRAD_ARCH>();
template LossKernels<float> loss_kernels<float, REGRAD_ARCH>();
template LossKernels<double> loss_kernels<double, REGRAD_ARCH>();

}  // namespace regrad::simd

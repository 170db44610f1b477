// The parts of the table that have source files of their own, so that a change to one recompiles
// little: each is returned by a function that its source file instantiates.
#pragma once

#include <utility>

#include "ops/kernels/table.h"

namespace regrad::simd {

template <class Enum>
using All = std::make_integer_sequence<int, static_cast<int>(Enum::count)>;

template <class T, class Arch>
UnaryKernels<T> unary_kernels();  // unary.cpp
template <class T, class Arch>
BinaryKernels<T> binary_kernels();  // binary.cpp
template <class T, class Arch>
ReduceKernels<T> reduce_kernels();  // rows.cpp
template <class T, class Arch>
OrderKernels<T> order_kernels();  // order.cpp
template <class T, class Arch>
SoftmaxKernels<T> softmax_kernels();  // rows.cpp
template <class T, class Arch>
NormKernels<T> norm_kernels();  // rows.cpp
template <class T, class Arch>
LossKernels<T> loss_kernels();  // rows.cpp
template <class T, class Arch>
ConvKernels<T> conv_kernels();  // conv.cpp

}  // namespace regrad::simd

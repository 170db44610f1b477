// The families of the CUDA table, each filled by the source file that holds its kernels.
#pragma once

#include "ops/kernels/table.h"

namespace regrad::gpu {

// For float, double and int64_t; move_kernels for bool, too.
template <class T>
MoveKernels<T> move_kernels();  // move.cu
template <class T>
BinaryKernels<T> binary_kernels();  // binary.cu
template <class T>
ReduceKernels<T> reduce_kernels();  // reduce.cu
template <class T>
OrderKernels<T> order_kernels();  // order.cu
template <class T>
IndexKernels<T> index_kernels();  // scatter.cu

// For float and double.
template <class T>
UnaryKernels<T> unary_kernels();  // unary.cu
template <class T>
SoftmaxKernels<T> softmax_kernels();  // softmax.cu
template <class T>
NormKernels<T> norm_kernels();  // normalise.cu
template <class T>
LossKernels<T> loss_kernels();  // losses.cu
template <class T>
CellKernels<T> cell_kernels();  // recurrent.cu
template <class T>
AttentionKernels<T> attention_kernels();  // attention.cu
template <class T>
AdditiveKernels<T> additive_kernels();  // additive.cu
template <class T>
ConvKernels<T> conv_kernels();  // conv.cu
template <class T>
OptimiserKernels<T> optimiser_kernels();  // update.cu
template <class T>
RandomKernels<T> random_kernels();  // random.cu
template <class T>
VectorKernels<T> vector_kernels();  // unary.cu
template <class T>
void gemm(const Gemm<T>&);  // gemm.cu

void integer_gemm(const Gemm<int64_t>&);                                    // integer_gemm.cu
void last_index(Rows, int64_t count, int64_t* last, const int64_t* index);  // scatter.cu

template <class From, class To>
void convert(int64_t n, void* out, const void* x);  // move.cu

}  // namespace regrad::gpu

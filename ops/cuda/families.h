// The parts of the CUDA table, each defined in the source file of its kernels. A .cu file
// instantiates its functions for the dtypes that have them.
#pragma once

#include "ops/kernels/table.h"

namespace regrad::gpu {

template <class T>
MoveKernels<T> move_kernels();  // move.cu: float, double, int64_t, bool
template <class T>
BinaryKernels<T> binary_kernels();  // binary.cu: float, double, int64_t
template <class T>
ReduceKernels<T> reduce_kernels();  // reduce.cu: float, double, int64_t
template <class T>
UnaryKernels<T> unary_kernels();  // unary.cu: float, double

// softmax.cu
template <class T>
void softmax(Rows, T* y, const T* x);
template <class T>
void log_softmax(Rows, T* y, const T* x);
template <class T>
void logsumexp(Rows, T* out, const T* x);
template <class T>
void softmax_backward(Rows, T* dx, const T* g, const T* y);
template <class T>
void log_softmax_backward(Rows, T* dx, const T* g, const T* y);

// normalise.cu
template <class T>
void layer_norm(Rows, T* y, T* mean, T* rstd, const T* x, const T* weight, const T* bias, T eps);
template <class T>
void layer_norm_backward(Rows, T* dx, T* dweight, T* dbias, const T* g, const T* x, const T* mean,
                         const T* rstd, const T* weight);

// losses.cu
template <class T>
void cross_entropy(Rows, T* loss, T* log_sum, const T* x, const int64_t* targets, int64_t ignore,
                   T smoothing);
template <class T>
void cross_entropy_backward(Rows, T* dx, const T* g, int64_t g_stride, const T* x,
                            const T* log_sum, const int64_t* targets, int64_t ignore, T smoothing);

// scatter.cu: out[o, index[o, i, s], s] += g[o, i, s], in the order of i; float, double, int64_t.
template <class T>
void add_rows(Rows out, int64_t count, T* out_data, const T* g, const int64_t* index);
template <class T>
void scatter_add(Rows out, int64_t count, T* out_data, const T* g, const int64_t* index);

// unary.cu
template <class T>
void axpy(int64_t n, T* y, T a, const T* x);
template <class T>
void logistic_loss(const Loop&, T* out, const T* x, const T* t);
template <class T>
void logistic_slope(const Loop&, T* out, const T* g, const T* x, const T* t);
template <class T>
void scale_by(int64_t n, T* y, T a);

template <class T>
void gemm(const Gemm<T>&);  // gemm.cu

// recurrent.cu
template <class T>
void gru(const GruStep<T>&);
template <class T>
void gru_backward(const GruStepBackward<T>&);
template <class T>
void lstm(const LstmStep<T>&);
template <class T>
void lstm_backward(const LstmStepBackward<T>&);

// additive.cu
template <class T>
void additive_scores(const Additive<T>&, T* scores);
template <class T>
void additive_scores_backward(const Additive<T>&, const AdditiveGradients<T>&);

// update.cu
template <class T>
void sgd(int64_t count, const SgdUpdate<T>*, const SgdStep<T>&);
template <class T>
void adam(int64_t count, const AdamUpdate<T>*, const AdamStep<T>&);

// attention.cu
template <class T>
void attention(const AttentionCall<T>&);
template <class T>
void attention_backward(const AttentionCall<T>&);

// random.cu
template <class T>
void uniform(int64_t n, T* out, uint64_t seed, uint64_t offset);
template <class T>
void normal(int64_t n, T* out, uint64_t seed, uint64_t offset);
template <class T>
void dropout(int64_t n, T* out, const T* x, T p, T scale, uint64_t seed, uint64_t offset);

template <class From, class To>
void convert(int64_t n, void* out, const void* x);  // move.cu

}  // namespace regrad::gpu

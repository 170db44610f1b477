// The table of kernels that every backend fills: pointers, sizes and strides, never a Tensor.
// One table each for SSE2, AVX2 and AVX-512, chosen once at run time (ops/cpu/select.h).
#pragma once

#include <cstdint>

#include "ops/kernels/attention.h"
#include "ops/kernels/conv.h"
#include "ops/kernels/gemm.h"
#include "ops/kernels/optimiser.h"
#include "ops/kernels/recurrent.h"

namespace regrad {

// A pointwise loop over up to 4 operands; operand 0 is the output. Strides count elements; 0
// repeats one element. The last dimension is the innermost.
struct Loop {
  int rank = 0;
  int64_t sizes[8];
  int64_t strides[4][8];
  int64_t numel() const {
    int64_t product = 1;
    for (int i = 0; i < rank; ++i) product *= sizes[i];
    return product;
  }
};

// x viewed as contiguous [outer, n, inner]; kernels work along n.
struct Rows {
  int64_t outer, n, inner;
};

// Pointwise functions of one argument; ops/kernels/pointwise.h defines value, slope and curvature.
enum class Unary : uint8_t {
  neg,
  abs,
  square,
  reciprocal,
  sqrt,
  rsqrt,
  exp,
  log,
  sin,
  cos,
  tanh,
  sigmoid,
  relu,
  gelu,
  silu,
  softplus,
  erf,
  clamp,
  pow,
  floor,
  round,
  sign,
  log1p,
  expm1,
  leaky_relu,
  elu,
  hardtanh,
  mish,
  count
};
enum class Binary : uint8_t { add, sub, mul, div, maximum, minimum, pow, count };
enum class Compare : uint8_t { equal, not_equal, less, less_equal, greater, greater_equal, count };

// Reductions along n.
enum class Reduction : uint8_t { sum, max, min, prod, count };

// Kernels that only move elements; every dtype has them.
template <class T>
struct MoveKernels {
  void (*copy)(const Loop&, T* out, const T* x);
  void (*fill)(int64_t n, T* out, T value);
  void (*where)(const Loop&, T* out, const bool* condition, const T* yes, const T* no);
  // out[o, i, :] = x[o, index[i], :], with x [outer, rows, inner] and out [outer, count, inner].
  void (*take_rows)(Rows x, int64_t count, T* out, const T* x_data, const int64_t* index);
  // out[o, i, s] = x[o, index[o, i, s], s]; index and out are [outer, count, inner].
  void (*gather)(Rows x, int64_t count, T* out, const T* x_data, const int64_t* index);
};

// Functions of two arguments, and comparisons.
template <class T>
struct BinaryKernels {
  void (*apply[static_cast<int>(Binary::count)])(const Loop&, T* out, const T* a, const T* b);
  void (*compare[static_cast<int>(Compare::count)])(const Loop&, bool* out, const T* a, const T* b);
};

// Reductions along n.
template <class T>
struct ReduceKernels {
  // out [outer, inner]. The order of a sum depends on the sizes alone.
  void (*apply[static_cast<int>(Reduction::count)])(Rows, T* out, const T* x);
  // The index along n of the first maximum (sign 1) or minimum (sign -1); a NaN beats every number.
  void (*arg_reduce)(Rows, int sign, int64_t* out, const T* x);
};

// What depends on the order of the elements along n.
template <class T>
struct OrderKernels {
  // indices[o, j] is where along n the element of row o stands that comes j-th, for j < k, in
  // rising or falling order: of equals the first comes first, and NaN is the greatest. inner is 1.
  void (*sort)(Rows, int64_t k, bool descending, int64_t* indices, const T* x);
  // out[o, i, s] = the sum of x[o, .. i, s] (reverse: of x[o, i .., s]).
  void (*cumsum)(Rows, bool reverse, T* out, const T* x);
};

// Sums into rows chosen by an index.
template <class T>
struct IndexKernels {
  // out[o, index[i], :] += g[o, i, :], in the order of i; out is [outer, rows, inner].
  void (*add_rows)(Rows out, int64_t count, T* out_data, const T* g, const int64_t* index);
  // out[o, index[o, i, s], s] += g[o, i, s].
  void (*scatter_add)(Rows out, int64_t count, T* out_data, const T* g, const int64_t* index);
};

// Functions of one argument. p and q are a function's parameters.
template <class T>
struct UnaryKernels {
  static constexpr int unaries = static_cast<int>(Unary::count);
  void (*value[unaries])(const Loop&, T* out, const T* x, T p, T q);  // f(x)
  // g slope(s) and g curvature(s), where s is x or f(x) (ops/kernels/pointwise.h).
  void (*slope[unaries])(const Loop&, T* out, const T* g, const T* s, T p, T q);
  void (*curvature[unaries])(const Loop&, T* out, const T* g, const T* s, T p, T q);
};

// Softmax and its family along n.
template <class T>
struct SoftmaxKernels {
  // Shifted by the maximum of the row. A row of -inf alone gives zeros (softmax).
  void (*softmax)(Rows, T* y, const T* x);
  void (*log_softmax)(Rows, T* y, const T* x);
  void (*logsumexp)(Rows, T* out, const T* x);                        // out [outer, inner]
  void (*softmax_backward)(Rows, T* dx, const T* g, const T* y);      // y (g - sum(g y))
  void (*log_softmax_backward)(Rows, T* dx, const T* g, const T* y);  // g - exp(y) sum(g)
};

template <class T>
struct NormKernels {
  // y = (x - mean) rstd weight + bias over rows of n (inner is 1); weight, bias may be null.
  void (*layer_norm)(Rows, T* y, T* mean, T* rstd, const T* x, const T* weight, const T* bias,
                     T eps);
  // dx, dweight, dbias may each be null; mean and rstd as written by layer_norm.
  void (*layer_norm_backward)(Rows, T* dx, T* dweight, T* dbias, const T* g, const T* x,
                              const T* mean, const T* rstd, const T* weight);
  // y = x rstd weight, rstd = 1 / sqrt(mean of x² + eps), likewise.
  void (*rms_norm)(Rows, T* y, T* rstd, const T* x, const T* weight, T eps);
  // dx = rstd (u - z mean(u z)), z = x rstd, u = g weight.
  void (*rms_norm_backward)(Rows, T* dx, const T* g, const T* x, const T* rstd, const T* weight);
};

template <class T>
struct LossKernels {
  // loss[i] = -(1 - smoothing) y[target] - smoothing mean(y), y = log_softmax(x row i); 0 where
  // the target is `ignore`. x is [outer, n] (inner is 1).
  void (*cross_entropy)(Rows, T* loss, T* log_sum, const T* x, const int64_t* targets,
                        int64_t ignore, T smoothing);
  // dx = g[i g_stride] (softmax(x) - target distribution); g_stride 0 repeats one g.
  void (*cross_entropy_backward)(Rows, T* dx, const T* g, int64_t g_stride, const T* x,
                                 const T* log_sum, const int64_t* targets, int64_t ignore,
                                 T smoothing);
  // log(1 + e^x) - t x, and g times its derivative with respect to x (ops/kernels/pointwise.h).
  void (*logistic)(const Loop&, T* out, const T* x, const T* t);
  void (*logistic_slope)(const Loop&, T* out, const T* g, const T* x, const T* t);
};

// One step of a recurrent cell, after its matrix products (ops/kernels/recurrent.h).
template <class T>
struct CellKernels {
  void (*gru)(const GruStep<T>&);
  void (*gru_backward)(const GruStepBackward<T>&);
  void (*lstm)(const LstmStep<T>&);
  void (*lstm_backward)(const LstmStepBackward<T>&);
};

template <class T>
struct AttentionKernels {
  void (*forward)(const AttentionCall<T>&);
  void (*backward)(const AttentionCall<T>&);
};

template <class T>
struct AdditiveKernels {
  // scores[b, i, j] = sum_h v[h] tanh(q[b, i, h] + k[b, j, h]), and the gradients of q, k and v.
  void (*scores)(const Additive<T>&, T* scores);
  void (*scores_backward)(const Additive<T>&, const AdditiveGradients<T>&);
};

// One step of an optimiser for `count` parameters (ops/kernels/optimiser.h).
template <class T>
struct OptimiserKernels {
  void (*sgd)(int64_t count, const SgdUpdate<T>*, const SgdStep<T>&);
  void (*adam)(int64_t count, const AdamUpdate<T>*, const AdamStep<T>&);
  void (*rmsprop)(int64_t count, const RmspropUpdate<T>*, const RmspropStep<T>&);
  void (*adagrad)(int64_t count, const AdagradUpdate<T>*, const AdagradStep<T>&);
  void (*adadelta)(int64_t count, const AdadeltaUpdate<T>*, const AdadeltaStep<T>&);
};

// Element i depends on (seed, offset + i) alone: the same numbers for any number of threads.
template <class T>
struct RandomKernels {
  void (*uniform)(int64_t n, T* out, uint64_t seed, uint64_t offset);  // [0, 1)
  void (*normal)(int64_t n, T* out, uint64_t seed, uint64_t offset);   // mean 0, deviation 1
  // out = scale x where the element's uniform number is p or more, 0 elsewhere
  void (*dropout)(int64_t n, T* out, const T* x, T p, T scale, uint64_t seed, uint64_t offset);
};

template <class T>
struct VectorKernels {
  void (*axpy)(int64_t n, T* y, T a, const T* x);  // y += a x
  void (*scale)(int64_t n, T* y, T a);             // y *= a
};

// A convolution, and what is given back to x and weight by y (ops/kernels/conv.h): each is linear
// in both, so that their derivatives are again convolutions.
template <class T>
struct ConvKernels {
  // y = bias + x * weight; bias [groups out] may be null.
  void (*forward)(const Conv&, T* y, const T* x, const T* weight, const T* bias);
  // x[n, i, ..] = bias[i] + the sum of y[n, o, ..] weight[o, i, ..] over all outputs and taps that
  // x[n, i, ..] meets in forward; bias [groups in] may be null.
  void (*transposed)(const Conv&, T* x, const T* y, const T* weight, const T* bias);
  // weight[o, i, ..] = the sum of y[n, o, ..] x[n, i, ..] over all pairs that it multiplies.
  void (*weight)(const Conv&, T* weight, const T* x, const T* y);
  // y = the greatest element that each output sees, and its index in its plane of x: the first of
  // ties, NaN wins. Every output sees one.
  void (*max_pool)(const Pool&, T* y, int64_t* index, const T* x);
};

// A backend's table for one dtype; float32 and float64 have all kernels.
template <class T>
struct Kernels {
  MoveKernels<T> move;
  BinaryKernels<T> binary;
  ReduceKernels<T> reduce;
  OrderKernels<T> order;
  IndexKernels<T> index;
  UnaryKernels<T> unary;
  SoftmaxKernels<T> softmax;
  NormKernels<T> norm;
  LossKernels<T> loss;
  CellKernels<T> cells;
  AttentionKernels<T> attention;
  AdditiveKernels<T> additive;
  OptimiserKernels<T> optimiser;
  RandomKernels<T> random;
  VectorKernels<T> vector;
  ConvKernels<T> conv;
  void (*gemm)(const Gemm<T>&);
};

template <>
struct Kernels<int64_t> {
  MoveKernels<int64_t> move;
  BinaryKernels<int64_t> binary;
  ReduceKernels<int64_t> reduce;
  OrderKernels<int64_t> order;
  IndexKernels<int64_t> index;
  void (*gemm)(const Gemm<int64_t>&);  // wraps around
};

template <>
struct Kernels<bool> {
  MoveKernels<bool> move;
};

// Memory of a device that is not the host. The device executes everything in the order in which it
// was enqueued; of these functions, only download waits for that.
struct DeviceMemory {
  void* (*allocate)(int64_t bytes);  // null: out of memory
  void (*release)(void* block, int64_t bytes);
  void (*upload)(void* out, const void* x, int64_t bytes);    // x may be overwritten on return
  void (*download)(void* out, const void* x, int64_t bytes);  // throws an earlier kernel's error
};

// All tables of one backend, and the conversions between dtypes, [from][to] in DType's order.
struct Backend {
  const char* name;
  Kernels<float> float32;
  Kernels<double> float64;
  Kernels<int64_t> int64;
  Kernels<bool> boolean;
  void (*convert[4][4])(int64_t n, void* out, const void* x);
  // The first i whose index[i] is neither in [0, size) nor *allowed (which may be null), or -1.
  // An asynchronous device returns -1 at once, and its next download throws if there was such an
  // index; until then its kernels skip it.
  int64_t (*bad_index)(const char* op, int64_t n, const int64_t* index, int64_t size,
                       const int64_t* allowed);
  // last[o, r, s] = the greatest i < count with index[o, i, s] == r, or -1; last is [outer, n,
  // inner].
  void (*last_index)(Rows, int64_t count, int64_t* last, const int64_t* index);
  DeviceMemory memory;  // empty for the host
};

}  // namespace regrad

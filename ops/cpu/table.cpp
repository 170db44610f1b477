// The table of kernels for one instruction set. Compiled once for each, with
// REGRAD_ARCH (an xsimd architecture), REGRAD_TABLE (the function's name), REGRAD_NAME ("avx2").
// The largest families of kernels have source files of their own (families.h, gemm.cpp,
// attention.cpp), so that a change to one recompiles little.
#include "ops/cpu/additive.h"
#include "ops/cpu/families.h"
#include "ops/cpu/gemm.h"
#include "ops/cpu/indexing.h"
#include "ops/cpu/integer_gemm.h"
#include "ops/cpu/move.h"
#include "ops/cpu/pointwise.h"
#include "ops/cpu/random.h"
#include "ops/cpu/recurrent.h"
#include "ops/cpu/select.h"
#include "ops/cpu/update.h"

namespace regrad {
namespace simd {

extern template void gemm<float, REGRAD_ARCH>(const Gemm<float>&);
extern template void gemm<double, REGRAD_ARCH>(const Gemm<double>&);

template <class T, class Arch>
void attention(const AttentionCall<T>&);  // attention.cpp
template <class T, class Arch>
void attention_backward(const AttentionCall<T>&);
extern template void attention<float, REGRAD_ARCH>(const AttentionCall<float>&);
extern template void attention<double, REGRAD_ARCH>(const AttentionCall<double>&);
extern template void attention_backward<float, REGRAD_ARCH>(const AttentionCall<float>&);
extern template void attention_backward<double, REGRAD_ARCH>(const AttentionCall<double>&);

template <class T, class Arch>
constexpr MoveKernels<T> move_kernels() {
  return {
      .copy = copy<T, Arch>,
      .fill = fill<T, Arch>,
      .where = WhereKernel<T, Arch>::run,
      .take_rows = take_rows<T, Arch>,
      .gather = gather<T, Arch>,
  };
}

template <class T, class Arch>
constexpr IndexKernels<T> index_kernels() {
  return {.add_rows = add_rows<T, Arch>, .scatter_add = scatter_add<T, Arch>};
}

template <class T, class Arch>
Kernels<T> float_kernels() {
  return {
      .move = move_kernels<T, Arch>(),
      .binary = binary_kernels<T, Arch>(),
      .reduce = reduce_kernels<T, Arch>(),
      .order = order_kernels<T, Arch>(),
      .index = index_kernels<T, Arch>(),
      .unary = unary_kernels<T, Arch>(),
      .softmax = softmax_kernels<T, Arch>(),
      .norm = norm_kernels<T, Arch>(),
      .loss = loss_kernels<T, Arch>(),
      .cells = {.gru = gru<T, Arch>,
                .gru_backward = gru_backward<T, Arch>,
                .lstm = lstm<T, Arch>,
                .lstm_backward = lstm_backward<T, Arch>},
      .attention = {.forward = attention<T, Arch>, .backward = attention_backward<T, Arch>},
      .additive = {.scores = additive_scores<T, Arch>,
                   .scores_backward = additive_scores_backward<T, Arch>},
      .optimiser = {.sgd = update_all<SgdUpdate, SgdStep, T, Arch>,
                    .adam = update_all<AdamUpdate, AdamStep, T, Arch>,
                    .rmsprop = update_all<RmspropUpdate, RmspropStep, T, Arch>,
                    .adagrad = update_all<AdagradUpdate, AdagradStep, T, Arch>,
                    .adadelta = update_all<AdadeltaUpdate, AdadeltaStep, T, Arch>},
      .random = {.uniform = draw<false, T, Arch>,
                 .normal = draw<true, T, Arch>,
                 .dropout = dropout<T, Arch>},
      .vector = {.axpy = axpy<T, Arch>, .scale = scale_by<T, Arch>},
      .conv = conv_kernels<T, Arch>(),
      .gemm = gemm<T, Arch>,
  };
}

template <class Arch>
Kernels<int64_t> int64_kernels() {
  return {
      .move = move_kernels<int64_t, Arch>(),
      .binary = binary_kernels<int64_t, Arch>(),
      .reduce = reduce_kernels<int64_t, Arch>(),
      .order = order_kernels<int64_t, Arch>(),
      .index = index_kernels<int64_t, Arch>(),
      .gemm = integer_gemm<Arch>,
  };
}

template <class Arch>
Backend backend(const char* name) {
  return {
      .name = name,
      .float32 = float_kernels<float, Arch>(),
      .float64 = float_kernels<double, Arch>(),
      .int64 = int64_kernels<Arch>(),
      .boolean = {.move = move_kernels<bool, Arch>()},
      .convert = {{convert<float, float, Arch>, convert<float, double, Arch>,
                   convert<float, int64_t, Arch>, convert<float, bool, Arch>},
                  {convert<double, float, Arch>, convert<double, double, Arch>,
                   convert<double, int64_t, Arch>, convert<double, bool, Arch>},
                  {convert<int64_t, float, Arch>, convert<int64_t, double, Arch>,
                   convert<int64_t, int64_t, Arch>, convert<int64_t, bool, Arch>},
                  {convert<bool, float, Arch>, convert<bool, double, Arch>,
                   convert<bool, int64_t, Arch>, convert<bool, bool, Arch>}},
      .bad_index = bad_index<Arch>,
      .last_index = last_index<Arch>,
      .memory = {},
  };
}

}  // namespace simd

const Backend& REGRAD_TABLE() {
  static const Backend table = simd::backend<REGRAD_ARCH>(REGRAD_NAME);
  return table;
}

}  // namespace regrad

// Functions of each element, softmax, normalisation and reductions, forward and backward.
#include <benchmark/benchmark.h>

#include "regrad.h"

using namespace regrad;

namespace {

using Op = Tensor (*)(const Tensor&);

void forward(benchmark::State& state, Op op) {
  Generator generator(1);
  const Tensor x = randn({state.range(0), state.range(1)}, generator);
  for (auto _ : state) benchmark::DoNotOptimize(op(x));
  state.SetItemsProcessed(state.iterations() * x.numel());
}

void forward_backward(benchmark::State& state, Op op) {
  Generator generator(1);
  Tensor x = randn({state.range(0), state.range(1)}, generator, {.requires_grad = true});
  const Tensor g = ones(op(x.detach()).shape());
  for (auto _ : state) {
    x.zero_grad();
    op(x).backward(g);
  }
  state.SetItemsProcessed(state.iterations() * x.numel());
}

Tensor double_it(const Tensor& x) { return x + x; }
Tensor add_row(const Tensor& x) { return x + select(x, 0, 0); }
Tensor rows_softmax(const Tensor& x) { return softmax(x, 1); }
Tensor columns_softmax(const Tensor& x) { return softmax(x, 0); }
Tensor rows_log_softmax(const Tensor& x) { return log_softmax(x, 1); }
Tensor rows_layer_norm(const Tensor& x) { return layer_norm(x); }
Tensor rows_sum(const Tensor& x) { return sum(x, 1); }
Tensor columns_sum(const Tensor& x) { return sum(x, 0); }
Tensor rows_max(const Tensor& x) { return max(x, 1); }
Tensor transposed_copy(const Tensor& x) { return transpose(x).contiguous(); }

#define BOTH(op)                                                            \
  BENCHMARK_CAPTURE(forward, op, op)->Args({1024, 1024})->Args({4096, 64}); \
  BENCHMARK_CAPTURE(forward_backward, op, op)->Args({1024, 1024})->Args({4096, 64})
BOTH(double_it);
BOTH(add_row);
BOTH(exp);
BOTH(tanh);
BOTH(sigmoid);
BOTH(gelu);
BOTH(relu);
BOTH(rows_softmax);
BOTH(columns_softmax);
BOTH(rows_log_softmax);
BOTH(rows_layer_norm);
BOTH(rows_sum);
BOTH(columns_sum);
BOTH(rows_max);
BOTH(transposed_copy);

}  // namespace

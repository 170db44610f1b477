// Fused attention by shape: batch, heads, time, depth. Seven products of time x time x depth, two
// forward and five backward; causal ones count half.
#include <benchmark/benchmark.h>

#include "regrad.h"

using namespace regrad;

namespace {

void attend(benchmark::State& state, bool causal, bool backward) {
  const int64_t batch = state.range(0), heads = state.range(1), time = state.range(2),
                depth = state.range(3);
  Generator generator(1);
  const Tensor all = randn({batch, time, 3, heads, depth}, generator, {.requires_grad = backward});
  const Tensor g = transpose(ones({batch, time, heads, depth}), 1, 2);
  const auto part = [&](int64_t i) {
    return transpose(select(all, 2, i), 1, 2).detach().set_requires_grad(backward);
  };
  const Tensor q = part(0), k = part(1), v = part(2);
  for (auto _ : state) {
    const Tensor y = scaled_dot_product_attention(q, k, v, {}, {.causal = causal});
    if (backward)
      benchmark::DoNotOptimize(grad({y}, {q, k, v}, {.grad_outputs = {g}}));
    else
      benchmark::DoNotOptimize(y);
  }
  const double products = (backward ? 7 : 2) * (causal ? 0.5 : 1);
  state.counters["GFLOP/s"] =
      benchmark::Counter(2e-9 * products * static_cast<double>(batch * heads * time * time * depth),
                         benchmark::Counter::kIsIterationInvariantRate);
}

void shapes(benchmark::internal::Benchmark* bench) {
  bench->Args({8, 4, 64, 16})
      ->Args({16, 8, 128, 32})
      ->Args({4, 8, 1024, 64})
      ->Args({1, 2, 4096, 64});
}
BENCHMARK_CAPTURE(attend, forward, false, false)->Apply(shapes);
BENCHMARK_CAPTURE(attend, both, false, true)->Apply(shapes);
BENCHMARK_CAPTURE(attend, causal_forward, true, false)->Apply(shapes);
BENCHMARK_CAPTURE(attend, causal_both, true, true)->Apply(shapes);

}  // namespace

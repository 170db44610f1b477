// Products by shape: C[m, n] = A[m, k] B[k, n], with B or A as a transposed view.
#include <benchmark/benchmark.h>

#include "regrad.h"

using namespace regrad;

namespace {

void product(benchmark::State& state, bool transpose_a, bool transpose_b) {
  const int64_t m = state.range(0), k = state.range(1), n = state.range(2);
  Generator generator(1);
  const NoGrad guard;
  Tensor a = transpose_a ? transpose(randn({k, m}, generator)) : randn({m, k}, generator);
  Tensor b = transpose_b ? transpose(randn({n, k}, generator)) : randn({k, n}, generator);
  for (auto _ : state) benchmark::DoNotOptimize(matmul(a, b));
  state.counters["GFLOP/s"] = benchmark::Counter(2e-9 * static_cast<double>(m * k * n),
                                                 benchmark::Counter::kIsIterationInvariantRate);
}

void shapes(benchmark::internal::Benchmark* bench) {
  for (const int64_t n : {16, 32, 64, 128, 256, 512, 1024}) bench->Args({n, n, n});
  bench->Args({32, 256, 256})->Args({640, 256, 1024})->Args({2048, 64, 2048})->Args({1, 256, 256});
}
BENCHMARK_CAPTURE(product, nn, false, false)->Apply(shapes);
BENCHMARK_CAPTURE(product, nt, false, true)->Apply(shapes);
BENCHMARK_CAPTURE(product, tn, true, false)->Apply(shapes);

void batched(benchmark::State& state) {
  const int64_t count = state.range(0), m = state.range(1), k = state.range(2), n = state.range(3);
  const NoGrad guard;
  const Tensor a = ones({count, m, k}), b = ones({count, k, n});
  for (auto _ : state) benchmark::DoNotOptimize(bmm(a, b));
  state.counters["GFLOP/s"] = benchmark::Counter(2e-9 * static_cast<double>(count * m * k * n),
                                                 benchmark::Counter::kIsIterationInvariantRate);
}
BENCHMARK(batched)->Args({256, 20, 64, 20})->Args({64, 128, 64, 128})->Args({256, 64, 64, 64});

}  // namespace

// What recording costs: one-element tensors, where the arithmetic is nothing.
#include <benchmark/benchmark.h>

#include "regrad.h"

using namespace regrad;

namespace {

void add_without_gradient(benchmark::State& state) {
  const Tensor a = ones({1, 1}), b = ones({1, 1});
  for (auto _ : state) benchmark::DoNotOptimize(a + b);
}
BENCHMARK(add_without_gradient);

void add_recorded(benchmark::State& state) {
  const Tensor a = ones({1, 1}, {.requires_grad = true}), b = ones({1, 1});
  for (auto _ : state) benchmark::DoNotOptimize(a + b);
}
BENCHMARK(add_recorded);

Tensor chain(const Tensor& a, const Tensor& b) {
  Tensor x = a;
  for (int i = 0; i < 100; ++i) x = x + b;
  return x;
}

void chain_of_100_forward(benchmark::State& state) {
  const Tensor a = ones({1, 1}, {.requires_grad = true}), b = ones({1, 1});
  for (auto _ : state) benchmark::DoNotOptimize(chain(a, b));
}
BENCHMARK(chain_of_100_forward);

void chain_of_100_forward_backward(benchmark::State& state) {
  Tensor a = ones({1, 1}, {.requires_grad = true});
  const Tensor b = ones({1, 1});
  for (auto _ : state) {
    a.zero_grad();
    chain(a, b).backward();
  }
}
BENCHMARK(chain_of_100_forward_backward);

void matmul_16(benchmark::State& state) {
  const Tensor a = ones({16, 16}), b = ones({16, 16});
  for (auto _ : state) benchmark::DoNotOptimize(matmul(a, b));
}
BENCHMARK(matmul_16);

}  // namespace

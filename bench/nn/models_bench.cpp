// One training step of each model: forward, backward, SGD.
#include <benchmark/benchmark.h>

#include "regrad.h"

using namespace regrad;

namespace {

template <class Loss>
void train(benchmark::State& state, std::vector<Tensor> parameters, const Loss& loss) {
  optim::SGD optimizer(std::move(parameters), {.lr = 0.01});
  for (auto _ : state) {
    optimizer.zero_grad();
    loss().backward();
    optimizer.step();
  }
}

void mlp_step(benchmark::State& state) {  // three layers of `width`
  const int64_t batch = state.range(0), width = state.range(1);
  nn::Linear first(width, width), second(width, width), third(width, width);
  std::vector<Tensor> all;
  for (auto* layer : {&first, &second, &third}) {
    for (const Tensor& p : nn::parameters(*layer)) all.push_back(p);
  }
  Generator generator(1);
  const Tensor x = randn({batch, width}, generator), y = randn({batch, width}, generator);
  train(state, all, [&] { return mse_loss(third(relu(second(relu(first(x))))), y); });
}
BENCHMARK(mlp_step)->Args({16, 16})->Args({64, 256});

void tutorial_step(benchmark::State& state) {  // the tutorial's Seq2SeqModel, O = H
  const int64_t batch = state.range(0), width = state.range(1), steps = 20;
  nn::Seq2SeqModel model(width, width, width);
  Generator generator(1);
  const Tensor x = randn({batch, steps, width}, generator);
  const Tensor y = randn({batch, steps, width}, generator);
  train(state, nn::parameters(model), [&] { return mse_loss(model(x), y); });
}
BENCHMARK(tutorial_step)->Args({1, 64})->Args({32, 64})->Args({32, 256});

void gru_step(benchmark::State& state) {
  const int64_t batch = state.range(0), width = state.range(1), steps = 30;
  nn::GRU model(width, width);
  Generator generator(1);
  const Tensor x = randn({batch, steps, width}, generator);
  train(state, nn::parameters(model), [&] { return mean(square(model(x).output)); });
}
BENCHMARK(gru_step)->Args({8, 64})->Args({64, 256});

}  // namespace

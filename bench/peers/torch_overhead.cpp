// libtorch's side of the overhead cases, from C++: what PyTorch costs without Python. Answers the
// same requests as `peers --serve`. compare.py compiles it against the PyTorch it finds.
#include <torch/torch.h>

#include <chrono>
#include <cstdio>
#include <functional>
#include <iostream>
#include <map>
#include <string>

#include "bench/peers/peak.h"

namespace {

using Body = std::function<void()>;

double now_ms() {
  const auto time = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double, std::milli>(time).count();
}

Body chain(bool backward) {
  const torch::Tensor g = torch::ones({1, 1}, torch::requires_grad()), b = torch::ones({1, 1});
  return [=] {
    torch::Tensor x = g;
    for (int i = 0; i < 100; ++i) x = x + b;
    if (!backward) return;
    g.mutable_grad() = torch::Tensor();
    x.backward();
  };
}

Body mlp(int width, int batch) {
  using torch::nn::Linear;
  using torch::nn::ReLU;
  torch::nn::Sequential net(Linear(width, width), ReLU(), Linear(width, width), ReLU(),
                            Linear(width, width));
  const torch::Tensor x = torch::randn({batch, width}), y = torch::randn({batch, width});
  auto sgd = std::make_shared<torch::optim::SGD>(net->parameters(), 0.01);
  return [=]() mutable {
    sgd->zero_grad();
    torch::mse_loss(net->forward(x), y).backward();
    sgd->step();
  };
}

const std::map<std::string, std::function<Body()>> cases = {
    {"tiny_add_1x1_nograd",
     [] {
       const torch::Tensor a = torch::ones({1, 1}), b = torch::ones({1, 1});
       return [=] { a + b; };
     }},
    {"tiny_add_1x1_grad",
     [] {
       const torch::Tensor a = torch::ones({1, 1}, torch::requires_grad()), b = torch::ones({1, 1});
       return [=] { a + b; };
     }},
    {"chain100_add_1x1_forward", [] { return chain(false); }},
    {"chain100_add_1x1_forward_backward", [] { return chain(true); }},
    {"mlp3_16x16_b16_step", [] { return mlp(16, 16); }},
    {"mlp3_256x256_b64_step", [] { return mlp(256, 64); }},
};

}  // namespace

int main() {
  Body body;
  int loops = 1;
  const auto time = [&] {
    const double start = now_ms();
    for (int i = 0; i < loops; ++i) body();
    return (now_ms() - start) / loops;
  };
  for (std::string request; std::getline(std::cin, request);) {
    if (request == "names") {
      for (const auto& one : cases) std::printf("%s ", one.first.c_str());
      std::printf("\n");
    } else if (request.rfind("make ", 0) == 0 && cases.count(request.substr(5)) == 1) {
      body = cases.at(request.substr(5))();
      loops = 3;
      time();
      loops = std::max(1, static_cast<int>(30 / std::max(time(), 1e-4)));
      time();
      std::printf("made\n");
    } else if (request == "time") {
      std::printf("ms %.9g\n", time());
    } else if (request == "drop") {
      body = nullptr;
      std::printf("mem_mb %.1f\n", peak_mb());
    } else {
      std::printf("error: no such request or case: %s\n", request.c_str());
    }
    std::fflush(stdout);
  }
}

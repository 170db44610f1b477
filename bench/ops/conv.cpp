// Convolutions of LeNet, ResNet-18, a stack for speech and depthwise: forward, and with both
// gradients. Prints for each the milliseconds and GFLOP/s of a call, the best of several.
// Usage: conv [seconds for each, 0.2]. bench/peers/conv_cases.py times PyTorch beside it.
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "regrad.h"

using namespace regrad;

namespace {

struct Case {
  const char* name;
  int64_t batch, in, out;
  Size2 size, kernel;
  ConvOptions options = {};
};

const Case cases[] = {
    {"lenet_1", 32, 1, 6, 28, 5, {.padding = 2}},
    {"lenet_2", 32, 6, 16, 14, 5},
    {"lenet_3", 32, 16, 120, 5, 5},
    {"resnet_56", 4, 64, 64, 56, 3, {.padding = 1}},
    {"resnet_56_28", 4, 64, 128, 56, 3, {.stride = 2, .padding = 1}},
    {"resnet_56_28_1x1", 4, 64, 128, 56, 1, {.stride = 2}},
    {"resnet_28", 4, 128, 128, 28, 3, {.padding = 1}},
    {"resnet_28_14", 4, 128, 256, 28, 3, {.stride = 2, .padding = 1}},
    {"resnet_14", 4, 256, 256, 14, 3, {.padding = 1}},
    {"resnet_14_7", 4, 256, 512, 14, 3, {.stride = 2, .padding = 1}},
    {"resnet_7", 4, 512, 512, 7, 3, {.padding = 1}},
    {"speech_1", 1, 1, 512, {1, 16000}, {1, 10}, {.stride = {1, 5}}},
    {"speech_2", 1, 512, 512, {1, 3199}, {1, 3}, {.stride = {1, 2}}},
    {"speech_3", 1, 512, 512, {1, 1599}, {1, 3}, {.stride = {1, 2}}},
    {"speech_4", 1, 512, 512, {1, 399}, {1, 2}, {.stride = {1, 2}}},
    {"speech_mel", 1, 80, 384, {1, 3000}, {1, 3}, {.padding = {0, 1}}},
    {"depthwise_56", 4, 64, 64, 56, 3, {.padding = 1, .groups = 64}},
    {"depthwise_56_28", 4, 128, 128, 56, 3, {.stride = 2, .padding = 1, .groups = 128}},
    {"depthwise_14", 4, 512, 512, 14, 3, {.padding = 1, .groups = 512}},
    {"depthwise_7", 4, 512, 512, 7, 5, {.padding = 2, .groups = 512}},
};

// The least milliseconds of a call, within about so many seconds.
template <class Work>
double best(double seconds, const Work& work) {
  using Clock = std::chrono::steady_clock;
  work();
  double least = 1e9;
  const auto begin = Clock::now();
  for (int i = 0; i < 5 || std::chrono::duration<double>(Clock::now() - begin).count() < seconds;
       ++i) {
    const auto start = Clock::now();
    work();
    const std::chrono::duration<double, std::milli> taken = Clock::now() - start;
    least = std::min(least, taken.count());
  }
  return least;
}

void run(const Case& c, double seconds) {
  Generator generator(1);
  const TensorOptions wanted{.requires_grad = true};
  Tensor x = randn({c.batch, c.in, c.size.rows, c.size.columns}, generator, wanted);
  Tensor w =
      randn({c.out, c.in / c.options.groups, c.kernel.rows, c.kernel.columns}, generator, wanted);
  const Tensor g = ones_like(conv2d(x, w, {}, c.options));
  const double flop = 2e-6 * static_cast<double>(g.numel() * w.numel() / c.out);
  const double forward = best(seconds, [&] {
    const NoGrad guard;
    conv2d(x, w, {}, c.options);
  });
  const double both = best(seconds, [&] {
    x.zero_grad(), w.zero_grad();
    conv2d(x, w, {}, c.options).backward(g);
  });
  std::printf("case %s threads %d forward %.4f ms %.1f GFLOP/s both %.4f ms %.1f GFLOP/s\n", c.name,
              num_threads(), forward, flop / forward, both, 3 * flop / both);
  std::fflush(stdout);
}

}  // namespace

int main(int count, char** arguments) {
  const double seconds = count > 1 ? std::atof(arguments[1]) : 0.2;
  for (const Case& one : cases) run(one, seconds);
}

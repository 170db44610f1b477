// Layers of images: nn/conv.h, and the small ones of nn/layers.h and nn/normalise.h.
#include <doctest/doctest.h>

#include <cmath>

#include "regrad.h"
#include "tests/errors.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("nn");

double largest(const Tensor& x) { return max(abs(x)).item<double>(); }

TEST_CASE("the shapes and first values of convolutions") {
  const nn::Conv2d conv(8, 12, {3, 5}, {.stride = 2, .padding = {1, 2}, .groups = 4});
  CHECK(conv.weight.shape() == Shape{12, 2, 3, 5});
  CHECK(conv.bias.shape() == Shape{12});
  const double limit = 1 / std::sqrt(2.0 * 3 * 5);
  CHECK(largest(conv.weight) <= limit);
  CHECK(largest(conv.weight) > 0.9 * limit);
  CHECK(largest(conv.bias) <= limit);
  CHECK(conv(zeros({2, 8, 9, 9})).shape() == Shape{2, 12, 5, 5});
  const nn::Conv1d line(6, 4, 3, {.padding = 1, .bias = false});
  CHECK(line.weight.shape() == Shape{4, 6, 3});
  CHECK(nn::num_parameters(line) == 4 * 6 * 3);
  CHECK(line(zeros({2, 6, 9})).shape() == Shape{2, 4, 9});
  const nn::ConvTranspose2d up(6, 4, 2, {.stride = 2, .groups = 2});
  CHECK(up.weight.shape() == Shape{6, 2, 2, 2});
  CHECK(largest(up.weight) <= 1 / std::sqrt(2.0 * 2 * 2));
  CHECK(up(zeros({1, 6, 5, 5})).shape() == Shape{1, 4, 10, 10});
  CHECK_ERROR(nn::Conv2d(4, 6, 3, {.groups = 4}),
              "Conv2d: 4 groups do not divide 4 and 6 channels");
  CHECK_ERROR(nn::Conv1d(4, 6, 0), "Conv1d: channels and kernel must be 1 or more");
}

TEST_CASE("a small network of images learns") {
  Generator generator(3);
  nn::manual_seed(1);
  nn::Sequential net(nn::Conv2d(1, 4, 3, {.padding = 1}), nn::BatchNorm2d(4), nn::ReLU(),
                     nn::MaxPool2d{2}, nn::Conv2d(4, 8, 3), nn::GroupNorm(2, 8), nn::LeakyReLU(),
                     nn::AvgPool2d{2}, nn::Dropout2d(0.1), nn::Flatten(), nn::Linear(8, 2));
  const Tensor x = randn({16, 1, 8, 8}, generator);
  const Tensor target = (mean(x, {1, 2, 3}) > 0).to(int64);
  optim::Adam optimizer(nn::parameters(net), {.lr = 0.02});
  double first = 0, last = 0;
  for (int i = 0; i < 60; ++i) {
    optimizer.zero_grad();
    const Tensor loss = cross_entropy(net(x), target);
    loss.backward();
    optimizer.step();
    last = loss.item<double>();
    if (i == 0) first = last;
  }
  CHECK(last < first / 3);
}

TEST_CASE("small layers") {
  const Tensor x = tensor({-2.0f, 0.0f, 3.0f, -1.0f}, {1, 4});
  CHECK(nn::LeakyReLU{0.5}(x).to_vector<float>() == std::vector<float>{-1, 0, 3, -0.5});
  CHECK(nn::Identity()(x).to_vector<float>() == x.to_vector<float>());
  CHECK(sum(nn::Softmax{1}(x)).item<double>() == doctest::Approx(1));
  CHECK(nn::SiLU()(x).shape() == x.shape());
  CHECK(nn::Flatten()(zeros({2, 3, 4})).shape() == Shape{2, 12});
  const nn::RMSNorm norm(4);
  CHECK(mean(mul(norm(x), norm(x))).item<double>() == doctest::Approx(1).epsilon(1e-4));
  CHECK_ERROR(nn::GroupNorm(3, 4), "GroupNorm: 3 groups do not divide 4 channels");
}

TEST_CASE("Dropout2d drops whole channels") {
  Generator generator(5);
  nn::Dropout2d drop(0.5, generator);
  const Tensor y = drop(ones({4, 16, 3, 3}));
  const std::vector<float> values = y.to_vector<float>();
  int dropped = 0;
  for (size_t i = 0; i < values.size(); i += 9) {
    for (size_t j = 1; j < 9; ++j) CHECK(values[i + j] == values[i]);
    CHECK((values[i] == 0 || values[i] == 2));
    dropped += values[i] == 0;
  }
  CHECK(dropped > 16);
  CHECK(dropped < 48);
  nn::eval(drop);
  CHECK(min(drop(ones({1, 2, 2, 2}))).item<double>() == 1);
  CHECK_ERROR(nn::Dropout2d(1.5), "Dropout2d: the chance must be in [0, 1]");
}

TEST_SUITE_END();

}  // namespace

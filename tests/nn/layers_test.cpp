// Layers and first values.
#include "tests/errors.h"
#include "tests/nn/patterns.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("nn");

double deviation(const Tensor& x) { return std::sqrt(var(x).item<double>()); }

TEST_CASE("first values have PyTorch's distributions and depend on the generator alone") {
  Generator one(5), same(5);
  const nn::Linear a(400, 300, {}, one), b(400, 300, {}, same);
  CHECK(largest_difference(a.weight, b.weight) == 0);
  CHECK(max(abs(a.weight)).item<double>() <= 0.05);
  CHECK(deviation(a.weight) == doctest::Approx(0.05 / std::sqrt(3.0)).epsilon(0.02));
  CHECK(max(abs(a.bias)).item<double>() <= 0.05);
  const nn::Embedding table(500, 40, {.padding_idx = 3}, one);
  CHECK(deviation(table.weight) == doctest::Approx(1).epsilon(0.02));
  CHECK(sum(abs(select(table.weight, 0, 3))).item<double>() == 0);
  const Tensor w = zeros({300, 400});
  CHECK(deviation(nn::init::xavier_uniform_(w)) ==
        doctest::Approx(std::sqrt(2 / 700.0)).epsilon(0.02));
  CHECK(deviation(nn::init::xavier_normal_(w)) ==
        doctest::Approx(std::sqrt(2 / 700.0)).epsilon(0.02));
  CHECK(deviation(nn::init::kaiming_uniform_(w)) ==
        doctest::Approx(std::sqrt(2 / 400.0)).epsilon(0.02));
  CHECK(deviation(nn::init::kaiming_normal_(w, 1)) ==
        doctest::Approx(std::sqrt(1 / 400.0)).epsilon(0.02));
  CHECK(mean(nn::init::ones_(w)).item<double>() == 1);
  CHECK_ERROR(nn::init::xavier_normal_(zeros({3})), "[3]");
}

TEST_CASE("manual_seed repeats what the default generator gives") {
  nn::manual_seed(7);
  const nn::Linear a(3, 4);
  nn::manual_seed(7);
  const nn::Linear b(3, 4);
  const nn::Linear c(3, 4);
  CHECK(largest_difference(a.weight, b.weight) == 0);
  CHECK(largest_difference(c.weight, b.weight) > 0);
}

TEST_CASE("linear without bias, layer norm, embedding with padding") {
  const nn::Linear plain(2, 3, {.bias = false});
  CHECK(nn::parameters(plain).size() == 1);
  CHECK(plain(ones({5, 4, 2})).shape() == Shape{5, 4, 3});
  const nn::LayerNorm norm(4, {.eps = 0});
  CHECK(largest_difference(norm(tensor({1.0f, 1.0f, 3.0f, 3.0f}, {1, 4})), {-1, -1, 1, 1}) < 1e-6);
  const nn::Embedding table(5, 2, {.padding_idx = 0});
  sum(table(tensor({0, 1, 1}, {1, 3}))).backward();
  CHECK(largest_difference(table.weight.grad(), {0, 0, 2, 2, 0, 0, 0, 0, 0, 0}) == 0);
  CHECK_ERROR(nn::Embedding(5, 2, {.padding_idx = 5}), "padding_idx 5");
  CHECK_ERROR(nn::Dropout(1.5), "1.5");
}

TEST_CASE("dropout keeps the mean, repeats from a generator, and two layers differ") {
  Generator generator(1), again(1);
  const nn::Dropout a(0.25, generator), b(0.25, again), c(0.25, generator);
  const Tensor x = ones({100, 100});
  const Tensor y = a(x);
  CHECK(mean(y).item<double>() == doctest::Approx(1).epsilon(0.02));
  CHECK(max(y).item<double>() == doctest::Approx(4.0 / 3));
  CHECK(largest_difference(y, b(x)) == 0);
  CHECK(largest_difference(y, c(x)) > 0);
  CHECK(largest_difference(y, a(x)) > 0);
}

TEST_CASE("activations in a sequence") {
  const Tensor x = tensor({-1.0, 0.0, 2.0}, {3});
  CHECK(largest_difference(nn::Sequential(nn::ReLU())(x), relu(x)) == 0);
  CHECK(largest_difference(nn::Sequential(nn::GELU(), nn::Sigmoid())(x), sigmoid(gelu(x))) == 0);
  nn::Sequential grown;
  grown.add(nn::Tanh()).add([](const Tensor& y) { return -y; });
  CHECK(grown.size() == 2);
  CHECK(largest_difference(grown(x), -tanh(x)) == 0);
}

TEST_CASE("layers of a size that no memory has are an error") {
  for (const int64_t size : {INT64_MAX, INT64_MAX - 1, INT64_MAX / 2, int64_t{1} << 61}) {
    CHECK_ERROR(nn::Linear(size, 2), "too large");
    CHECK_ERROR(nn::Linear(2, size), "too large");
    CHECK_ERROR(nn::Embedding(size, 2), "too large");
    CHECK_ERROR(nn::LayerNorm(size), "too large");
    CHECK_ERROR(nn::RNN(2, size), "too large");
    CHECK_ERROR(nn::GRU(2, size), "too large");
    CHECK_ERROR(nn::LSTM(2, size, {.layers = 2, .bidirectional = true}), "too large");
    CHECK_ERROR(nn::MultiheadAttention(size, 1), "too large");
    CHECK_ERROR(nn::sinusoidal_positions(size, 2), "too large");
  }
}

TEST_SUITE_END();

}  // namespace

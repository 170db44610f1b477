// Single ops; fb_ is forward and backward.
#include <functional>
#include <memory>

#include "bench/peers/case.h"

using namespace regrad;

namespace peers {
namespace {

using Op = std::function<Tensor(const Tensor&)>;
Generator generator(1);

Tensor random(const Shape& shape, bool gradient = false) {
  return randn(shape, generator, {.requires_grad = gradient});
}

void forward(const std::string& name, const Shape& shape, const Op& op, Need need) {
  add_case(
      name,
      [=] {
        const Tensor x = random(shape);
        return [=] { op(x); };
      },
      need);
}

void both(const std::string& name, const Shape& shape, const Op& op, Need need) {
  add_case(
      "fb_" + name,
      [=] {
        Tensor x = random(shape, true);
        const Tensor g = random(op(x.detach()).shape());
        return [=]() mutable {
          x.zero_grad();
          op(x).backward(g);
        };
      },
      need);
}

// n numbers read or written so many times, with so many exponentials each.
Need passes(int64_t n, double times, double exponentials = 0) {
  const auto count = static_cast<double>(n);
  return {0, 4 * count * times, count * exponentials};
}

// b products of [m, k] and [k, n], so many of them.
Need product(int64_t b, int64_t m, int64_t k, int64_t n, double times) {
  return {2 * times * static_cast<double>(b * m * k * n),
          4 * times * static_cast<double>(b * (m * k + k * n + m * n)), 0};
}

// Forward, and forward with backward: one more number read (the gradient) and two written, and for
// functions whose slope is of x the value's exponential and the slope's in one.
void unary(const std::string& name, int64_t n, const Op& op, double exponentials, double slopes) {
  forward(name, {n}, op, passes(n, 2, exponentials));
  both(name, {n}, op, passes(n, 5, exponentials + slopes));
}

void pointwise(int64_t n, const std::string& tag) {
  add_case(
      "add_" + tag,
      [=] {
        const Tensor a = random({n}), b = random({n});
        return [=] { a + b; };
      },
      passes(n, 3));
  add_case(
      "mul_" + tag,
      [=] {
        const Tensor a = random({n}), b = random({n});
        return [=] { a* b; };
      },
      passes(n, 3));
  const Tensor b = random({n}, true);
  both(
      "mul_" + tag, {n}, [=](const Tensor& x) { return x * b.detach(); }, passes(n, 5));
  unary(
      "exp_" + tag, n, [](const Tensor& x) { return exp(x); }, 1, 0);
  unary(
      "tanh_" + tag, n, [](const Tensor& x) { return tanh(x); }, 1, 0);
  unary(
      "sigmoid_" + tag, n, [](const Tensor& x) { return sigmoid(x); }, 1, 0);
  unary(
      "gelu_" + tag, n, [](const Tensor& x) { return gelu(x); }, 1, 1);
  unary(
      "relu_" + tag, n, [](const Tensor& x) { return relu(x); }, 0, 0);
}

// To one number, and what trains with it.
void scalars(int64_t n, const std::string& tag) {
  forward(
      "sum_" + tag, {n}, [](const Tensor& x) { return sum(x); }, passes(n, 1));
  both(
      "mean_" + tag, {n}, [](const Tensor& x) { return mean(x); }, passes(n, 2));
  const Tensor y = random({n}), t = rand({n}, generator);
  both(
      "mse_loss_" + tag, {n}, [=](const Tensor& x) { return mse_loss(x, y); }, passes(n, 5));
  both(
      "bce_logits_" + tag, {n},
      [=](const Tensor& x) { return binary_cross_entropy_with_logits(x, t); }, passes(n, 5, 2));
  auto chance = std::make_shared<Generator>(1);
  both(
      "dropout_" + tag, {n}, [=](const Tensor& x) { return dropout(x, 0.1, *chance); },
      passes(n, 4));
}

void cross_entropy_case(int64_t r, int64_t c) {
  const Tensor targets = randint(0, c, {r}, generator);
  add_case(
      "fb_log_softmax_nll_" + std::to_string(r) + "x" + std::to_string(c),
      [=] {
        Tensor x = random({r, c}, true);
        return [=]() mutable {
          x.zero_grad();
          cross_entropy(x, targets).backward();
        };
      },
      passes(r * c, 3, 1));
}

void rows(int64_t r, int64_t c) {
  const std::string tag = std::to_string(r) + "x" + std::to_string(c);
  const Op soft = [](const Tensor& x) { return softmax(x, -1); };
  const int64_t n = r * c;
  forward("softmax_" + tag, {r, c}, soft, passes(n, 2, 1));
  both("softmax_" + tag, {r, c}, soft, passes(n, 5, 1));
  const Op columns = [](const Tensor& x) { return softmax(x, 0); };
  forward("softmax_axis0_" + tag, {r, c}, columns, passes(n, 2, 1));
  both("softmax_axis0_" + tag, {r, c}, columns, passes(n, 5, 1));
  both(
      "log_softmax_" + tag, {r, c}, [](const Tensor& x) { return log_softmax(x, -1); },
      passes(n, 5, 2));
  cross_entropy_case(r, c);
  const Tensor w = random({c}, true), b = random({c}, true);
  forward(
      "layer_norm_" + tag, {r, c},
      [=](const Tensor& x) { return layer_norm(x, w.detach(), b.detach()); }, passes(n, 2));
  both(
      "layer_norm_" + tag, {r, c}, [=](const Tensor& x) { return layer_norm(x, w, b); },
      passes(n, 5));
  forward(
      "sum_axis0_" + tag, {r, c}, [](const Tensor& x) { return sum(x, 0); }, passes(n, 1));
  forward(
      "sum_axis1_" + tag, {r, c}, [](const Tensor& x) { return sum(x, 1); }, passes(n, 1));
  both(
      "sum_axis0_" + tag, {r, c}, [](const Tensor& x) { return sum(x, 0); }, passes(n, 2));
  both(
      "sum_axis1_" + tag, {r, c}, [](const Tensor& x) { return sum(x, 1); }, passes(n, 2));
  forward(
      "max_axis0_" + tag, {r, c}, [](const Tensor& x) { return max(x, 0); }, passes(n, 1));
  forward(
      "max_axis1_" + tag, {r, c}, [](const Tensor& x) { return max(x, 1); }, passes(n, 1));
  forward(
      "transpose_contig_" + tag, {r, c}, [](const Tensor& x) { return transpose(x).contiguous(); },
      passes(n, 2));
}

void products() {
  struct Batch {
    int64_t b, m, k, n;
  };
  for (const auto [b, m, k, n] :
       {Batch{256, 20, 64, 20}, Batch{64, 128, 64, 128}, Batch{256, 64, 64, 64}}) {
    const std::string tag = std::to_string(b) + "x" + std::to_string(m) + "x" + std::to_string(k) +
                            "x" + std::to_string(n);
    const Tensor y = random({b, k, n}), z = random({b, n, k});
    forward(
        "bmm_" + tag, {b, m, k}, [=](const Tensor& x) { return bmm(x, y); },
        product(b, m, k, n, 1));
    forward(
        "bmm_nt_" + tag, {b, m, k}, [=](const Tensor& x) { return bmm(x, transpose(z)); },
        product(b, m, k, n, 1));
    const Tensor v = random({b, k, n}, true);
    both(
        "bmm_" + tag, {b, m, k}, [=](const Tensor& x) { return bmm(x, v); },
        product(b, m, k, n, 3));
  }
  struct Layer {
    int64_t m, k, n;
  };
  for (const auto [m, k, n] :
       {Layer{32, 256, 256}, Layer{640, 256, 1024}, Layer{32, 512, 10000}, Layer{2048, 64, 2048},
        Layer{1, 256, 256}, Layer{512, 512, 512}, Layer{1024, 1024, 1024}}) {
    const std::string tag = std::to_string(m) + "x" + std::to_string(k) + "x" + std::to_string(n);
    const Tensor w = random({n, k}, true), b = random({n}, true);
    forward(
        "linear_" + tag, {m, k}, [=](const Tensor& x) { return linear(x, w.detach(), b.detach()); },
        product(1, m, k, n, 1));
    both(
        "linear_" + tag, {m, k}, [=](const Tensor& x) { return linear(x, w, b); },
        product(1, m, k, n, 3));
  }
}

}  // namespace

void op_cases() {
  pointwise(4096, "4k");
  pointwise(262144, "256k");
  pointwise(1 << 20, "1m");
  pointwise(1 << 24, "16m");
  const Tensor row = random({1024});
  forward(
      "add_bias_1024x1024", {1024, 1024}, [=](const Tensor& x) { return x + row; },
      passes(1 << 20, 2));
  rows(1024, 1024);
  both(
      "add_bias_1024x1024", {1024, 1024},
      [bias = random({1024}, true)](const Tensor& x) { return x + bias; }, passes(1 << 20, 4));
  rows(4096, 64);
  rows(4096, 5);
  rows(4096, 30);
  cross_entropy_case(768, 8000);
  scalars(262144, "256k");
  scalars(1 << 24, "16m");
  forward(
      "transpose_heads_16x128x8x32", {16, 128, 8, 32},
      [](const Tensor& x) { return transpose(x, 1, 2).contiguous(); }, passes(1 << 19, 2));
  for (const int64_t count : {64, 8000}) {
    const Tensor index = randint(0, count, {64, 30}, generator);
    const std::string tag = "embedding_" + std::to_string(count) + "x256_n1920";
    const int64_t taken = index.numel() * 256;
    forward(
        tag, {count, 256}, [=](const Tensor& w) { return embedding(w, index); }, passes(taken, 2));
    both(
        tag, {count, 256}, [=](const Tensor& w) { return embedding(w, index); },
        passes(3 * taken + count * 256, 1));
  }
  products();
}

void large_cases() {
  pointwise(1 << 26, "64m");
  scalars(1 << 26, "64m");
  rows(65536, 1024);
  rows(16384, 4096);
}

}  // namespace peers

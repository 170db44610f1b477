// Single ops; fb_ is forward and backward.
#include <functional>

#include "bench/peers/case.h"

using namespace regrad;

namespace peers {
namespace {

using Op = std::function<Tensor(const Tensor&)>;
Generator generator(1);

Tensor random(const Shape& shape, bool gradient = false) {
  return randn(shape, generator, {.requires_grad = gradient});
}

void forward(const std::string& name, const Shape& shape, const Op& op) {
  run_case(name, [=] {
    const Tensor x = random(shape);
    return [=] { op(x); };
  });
}

void both(const std::string& name, const Shape& shape, const Op& op) {
  run_case("fb_" + name, [=] {
    Tensor x = random(shape, true);
    const Tensor g = random(op(x.detach()).shape());
    return [=]() mutable {
      x.zero_grad();
      op(x).backward(g);
    };
  });
}

void pointwise(int64_t n, const std::string& tag) {
  run_case("add_" + tag, [=] {
    const Tensor a = random({n}), b = random({n});
    return [=] { a + b; };
  });
  forward("exp_" + tag, {n}, [](const Tensor& x) { return exp(x); });
  forward("tanh_" + tag, {n}, [](const Tensor& x) { return tanh(x); });
  forward("sigmoid_" + tag, {n}, [](const Tensor& x) { return sigmoid(x); });
  forward("gelu_" + tag, {n}, [](const Tensor& x) { return gelu(x); });
  forward("relu_" + tag, {n}, [](const Tensor& x) { return relu(x); });
}

void rows(int64_t r, int64_t c) {
  const std::string tag = std::to_string(r) + "x" + std::to_string(c);
  const Op soft = [](const Tensor& x) { return softmax(x, -1); };
  forward("softmax_" + tag, {r, c}, soft);
  both("softmax_" + tag, {r, c}, soft);
  const Tensor targets = randint(0, c, {r}, generator);
  run_case("fb_log_softmax_nll_" + tag, [=] {
    Tensor x = random({r, c}, true);
    return [=]() mutable {
      x.zero_grad();
      cross_entropy(x, targets).backward();
    };
  });
  const Tensor w = random({c}, true), b = random({c}, true);
  forward("layer_norm_" + tag, {r, c},
          [=](const Tensor& x) { return layer_norm(x, w.detach(), b.detach()); });
  both("layer_norm_" + tag, {r, c}, [=](const Tensor& x) { return layer_norm(x, w, b); });
  forward("sum_axis0_" + tag, {r, c}, [](const Tensor& x) { return sum(x, 0); });
  forward("sum_axis1_" + tag, {r, c}, [](const Tensor& x) { return sum(x, 1); });
  forward("max_axis1_" + tag, {r, c}, [](const Tensor& x) { return max(x, 1); });
  forward("transpose_contig_" + tag, {r, c},
          [](const Tensor& x) { return transpose(x).contiguous(); });
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
    forward("bmm_" + tag, {b, m, k}, [=](const Tensor& x) { return bmm(x, y); });
    forward("bmm_nt_" + tag, {b, m, k}, [=](const Tensor& x) { return bmm(x, transpose(z)); });
    const Tensor v = random({b, k, n}, true);
    both("bmm_" + tag, {b, m, k}, [=](const Tensor& x) { return bmm(x, v); });
  }
  struct Layer {
    int64_t m, k, n;
  };
  for (const auto [m, k, n] : {Layer{32, 256, 256}, Layer{640, 256, 1024}, Layer{32, 512, 10000},
                               Layer{2048, 64, 2048}, Layer{1, 256, 256}, Layer{512, 512, 512},
                               Layer{1024, 1024, 1024}}) {
    const std::string tag =
        std::to_string(m) + "x" + std::to_string(k) + "x" + std::to_string(n);
    const Tensor w = random({n, k}, true), b = random({n}, true);
    forward("linear_" + tag, {m, k},
            [=](const Tensor& x) { return linear(x, w.detach(), b.detach()); });
    both("linear_" + tag, {m, k}, [=](const Tensor& x) { return linear(x, w, b); });
  }
}

}  // namespace

void op_cases() {
  pointwise(4096, "4k");
  pointwise(262144, "256k");
  pointwise(1 << 20, "1m");
  pointwise(1 << 24, "16m");
  const Tensor row = random({1024});
  forward("add_bias_1024x1024", {1024, 1024}, [=](const Tensor& x) { return x + row; });
  rows(1024, 1024);
  rows(4096, 64);
  forward("transpose_heads_16x128x8x32", {16, 128, 8, 32},
          [](const Tensor& x) { return transpose(x, 1, 2).contiguous(); });
  for (const int64_t count : {64, 8000}) {
    const Tensor index = randint(0, count, {64, 30}, generator);
    const std::string tag = "embedding_" + std::to_string(count) + "x256_n1920";
    forward(tag, {count, 256}, [=](const Tensor& w) { return embedding(w, index); });
    both(tag, {count, 256}, [=](const Tensor& w) { return embedding(w, index); });
  }
  products();
}

}  // namespace peers

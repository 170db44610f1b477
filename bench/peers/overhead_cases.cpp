// One-element tensors and small networks: what everything but arithmetic costs.
#include "bench/peers/case.h"

using namespace regrad;

namespace peers {
namespace {

struct Mlp {
  nn::Linear a, b, c;
  explicit Mlp(int64_t width) : a(width, width), b(width, width), c(width, width) {}
  Tensor operator()(const Tensor& x) const { return c(relu(b(relu(a(x))))); }
  void visit(auto&& each) {
    each("0", a);
    each("2", b);
    each("4", c);
  }
};

auto mlp_step(int64_t width, int64_t batch) {
  return [=] {
    Generator generator(1);
    Mlp model(width);
    const Tensor x = randn({batch, width}, generator), y = randn({batch, width}, generator);
    optim::SGD sgd(nn::parameters(model), {.lr = 0.01});
    return [=]() mutable {
      sgd.zero_grad();
      mse_loss(model(x), y).backward();
      sgd.step();
    };
  };
}

}  // namespace

void overhead_cases() {
  const Tensor a = ones({1, 1}), b = ones({1, 1}), g = ones({1, 1}, {.requires_grad = true});
  add_case("tiny_add_1x1_nograd", [=] { return [=] { a + b; }; });
  add_case("tiny_add_1x1_grad", [=] { return [=] { g + b; }; });
  const auto chain = [=] {
    Tensor x = g;
    for (int i = 0; i < 100; ++i) x = x + b;
    return x;
  };
  add_case("chain100_add_1x1_forward", [=] { return [=] { chain(); }; });
  add_case("chain100_add_1x1_forward_backward", [=] {
    return [=, leaf = g]() mutable {
      leaf.zero_grad();
      chain().backward();
    };
  });
  for (const auto& [width, batch] : {std::pair{16, 16}, {256, 64}}) {
    const std::string size = std::to_string(width) + "x" + std::to_string(width);
    add_case("mlp3_" + size + "_b" + std::to_string(batch) + "_step", mlp_step(width, batch),
             {8 * 2.0 * batch * width * width, 0, 0});  // the first layer's input wants no gradient
  }
}

}  // namespace peers

// Buffers: what nn/module.h does with them, and the layers that have some (nn/normalise.h).
#include <doctest/doctest.h>

#include "regrad.h"
#include "tests/errors.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("nn");

struct Block {
  nn::Conv2d conv{2, 4, 3};
  nn::BatchNorm2d norm{4};
  Tensor operator()(const Tensor& x) const { return norm(conv(x)); }
  void visit(auto&& each) {
    each("conv", conv);
    each("norm", norm);
  }
};

std::vector<std::string> names(const nn::NamedTensors& tensors) {
  std::vector<std::string> all;
  for (const auto& [name, tensor] : tensors) all.push_back(name);
  return all;
}

TEST_CASE("buffers are saved and moved, and neither trained nor counted") {
  Block block;
  CHECK(names(nn::named_parameters(block)) ==
        std::vector<std::string>{"conv.weight", "conv.bias", "norm.weight", "norm.bias"});
  CHECK(names(nn::named_buffers(block)) == std::vector<std::string>{"norm.running_mean",
                                                                    "norm.running_var",
                                                                    "norm.num_batches_tracked"});
  CHECK(nn::buffers(block).size() == 3);
  CHECK(nn::num_parameters(block) == 4 * 2 * 9 + 4 + 4 + 4);
  CHECK(names(nn::state_dict(block)) ==
        std::vector<std::string>{"conv.weight", "conv.bias", "norm.weight", "norm.bias",
                                 "norm.running_mean", "norm.running_var",
                                 "norm.num_batches_tracked"});
  for (const Tensor& buffer : nn::buffers(block)) CHECK(!buffer.requires_grad());
  nn::to(block, float64);
  CHECK(block.norm.running_mean.dtype() == float64);
  CHECK(block.norm.num_batches_tracked.dtype() == int64);
  const Block copy = nn::clone(block);
  block.norm.running_mean.fill_(7);
  CHECK(max(copy.norm.running_mean).item<double>() == 0);
  Block other;
  nn::to(other, float64);
  nn::load_state_dict(other, nn::state_dict(block));
  CHECK(min(other.norm.running_mean).item<double>() == 7);
  nn::NamedTensors state = nn::state_dict(block);
  state.pop_back();
  CHECK_ERROR(nn::load_state_dict(other, state), "missing: norm.num_batches_tracked");
}

TEST_CASE("batch norm: the batch's moments in training, the running ones in evaluation") {
  Block block;
  Generator generator(1);
  const Tensor x = add(mul(randn({8, 2, 6, 6}, generator), 3), 5);
  const Tensor y = block(x);
  CHECK(max(abs(mean(y, {0, 2, 3}))).item<double>() < 1e-4);
  CHECK(block.norm.num_batches_tracked.item<int64_t>() == 1);
  for (int i = 0; i < 200; ++i) block(x);
  nn::eval(block);
  const Tensor evaluated = block(x);
  CHECK(max(abs(sub(evaluated, y))).item<double>() < 0.02);  // var with and without correction
  CHECK(block.norm.num_batches_tracked.item<int64_t>() == 201);
  nn::train(block);
  sum(mul(block(x), block(x))).backward();
  CHECK(block.norm.weight.grad().defined());
  CHECK(!block.norm.running_mean.grad().defined());
}

TEST_CASE("the ranks that batch norms take") {
  CHECK_ERROR(nn::BatchNorm2d(3)(zeros({2, 3, 4})),
              "BatchNorm2d: takes [n, c, h, w], not [2, 3, 4]");
  CHECK_ERROR(nn::BatchNorm1d(3)(zeros({2, 3, 4, 4})), "BatchNorm1d: takes [n, c] or [n, c, t]");
  CHECK(nn::BatchNorm1d(3)(ones({2, 3})).shape() == Shape{2, 3});
  CHECK(nn::BatchNorm1d(3, {.affine = false})(ones({2, 3, 5})).shape() == Shape{2, 3, 5});
}

TEST_SUITE_END();

}  // namespace

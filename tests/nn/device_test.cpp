// What holds between the cpu and a GPU. Without a GPU: that the answer is one clear error.
#include <doctest/doctest.h>

#include <cstring>
#include <filesystem>

#include "nn/checkpoint.h"
#include "nn/seq2seq.h"
#include "nn/transformer_seq2seq.h"
#include "ops/backend.h"
#include "ops/ops.h"
#include "optim/optim.h"
#include "tests/errors.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("device");

// Runs the body on the devices as a program finds them at its start.
template <class Body>
void with_gpu(const Body& body) {
  if (!cuda_is_available()) {
    CHECK_ERROR(cuda(), "cuda: ");
    MESSAGE("skipped: no GPU");
    return;
  }
  const Device before = default_device();
  set_default_device(cpu);
  body(cuda());
  set_default_device(before);
}

template <class T>
void check_same_numbers(const Tensor& a, const Tensor& b) {
  const std::vector<T> x = a.to_vector<T>(), y = b.to_vector<T>();
  REQUIRE(x.size() == y.size());
  CHECK(std::memcmp(x.data(), y.data(), x.size() * sizeof(T)) == 0);
}

TEST_CASE("random numbers have the same bits on every device") {
  with_gpu([](Device gpu) {
    for (const int64_t count : {1, 2, 1001, 100'003}) {
      for (const auto draw : {rand, randn}) {
        Generator first(7, 3), second(7, 3), third(7, 3), fourth(7, 3);
        check_same_numbers<float>(draw({count}, first, {.dtype = float32, .device = cpu}),
                                  draw({count}, second, {.dtype = float32, .device = gpu}));
        check_same_numbers<double>(draw({count}, third, {.dtype = float64, .device = cpu}),
                                   draw({count}, fourth, {.dtype = float64, .device = gpu}));
      }
    }
  });
}

// The loss of the last of a few steps; ids are made on the cpu and moved, lengths stay.
template <class Model>
double trained(Model& model, Device device) {
  optim::Adam adam(nn::parameters(model), {.lr = 0.01});
  const Tensor lengths = tensor({3, 2}, {2});
  double last = 0;
  for (int step = 0; step < 5; ++step) {
    const Tensor source = tensor({1, 2, 3, 4, 5, 0}, {2, 3}).to(device);
    const Tensor target = tensor({1, 2, 3, 4}, {2, 2}).to(device);
    const Tensor logits = model(source, lengths, target).logits;
    const Tensor loss = cross_entropy(flatten(logits, 0, 1), flatten(target));
    adam.zero_grad();
    loss.backward();
    optim::clip_grad_norm(nn::parameters(model), 1);
    adam.step();
    last = loss.item<double>();
  }
  return last;
}

template <class Model>
void check_trains_alike(const Model& made, Device gpu) {
  Model here = nn::clone(made), there = nn::clone(made);
  nn::to(there, gpu);
  for (const Tensor& parameter : nn::parameters(there)) CHECK(parameter.device() == gpu);
  const double on_cpu = trained(here, cpu), on_gpu = trained(there, gpu);
  CHECK(on_gpu == doctest::Approx(on_cpu).epsilon(1e-4));

  const std::string path =
      (std::filesystem::temp_directory_path() / "regrad_device.safetensors").string();
  nn::save_safetensors(path, nn::state_dict(there));
  nn::load_state_dict(here, nn::load_safetensors(path).tensors);
  std::filesystem::remove(path);
  for (const auto& one : nn::named_parameters(here)) {
    INFO(one.first);
    CHECK(one.second.device() == cpu);
    check_same_numbers<float>(one.second, nn::named_parameters(there).at(one.first));
  }
}

TEST_CASE("a model moved to a GPU trains as on the cpu, and its weights come back") {
  with_gpu([](Device gpu) {
    Generator generator(1);
    check_trains_alike(
        nn::Seq2Seq(20, 30, {.embedding = 8, .hidden = 8, .dropout = 0.1}, generator), gpu);
    check_trains_alike(nn::TransformerSeq2Seq(20, 30,
                                              {.dim = 8,
                                               .heads = 2,
                                               .encoder_layers = 1,
                                               .decoder_layers = 1,
                                               .feedforward = 16,
                                               .dropout = 0.1},
                                              generator),
                       gpu);
  });
}

TEST_CASE("the same bits from run to run") {
  with_gpu([](Device gpu) {
    const auto run = [gpu] {
      Generator generator(1);
      nn::Seq2Seq model(20, 30, {.embedding = 8, .hidden = 8, .dropout = 0.1}, generator);
      nn::to(model, gpu);
      trained(model, gpu);
      return nn::named_parameters(model);
    };
    const auto first = run(), second = run();
    for (const auto& one : first) {
      INFO(one.first);
      check_same_numbers<float>(one.second, second.at(one.first));
    }
  });
}

TEST_CASE("devices do not mix, and say so") {
  with_gpu([](Device gpu) {
    const Tensor here = ones({2, 3}), there = here.to(gpu);
    CHECK_ERROR(there.data<float>(), "data: this tensor is on cuda; to(cpu) is a copy");
    CHECK_ERROR(here + there, "add: [2, 3] is on cpu and [2, 3] on cuda; move one with to(device)");
    CHECK(there.str() == "[[1, 1, 1],\n [1, 1, 1]]  [2, 3] float32 cuda");
    CHECK(here.to(gpu).to(cpu).to_vector<float>() == here.to_vector<float>());
    CHECK(transpose(there).to(cpu).shape() == Shape{3, 2});
    Tensor leaf = ones({3});
    leaf.set_requires_grad(true);
    sum(square(leaf.to(gpu))).backward();
    CHECK(leaf.grad().device() == cpu);
    CHECK(leaf.grad().to_vector<float>() == std::vector<float>{2, 2, 2});
  });
}

TEST_SUITE_END();

}  // namespace

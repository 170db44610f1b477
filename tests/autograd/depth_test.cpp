// Graphs of any depth, on a small stack: nothing in building, backward or freeing recurses.
#include <doctest/doctest.h>
#include <pthread.h>

#include <functional>

#include "regrad.h"

using namespace regrad;

namespace {

void on_small_stack(const std::function<void()>& body) {  // 256 KiB
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, size_t{256} << 10);
  pthread_t thread;
  const auto start = [](void* argument) -> void* {
    (*static_cast<const std::function<void()>*>(argument))();
    return nullptr;
  };
  REQUIRE(pthread_create(&thread, &attributes, start, const_cast<std::function<void()>*>(&body)) ==
          0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
}

TEST_SUITE_BEGIN("autograd");

TEST_CASE("a chain of a million nodes: backward, then freed") {
  const MemoryUse before = memory_use();
  double gradient = 0;
  on_small_stack([&] {
    Tensor x = tensor({1.0}, {}).set_requires_grad(true);
    const Tensor one = tensor({1.0}, {});
    Tensor y = x;
    for (int i = 0; i < 1'000'000; ++i) y = y + one;
    y.backward();
    gradient = x.grad().item<double>();
  });
  CHECK(gradient == 1);
  CHECK(memory_use().live_nodes == before.live_nodes);
  CHECK(memory_use().live_bytes == before.live_bytes);
}

TEST_CASE("a chain of a million nodes through saved tensors, freed without a backward") {
  const MemoryUse before = memory_use();
  on_small_stack([&] {
    Tensor x = tensor({1.0}, {}).set_requires_grad(true);
    Tensor y = x;
    for (int i = 0; i < 1'000'000; ++i) y = y * y;
  });
  CHECK(memory_use().live_nodes == before.live_nodes);
  CHECK(memory_use().live_storages == before.live_storages);
}

TEST_CASE("a ladder of diamonds has 2^60 paths and takes linear time") {
  Tensor x = tensor({1.0}, {}).set_requires_grad(true);
  Tensor y = x;
  for (int i = 0; i < 60; ++i) y = (y + y) * 0.5;
  y.backward();
  CHECK(x.grad().item<double>() == 1);
}

TEST_CASE("a hundred thousand parents") {
  Tensor x = tensor({1.0}, {}).set_requires_grad(true);
  Tensor total = x * 0;
  for (int i = 0; i < 100'000; ++i) total = total + x;
  total.backward();
  CHECK(x.grad().item<double>() == 100'000);
}

TEST_CASE("gradients of gradients leak nothing") {
  const MemoryUse before = memory_use();
  for (int i = 0; i < 1000; ++i) {
    Tensor x = tensor({1.0, 2.0}, {2}).set_requires_grad(true);
    Tensor y = sum(softmax(x * x, 0) * x);
    Tensor first = grad({y}, {x}, {.create_graph = true})[0];
    sum(first * first).backward({}, {.create_graph = true});
    x.zero_grad();
  }
  CHECK(memory_use().live_nodes == before.live_nodes);
  CHECK(memory_use().live_bytes == before.live_bytes);
}

// A gradient with a graph leads back to its leaf. It goes with the leaf's last handle.
TEST_CASE("create_graph leaks nothing, whoever holds what") {
  const MemoryUse before = memory_use();
  for (int i = 0; i < 100; ++i) {
    Tensor x = tensor({1.0, 2.0}, {2}).set_requires_grad(true);
    Tensor w = tensor({3.0, 4.0}, {2}).set_requires_grad(true);
    Tensor y = sum(x * w * x + x * 2);
    y.backward({}, {.create_graph = true});
    if (i % 4 == 1) sum(x.grad() * w.grad()).backward({}, {.create_graph = true});  // adds
    if (i % 4 == 2) x.set_grad(w.grad() * 2);
    if (i % 4 == 3) x.set_requires_grad(false);
  }
  CHECK(memory_use().live_nodes == before.live_nodes);
  CHECK(memory_use().live_bytes == before.live_bytes);
  {
    nn::LSTM model(3, 4);
    const auto outputs = model(ones({2, 5, 3}));
    mean(outputs.output * outputs.output).backward({}, {.create_graph = true});
    Tensor penalty;
    for (const Tensor& parameter : nn::parameters(model)) {
      const Tensor one = sum(parameter.grad() * parameter.grad());
      penalty = penalty.defined() ? penalty + one : one;
    }
    penalty.backward({}, {.create_graph = true});
  }
  CHECK(memory_use().live_nodes == before.live_nodes);
  CHECK(memory_use().live_bytes == before.live_bytes);
}

TEST_CASE("a gradient outlives its leaf where somebody holds it") {
  const MemoryUse before = memory_use();
  {
    Tensor gradient, loss;
    {
      Tensor x = tensor({2.0}, {}).set_requires_grad(true);
      loss = x * x * x;
      loss.backward({}, {.create_graph = true});
      gradient = x.grad();
    }
    CHECK(gradient.item<double>() == 12);
    gradient.backward({}, {.create_graph = true});  // arrives at a leaf that nobody can ask
    loss.backward({}, {.create_graph = true});
  }
  CHECK(memory_use().live_nodes == before.live_nodes);
  CHECK(memory_use().live_bytes == before.live_bytes);
}

TEST_CASE("inference keeps no graph alive") {
  Tensor w = ones({4, 4}, {.requires_grad = true});
  const int64_t before = memory_use().live_nodes;
  for (int i = 0; i < 1000; ++i) {
    const NoGrad guard;
    const Tensor y = matmul(w, w);
    CHECK(memory_use().live_nodes == before);
  }
}

// Whether a tensor gets the memory of the one before it, which the system would have cleared.
bool is_kept(int64_t numel) {
  empty({numel}, float32, cpu).mutable_data<float>()[numel - 1] = 42;
  return empty({numel}, float32, cpu).data<float>()[numel - 1] == 42;
}

TEST_CASE("memory kept for sizes that are no longer used gives way") {
  constexpr int64_t mega = 1 << 20;
  if (!is_kept(16 * mega)) return;  // nothing is kept: under sanitizers
  {
    std::vector<Tensor> others;
    for (int i = 0; i < 5; ++i) others.push_back(empty({12 * mega}, float32, cpu));
  }
  CHECK(is_kept(20 * mega));
}

TEST_SUITE_END();

}  // namespace

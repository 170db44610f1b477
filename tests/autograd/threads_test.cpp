// Many threads at once: graphs of their own over parameters that they share. For the thread
// sanitizer as much as for the numbers.
#include <doctest/doctest.h>

#include <functional>
#include <thread>

#include "autograd/graph.h"
#include "regrad.h"

using namespace regrad;

namespace {

void in_threads(int count, const std::function<void(int)>& body) {
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) threads.emplace_back([&body, i] { body(i); });
  for (std::thread& thread : threads) thread.join();
}

TEST_SUITE_BEGIN("autograd");

TEST_CASE("backward in many threads that share leaves: no gradient is lost") {
  constexpr int threads = 8, rounds = 50;
  const MemoryUse before = memory_use();
  {
    std::vector<Tensor> shared;  // many: a pass looks its leaves up by where it put them
    for (int i = 0; i < 20; ++i) shared.push_back(full({3}, i, {.requires_grad = true}));
    in_threads(threads, [&](int index) {
      for (int round = 0; round < rounds; ++round) {
        Tensor total = zeros({});
        for (size_t i = 0; i < shared.size(); ++i) {
          const Tensor& x = shared[(i + static_cast<size_t>(index)) % shared.size()];
          total = total + sum(x * 2 + x * x);
        }
        total.backward();
      }
    });
    for (int i = 0; i < 20; ++i) {
      const auto each = static_cast<float>(threads * rounds * (2 + 2 * i));
      CHECK(shared[static_cast<size_t>(i)].grad().to_vector<float>() ==
            std::vector<float>(3, each));
    }
  }
  CHECK(memory_use().live_nodes == before.live_nodes);
  CHECK(memory_use().live_bytes == before.live_bytes);
}

TEST_CASE("forward, grad and freeing in many threads over shared parameters") {
  const Tensor w = full({8, 8}, 0.1, {.requires_grad = true}),
               b = zeros({8}, {.requires_grad = true});
  in_threads(8, [&](int index) {
    for (int round = 0; round < 30; ++round) {
      const Tensor x = full({4, 8}, index + 1, {.requires_grad = true});
      const Tensor y = sum(tanh(linear(tanh(linear(x, w, b)), w, b)));
      if (round % 3 == 0) continue;  // freed without a backward
      const auto found = grad({y}, {w, x}, {.create_graph = round % 3 == 1});
      if (round % 3 == 1) CHECK(grad({sum(found[0] * found[0])}, {w})[0].defined());
    }
  });
  CHECK_FALSE(w.grad().defined());
}

TEST_CASE("a leaf's last handle goes while other threads' passes reach it") {
  for (int round = 0; round < 50; ++round) {
    std::vector<Tensor> losses;
    {
      const Tensor x = ones({2}, {.requires_grad = true});
      for (int i = 0; i < 4; ++i) losses.push_back(sum(x * x));
      Tensor mine = x;
      in_threads(4, [&](int index) {
        if (index == 0) mine = Tensor();
        losses[static_cast<size_t>(index)].backward({}, {.create_graph = index == 1});
      });
    }
    losses.clear();
  }
}

TEST_CASE("a pass within a pass, through the same leaf") {
  Tensor w = full({}, 3, {.requires_grad = true});
  const auto op = [](const Tensor& x) {  // its derivative asks for a gradient of the same leaf
    return record("nested", x.detach() * 1, {{x, [x](const Tensor& g) {
                                                const GradMode mode(true);
                                                return grad({x * x}, {x})[0] * g;
                                              }}});
  };
  (op(w) + w + op(w) + w).backward();
  CHECK(w.grad().item<float>() == 14);  // 2 w from each op, 1 from each use
}

TEST_SUITE_END();

}  // namespace

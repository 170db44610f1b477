// Tensor::register_hook and retain_grad.
#include <doctest/doctest.h>

#include "regrad.h"
#include "tests/errors.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("autograd");

Tensor leaf(double value) { return scalar(value, float64).set_requires_grad(true); }

double number(const Tensor& x) { return x.item<double>(); }

TEST_CASE("a hook of a leaf is called once, with the complete gradient, and may change it") {
  const Tensor w = leaf(3);
  std::vector<double> seen;
  w.register_hook([&](const Tensor& g) {
    seen.push_back(number(g));
    CHECK_FALSE(w.grad().defined());
    return g * 10;
  });
  (w * w + w).backward();  // 2w + 1
  CHECK(seen == std::vector<double>{7});
  CHECK(number(w.grad()) == 70);
}

TEST_CASE("a hook of an op's result is called before its gradient goes on") {
  const Tensor w = leaf(3);
  const Tensor h = w * 2;
  std::vector<std::string> order;
  w.register_hook([&](const Tensor&) { order.push_back("w"); });
  h.register_hook([&](const Tensor& g) {
    order.push_back("h");
    CHECK(number(g) == 12);  // complete: from both uses
    return g + 1;
  });
  (h * h).backward();
  CHECK(order == std::vector<std::string>{"h", "w"});
  CHECK(number(w.grad()) == 26);
}

TEST_CASE("several hooks, in order; one that returns nothing; remove()") {
  const Tensor w = leaf(1);
  HookHandle first = w.register_hook([](const Tensor& g) { return g + 1; });
  HookHandle second = w.register_hook([](const Tensor& g) { return g * 10; });
  int called = 0;
  HookHandle third = w.register_hook([&](const Tensor&) { ++called; });
  HookHandle fourth = w.register_hook([](const Tensor&) { return Tensor(); });
  const auto gradient = [&] {
    Tensor x = w;
    x.zero_grad();
    (w * 1).backward();
    return number(w.grad());
  };
  CHECK(gradient() == 20);
  first.remove();
  first.remove();
  CHECK(gradient() == 10);
  second.remove(), third.remove();
  CHECK(gradient() == 1);
  CHECK(called == 2);
  HookHandle().remove();
}

TEST_CASE("a hook may remove itself, or register another") {
  const Tensor w = leaf(1);
  HookHandle handle;
  int calls = 0, others = 0;
  handle = w.register_hook([&](const Tensor& g) {
    ++calls;
    handle.remove();
    w.register_hook([&](const Tensor&) { ++others; });
    return g * 5;
  });
  (w * 1).backward();
  (w * 1).backward();
  CHECK(calls == 1);
  CHECK(others == 1);
  CHECK(number(w.grad()) == 6);
}

TEST_CASE("hooks work in grad(), and with create_graph") {
  const Tensor x = leaf(2);
  const Tensor h = x * 1;
  h.register_hook([](const Tensor& g) { return g * 3; });
  x.register_hook([](const Tensor& g) { return g * 2; });
  const Tensor y = pow(h, 3);
  CHECK(number(grad({y}, {h}, {.retain_graph = true})[0]) == 36);
  const Tensor slope = grad({y}, {x}, {.create_graph = true})[0];  // 3 * 3x² * 2
  CHECK(number(slope) == 72);
  CHECK_FALSE(x.grad().defined());
  x.node()->extras().hooks.clear();
  h.node()->extras().hooks.clear();
  CHECK(number(grad({slope}, {x})[0]) == 72);  // 36x
}

TEST_CASE("a hook that throws leaves every grad() as it was") {
  const Tensor a = leaf(1), b = leaf(2);
  const Tensor h = a * b;
  h.retain_grad();
  (a + b).backward();
  bool on = true;
  SUBCASE("of a leaf") {
    b.register_hook([&](const Tensor&) {
      if (on) throw Error("planted");
    });
  }
  SUBCASE("of an op") {
    h.register_hook([&](const Tensor&) {
      if (on) throw Error("planted");
    });
  }
  SUBCASE("of an error in what it returns") {
    b.register_hook([&](const Tensor& g) { return on ? reshape(g, {1}) : g; });
    CHECK_ERROR((a * b).backward(),
                "backward: a hook of leaf returned a gradient of shape [1] float64, not [] "
                "float64");
  }
  CHECK_THROWS_AS((h * 3).backward({}, {.retain_graph = true}), Error);
  CHECK(number(a.grad()) == 1);
  CHECK(number(b.grad()) == 1);
  CHECK_FALSE(h.grad().defined());
  on = false;
  (h * 3).backward();
  CHECK(number(a.grad()) == 7);
  CHECK(number(b.grad()) == 4);
  CHECK(number(h.grad()) == 3);
}

TEST_CASE("retain_grad keeps the gradient of a result, after its hooks") {
  Tensor w = leaf(3);
  Tensor h = w * 2;
  h.retain_grad();
  w.retain_grad();  // a leaf has it anyway
  const Tensor loss = h * h;
  loss.backward({}, {.retain_graph = true});
  CHECK(number(h.grad()) == 12);
  loss.backward({}, {.retain_graph = true});
  CHECK(number(h.grad()) == 24);  // added up, as a leaf's
  h.zero_grad();
  h.register_hook([](const Tensor& g) { return g * -1; });
  loss.backward();
  CHECK(number(h.grad()) == -12);
  CHECK(number(w.grad()) == 24 + 24 - 24);
  CHECK_FALSE((w * 1).grad().defined());
}

TEST_CASE("a retained gradient is not written by what comes after it") {
  const Tensor w = tensor({1.0, 2.0}, {2}).set_requires_grad(true);
  const Tensor h = w * 2;
  h.retain_grad();
  sum(h + h + w).backward();
  CHECK(h.grad().to_vector<double>() == std::vector<double>{2, 2});
  CHECK(w.grad().to_vector<double>() == std::vector<double>{5, 5});
}

TEST_CASE("a hook may keep the gradient") {
  const Tensor w = tensor({1.0, 2.0}, {2}).set_requires_grad(true);
  Tensor kept;
  w.register_hook([&](const Tensor& g) { kept = g; });
  sum(w * 3).backward();
  sum(w * 4).backward();
  CHECK(kept.to_vector<double>() == std::vector<double>{4, 4});
  CHECK(w.grad().to_vector<double>() == std::vector<double>{7, 7});
}

TEST_CASE("nothing is left when tensors with hooks are gone") {
  const int64_t before = memory_use().live_nodes;
  HookHandle handle;
  {
    const Tensor w = leaf(3), other = leaf(4) * 2;
    handle = w.register_hook([other](const Tensor& g) { return g * other.detach(); });
    const Tensor h = exp(w);
    h.retain_grad();
    h.backward({}, {.retain_graph = true});
  }
  CHECK(memory_use().live_nodes == before);
  handle.remove();
}

TEST_CASE("hooks: Errors") {
  const Tensor x = scalar(1);
  CHECK_ERROR(x.register_hook([](const Tensor& g) { return g; }),
              "register_hook: this tensor of shape [] does not require a gradient");
  CHECK_ERROR(x.retain_grad(), "retain_grad: this tensor of shape [] does not require a gradient");
  CHECK_ERROR(leaf(1).register_hook(GradientHook()), "register_hook: the hook is empty");
}

TEST_SUITE_END();

}  // namespace

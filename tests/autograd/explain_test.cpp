// explain: paths, their sums, and why a gradient is zero; to_dot.
#include <doctest/doctest.h>

#include <cmath>
#include <random>

#include "regrad.h"
#include "tests/errors.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("autograd");

Tensor leaf(std::vector<double> values, const char* name) {
  const auto n = static_cast<int64_t>(values.size());
  Tensor x = tensor(values, {n}).set_requires_grad(true);
  x.set_name(name);
  return x;
}

double largest_difference(const Tensor& a, const Tensor& b) {
  return max(abs(a - b)).item<double>();
}

TEST_CASE("explain lists the paths of a tensor that is used twice") {
  Tensor w = scalar(2, float64).set_requires_grad(true);
  Tensor x = scalar(3, float64).set_requires_grad(true);
  w.set_name("w");
  const Explanation found = explain(square(w * x + w), w);
  CHECK(found.str() ==
        "gradient of w []: 64, the sum over 2 paths\n"
        "path 1: 48\n"
        "  square         16\n"
        "  add            16\n"
        "  mul            48\n"
        "path 2: 16\n"
        "  square         16\n"
        "  add            16\n");
  CHECK(found.total.item<double>() == 64);
  CHECK_FALSE(found.rest.defined());
  CHECK_FALSE(w.grad().defined());
}

// A random expression of two leaves, in which earlier values are used again.
Tensor random_loss(std::mt19937& random, const Tensor& a, const Tensor& b) {
  std::vector<Tensor> values = {a, b, a * b};
  const auto any = [&] { return values[random() % values.size()]; };
  for (int i = 0; i < 5; ++i) {
    const Tensor first = any(), second = any();
    switch (random() % 7) {
      case 0:
        values.push_back(first + second);
        break;
      case 1:
        values.push_back(first * second);
        break;
      case 2:
        values.push_back(sin(first));
        break;
      case 3:
        values.push_back(tanh(first) - second);
        break;
      case 4:
        values.push_back(softmax(first, 0));
        break;
      case 5:
        values.push_back(layer_norm(first) * 0.5);
        break;
      default:
        values.push_back(first / (square(second) + 1));
        break;
    }
  }
  return sum(values.back() * values[values.size() - 2] + a);
}

TEST_CASE("the paths of 200 random graphs sum to the gradient") {
  std::mt19937 random(5);
  size_t longest = 0;
  for (int round = 0; round < 200; ++round) {
    Tensor a = leaf({0.3, -1.1, 0.7}, "a"), b = leaf({1.2, 0.4, -0.6}, "b");
    const Tensor loss = random_loss(random, a, b);
    const Explanation found = explain(loss, a, 400);
    const Tensor expected = grad({loss}, {a}, {.retain_graph = true})[0];
    CHECK(largest_difference(found.total, expected) == 0);
    CHECK(found.path_count == std::to_string(found.paths.size()));
    Tensor paths = zeros_like(a);
    for (const ExplainPath& path : found.paths) paths.add_(path.gradient);
    CHECK(largest_difference(paths, expected) <= 1e-12 * (1 + max(abs(expected)).item<double>()));
    longest = std::max(longest, found.paths.size());
  }
  CHECK(longest > 10);
}

TEST_CASE("paths are counted exactly, and what is not listed is summed") {
  Tensor x = scalar(1, float64).set_requires_grad(true);
  Tensor y = x;
  for (int i = 0; i < 80; ++i) y = (y + y) * 0.5;
  const Explanation found = explain(y, x, 3);
  CHECK(found.path_count == "1208925819614629174706176");  // 2^80
  CHECK(found.paths.size() == 3);
  CHECK(found.total.item<double>() == 1);
  CHECK(found.rest.item<double>() == doctest::Approx(1));
}

std::string zero_of(const Tensor& loss, const Tensor& x) {
  const Explanation found = explain(loss, x);
  for (const ExplainStep& step : found.paths.at(0).steps) {
    if (!step.zero.empty()) return step.zero;
  }
  return "";
}

TEST_CASE("explain says why a gradient is zero") {
  const Tensor h = leaf({1, 2, 4}, "h"), negative = leaf({-1, -2}, "n");
  Tensor bias = leaf({0.1}, "bias");
  CHECK(zero_of(sum(softmax(h + bias, 0) * tensor({1.0, 2.0, 4.0}, {3})), bias) ==
        "softmax ignores a shift: its gradients sum to 0");
  CHECK(zero_of(sum(relu(negative)), negative) == "relu is closed: no input above 0");
  CHECK(zero_of(sum(clamp(negative, 0, 1)), negative) == "clamp: every input is beyond its bounds");
  const Tensor mask = tensor(std::vector<bool>{false, false}, {2});
  CHECK(zero_of(sum(where(mask, negative, 1)), negative) == "the mask excludes it");
  CHECK(zero_of(sum(h * h), h) == "");
  CHECK(zero_of(sum(h * 1e-9), h) == "");  // small, but not zero
  CHECK(zero_of(sum(softmax(h, 0) * 1e-9 * h), h) == "");
}

TEST_CASE("what explain cannot do is an Error") {
  Tensor x = leaf({1, 2}, "x"), other = leaf({1}, "other");
  CHECK_ERROR(explain(x * 2, x), "the loss must be one element");
  CHECK_ERROR(explain(sum(x), other), "no gradient goes from the loss to other [1]");
  const Tensor loss = sum(x * x);
  loss.backward();
  CHECK_ERROR(explain(loss, x), "retain_graph");
}

TEST_CASE("to_dot draws every node once, and an arrow for every edge") {
  Tensor w = leaf({2}, "a \"name\"");
  const std::string text = to_dot(square(w * w));
  CHECK(text ==
        "digraph regrad {\n  node [shape=box];\n"
        "  n0 [label=\"square [1]\"];\n"
        "  n1 [label=\"mul [1]\"];\n"
        "  n2 [label=\"a \\\"name\\\" [1]\", shape=ellipse];\n"
        "  n1 -> n0;\n  n2 -> n1;\n  n2 -> n1;\n}\n");
  CHECK_ERROR(to_dot(zeros({2})), "to_dot: the tensor of shape [2] has no graph");
}

TEST_SUITE_END();

}  // namespace

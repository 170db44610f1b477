// checkpoint() and jvp(): ops/transform.cpp.
#include "tests/ops/case.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("ops");

Tensor leaf(const Shape& shape, int64_t salt) {
  return to_tensor(numbers(in(Index(shape.begin(), shape.end())), salt)).set_requires_grad(true);
}

TEST_CASE(
    "checkpoint: the same bits, forward and backward, for inputs and what the function holds") {
  const Tensor w = leaf({4, 4}, 1), c = leaf({4}, 2);
  const Function f = [&](const Tensors& x) { return tanh(matmul(x[0], w) + c) * x[1]; };
  const auto gradients_with = [&](bool again) {
    const Tensor x = leaf({3, 4}, 3), y = leaf({3, 4}, 4);
    const Tensors inputs = {exp(x), y};  // one that was computed
    const Tensor out = again ? checkpoint(f, inputs) : f(inputs);
    Tensors all = grad({sum(square(out)) + sum(w)}, {x, y, w, c});
    all.push_back(out);
    return all;
  };
  const Tensors plain = gradients_with(false), recomputed = gradients_with(true);
  for (size_t i = 0; i < plain.size(); ++i) CHECK(same_bits(plain[i], recomputed[i]));
}

TEST_CASE("checkpoint: something held that depends on something else held") {
  const Tensor w = leaf({3}, 1), x = leaf({3}, 2), held = square(w);
  const Function f = [&](const Tensors& in) { return in[0] * held * w; };
  const Tensors plain = grad({sum(f({x * w}))}, {w, x}, {.retain_graph = true});
  const Tensors again = grad({sum(checkpoint(f, {x * w}))}, {w, x});
  for (size_t i = 0; i < 2; ++i) {
    const std::string off = difference(to_array(again[i]), to_array(plain[i]), 1e-15);
    CHECK_MESSAGE(off == "", off);
  }
}

TEST_CASE("checkpoint: first and second derivatives, and one within another") {
  const Function f = [](const Tensors& x) { return sin(x[0]) * x[1]; };
  const Function once = [&](const Tensors& x) { return checkpoint(f, x); };
  const Function twice = [&](const Tensors& x) { return checkpoint(once, {exp(x[0]), x[1]}); };
  for (const Function& one : {once, twice}) {
    CHECK(gradcheck(one, {leaf({3}, 1), leaf({3}, 2)}));
    CHECK(gradgradcheck(one, {leaf({3}, 1), leaf({3}, 2)}));
  }
}

TEST_CASE("checkpoint: dropout drops the same, and the generator goes on from where it was") {
  const auto run = [](bool again, bool nested) {
    Generator generator(3);
    const Function f = [&](const Tensors& x) {
      return dropout(x[0], 0.5, generator) * dropout(x[0], 0.3, generator);
    };
    const Function g = [&](const Tensors& x) { return nested ? checkpoint(f, x) : f(x); };
    const Tensor x = leaf({50}, 1);
    const Tensor y = again ? checkpoint(g, {x}) : g({x});
    const Tensor between = rand({4}, generator);
    const Tensor dx = grad({sum(y)}, {x})[0];
    return Tensors{y, between, dx, rand({4}, generator)};
  };
  const Tensors plain = run(false, false);
  for (const bool nested : {false, true}) {
    const Tensors again = run(true, nested);
    for (size_t i = 0; i < plain.size(); ++i) CHECK(same_bits(plain[i], again[i]));
  }
}

TEST_CASE("checkpoint: without a gradient, and a function that changes") {
  const Tensor x = to_tensor(numbers(in({3}), 1));
  CHECK_FALSE(checkpoint([](const Tensors& in) { return in[0] * 2; }, {x}).requires_grad());
  Tensor w = leaf({3}, 2);
  const Tensor y = checkpoint([&](const Tensors& in) { return in[0] * w; }, {leaf({3}, 1)});
  {
    const NoGrad guard;
    w.add_(ones({3}, float64));
  }
  CHECK_ERROR(sum(y).backward(), "checkpoint: f gave other numbers when backward() called it");
}

TEST_CASE("jvp is the product of the Jacobian with the tangents") {
  const Tensor w = leaf({3, 3}, 5);
  const std::vector<std::pair<Function, Index>> functions = {
      {OP(exp(x[0]) * x[1]), {3}},
      {OP(softmax(x[0], 0) + layer_norm(x[1])), {3}},
      {OP(logsumexp(x[0] * x[1])), {3}},
      {OP(sort(x[0]).values + cumsum(x[1], 0)), {3}},
      {[&](const Tensors& x) { return tanh(matmul(x[0], w)) * square(x[1]); }, {2, 3}},
  };
  for (const auto& [f, shape] : functions) {
    Tensors x, t, ahead, back;
    for (int64_t i = 0; i < 2; ++i) {
      x.push_back(to_tensor(numbers(in(shape), i)));
      t.push_back(to_tensor(numbers(in(shape), i + 7)));
      ahead.push_back(x.back() + t.back() * 1e-6);
      back.push_back(x.back() - t.back() * 1e-6);
    }
    const Jvp both = jvp(f, x, t);
    CHECK(same_bits(both.output, f(x)));
    CHECK(both.output.requires_grad() == f(x).requires_grad());
    CHECK(both.tangent.requires_grad() == f(x).requires_grad());
    const Tensor slope = (f(ahead) - f(back)) / 2e-6;
    const std::string off = difference(to_array(both.tangent), to_array(slope), 1e-7);
    CHECK_MESSAGE(off == "", off);
  }
}

TEST_CASE("jvp: what does not move, and what does not fit") {
  const Tensor at = ones({2}), t = ones({2});
  const auto tangent = [&](const Function& f) {
    return jvp(f, {at}, {t}).tangent.to_vector<float>();
  };
  CHECK(tangent([](const Tensors&) { return ones({2}); }) == std::vector<float>{0, 0});
  CHECK(tangent(OP(x[0] * 3)) == std::vector<float>{3, 3});
  CHECK(tangent(OP(floor(x[0]))) == std::vector<float>{0, 0});
  CHECK_ERROR(jvp(OP(x[0]), {at}, {}), "jvp: 1 inputs and 0 tangents");
  CHECK_ERROR(jvp(OP(x[0]), {at}, {ones({3})}), "jvp: input 0 is [2] float32, its tangent [3]");
}

TEST_SUITE_END();

}  // namespace

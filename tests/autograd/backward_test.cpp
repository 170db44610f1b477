// The backward pass: order, accumulation, freeing, errors.
#include <doctest/doctest.h>

#include <cmath>

#include "regrad.h"
#include "tests/errors.h"

using namespace regrad;

namespace {

Tensor leaf(double value) { return tensor({value}, {}).set_requires_grad(true); }

TEST_SUITE_BEGIN("autograd");

TEST_CASE("a value used many times gets the sum of its gradients") {
  for (int uses = 1; uses <= 64; ++uses) {
    Tensor x = leaf(3);
    Tensor y = x;
    for (int i = 1; i < uses; ++i) y = i % 2 == 0 ? x + y : y + x;
    y.backward();
    CHECK(x.grad().item<double>() == uses);
  }
}

TEST_CASE("micrograd's own example") {
  Tensor a = leaf(-4), b = leaf(2);
  Tensor c = a + b;
  Tensor d = a * b + pow(b, 3);
  c = c + c + 1;
  c = c + 1 + c + (-a);
  d = d + d * 2 + relu(b + a);
  d = d + d * 3 + relu(b - a);
  Tensor e = c - d;
  Tensor f = square(e);
  Tensor g = f / 2;
  g = g + 10 / f;
  g.backward();
  CHECK(g.item<double>() == doctest::Approx(24.70408163265306));
  CHECK(a.grad().item<double>() == doctest::Approx(138.8338192419825));
  CHECK(b.grad().item<double>() == doctest::Approx(645.5772594752186));
}

TEST_CASE("gradients accumulate until zero_grad") {
  Tensor x = leaf(2);
  (x * x).backward();
  (x * x).backward();
  CHECK(x.grad().item<double>() == 8);
  x.zero_grad();
  CHECK_FALSE(x.grad().defined());
  (x * x).backward();
  CHECK(x.grad().item<double>() == 4);
}

TEST_CASE("two leaves never share a gradient's memory") {
  Tensor a = ones({3}, {.requires_grad = true}), b = ones({3}, {.requires_grad = true});
  sum(a + b).backward();
  Tensor first = a.grad();
  first.mul_(5);
  CHECK(b.grad().to_vector<float>() == std::vector<float>{1, 1, 1});
}

TEST_CASE("a gradient to start from") {
  Tensor x = tensor({1.0, 2.0}, {2}).set_requires_grad(true);
  square(x).backward(tensor({1.0, 10.0}, {2}));
  CHECK(x.grad().to_vector<double>() == std::vector<double>{2, 40});
  CHECK_ERROR(square(x).backward(), "backward: an output of shape [2] is not one number");
  CHECK_ERROR(square(x).backward(ones({2})), "the gradient has shape [2] float32");
  CHECK_ERROR(ones({}).backward(), "does not depend on anything that requires a gradient");
}

TEST_CASE("grad() through a freed graph is an Error, also where another path is left") {
  Tensor x = scalar(2, float64).set_requires_grad(true);
  const Tensor y = square(exp(x));
  y.backward();
  CHECK_ERROR(grad({y}, {x}), "grad: the graph through square was used by an earlier backward()");
  CHECK_ERROR(grad({y}, {x}, {.allow_unused = true}), "which freed it");
  CHECK_ERROR(grad({y + x * 3}, {x}), "which freed it");  // 3 would be a part of the gradient
  Tensor younger = scalar(1, float64).set_requires_grad(true);
  CHECK(grad({y.detach() + younger * 3}, {younger})[0].item<double>() == 3);
}

TEST_CASE("a second backward says what to do, and changes nothing") {
  Tensor x = leaf(2);
  Tensor y = exp(x * x);
  y.backward();
  const double before = x.grad().item<double>();
  CHECK_ERROR(y.backward(), "retain_graph");
  CHECK(x.grad().item<double>() == before);
  Tensor z = exp(x * x);
  x.zero_grad();
  z.backward({}, {.retain_graph = true});
  z.backward();
  CHECK(x.grad().item<double>() == doctest::Approx(2 * before));
}

TEST_CASE("writing over a saved tensor is an error, through any view of it") {
  for (int how = 0; how < 3; ++how) {
    Tensor w = tensor({1.0, 2.0, 3.0, 4.0}, {2, 2}).set_requires_grad(true);
    Tensor y = sum(w * w);
    {
      const NoGrad guard;
      Tensor view = how == 0 ? w : how == 1 ? transpose(w) : select(transpose(w), 0, 1);
      view.fill_(0);
    }
    CHECK_ERROR(y.backward(), "was written in place");
    CHECK_FALSE(w.grad().defined());
  }
  Tensor w = ones({2}, {.requires_grad = true});
  Tensor y = sum(w + w);  // a sum needs nothing of w
  {
    const NoGrad guard;
    w.fill_(3);
  }
  y.backward();
  CHECK(w.grad().to_vector<float>() == std::vector<float>{2, 2});
  CHECK_ERROR(w.fill_(1), "NoGrad");
  CHECK_ERROR(w.fill_(1), "fill_: ");
}

TEST_CASE("the error about a write tells which tensor was written") {
  const auto error_after_writing = [](Tensor& written, const Tensor& y) {
    const NoGrad guard;
    written.fill_(0);
    const GradMode mode(true);
    return error_of([&] { y.backward(); });
  };
  Tensor a = ones({2, 3}, {.requires_grad = true}), b = ones({3, 4}, {.requires_grad = true});
  b.set_name("decoder.weight");
  std::string said = error_after_writing(a, sum(matmul(a, b)));
  CHECK_MESSAGE(said.find("a tensor of shape [2, 3], which") != std::string::npos, said);
  CHECK_MESSAGE(said.find("backward of matmul") != std::string::npos, said);
  said = error_after_writing(b, sum(matmul(a, b)));
  CHECK_MESSAGE(said.find("decoder.weight of shape [3, 4], which") != std::string::npos, said);
  // Seen through views: the tensor under them.
  Tensor bias = ones({3}, {.requires_grad = true});
  said = error_after_writing(bias, sum(a * bias));
  CHECK_MESSAGE(said.find("a tensor of shape [3], which") != std::string::npos, said);
  said = error_after_writing(b, sum(matmul(transpose(b), transpose(a))));
  CHECK_MESSAGE(said.find("decoder.weight of shape [3, 4], which") != std::string::npos, said);
  Tensor plain = ones({3});
  said = error_after_writing(plain, sum(a * plain));
  CHECK_MESSAGE(said.find("a tensor of shape [3], which") != std::string::npos, said);
}

TEST_CASE("writing over a saved output is an error too") {
  Tensor x = leaf(1);
  Tensor y = exp(x);
  y.detach().fill_(0);
  CHECK_ERROR(y.backward(), "backward of exp");
}

TEST_CASE("grad gives gradients without accumulating") {
  Tensor x = leaf(3), y = leaf(4);
  Tensor z = x * y;
  const auto gradients = grad({z * z}, {x, z});
  CHECK(gradients[0].item<double>() == 96);
  CHECK(gradients[1].item<double>() == 24);
  CHECK_FALSE(x.grad().defined());
  CHECK_ERROR(grad({x * x}, {y}), "do not depend on input 0");
  CHECK_FALSE(grad({x * x}, {y}, {.allow_unused = true})[0].defined());
  CHECK_ERROR(grad({x * x}, {ones({})}), "does not require a gradient");
}

TEST_CASE("gradients of gradients") {
  Tensor x = leaf(2);
  Tensor y = x * x * x * x;
  Tensor first = grad({y}, {x}, {.create_graph = true})[0];
  Tensor second = grad({first}, {x}, {.create_graph = true})[0];
  Tensor third = grad({second}, {x})[0];
  CHECK(first.item<double>() == 32);
  CHECK(second.item<double>() == 48);
  CHECK(third.item<double>() == 48);
}

TEST_CASE("a third derivative without a formula is an error, not a zero") {
  Tensor x = leaf(0.5);
  Tensor first = grad({tanh(x)}, {x}, {.create_graph = true})[0];
  Tensor second = grad({first}, {x}, {.create_graph = true})[0];
  const double y = std::tanh(0.5), slope = 1 - y * y;
  CHECK(second.item<double>() == doctest::Approx(-2 * y * slope));
  CHECK(grad({second}, {x})[0].item<double>() == doctest::Approx(-2 * slope * (1 - 3 * y * y)));
  first = grad({mish(x)}, {x}, {.create_graph = true})[0];
  second = grad({first}, {x}, {.create_graph = true})[0];
  CHECK_ERROR(grad({second}, {x}), "mish: its third derivative is not available");
}

TEST_CASE("a backward inside a derivative, through the same graph") {
  Tensor w = leaf(3);
  const auto twice = [](const Tensor& x, const Tensor& weight) {
    return record("twice", x.detach() * weight.detach(),
                  {{x,
                    [x, weight](const Tensor& g) {
                      const GradMode mode(true);
                      const Tensor own = Tensor(x.detach()).set_requires_grad(true);
                      return grad({own * weight}, {own}, {.grad_outputs = {g}})[0];
                    }},
                   {weight, [x](const Tensor& g) { return g * x; }}});
  };
  Tensor y = twice(twice(w * 2, w), w) + w;
  y.backward();
  CHECK(w.grad().item<double>() == doctest::Approx(6 * 9 + 1));  // y = 2 w^3 + w
}

TEST_CASE("an op of one's own is held to its word") {
  Tensor x = ones({3}, {.requires_grad = true});
  const auto with = [&](auto derivative) { return record("mine", x * 2, {{x, derivative}}); };
  CHECK_ERROR(sum(with([](const Tensor&) { return ones({2}); })).backward(),
              "backward of mine: its derivative gave a gradient of shape [2] float32 for input 0");
  CHECK_ERROR(sum(with([](const Tensor&) { return ones({3}, {.dtype = float64}); })).backward(),
              "float64");
  CHECK_ERROR(sum(with([](const Tensor&) { return Tensor(); })).backward(), "gave no gradient");
  Tensor y = record("all", x * 2, std::vector<Tensor>{x},
                    [](const Tensor&, Needed) { return std::vector<Tensor>{}; });
  CHECK_ERROR(sum(y).backward(), "returned 0 gradients for 1 inputs");
  CHECK_FALSE(x.grad().defined());
}

TEST_CASE("one derivative for all inputs is only asked for what is needed") {
  Tensor a = leaf(2), b = tensor({5.0}, {});
  bool needed_a = false, needed_b = true;
  Tensor y = record("product", a.detach() * b, std::vector<Tensor>{a, b},
                    [&, a, b](const Tensor& g, Needed needed) {
                      needed_a = needed[0];
                      needed_b = needed[1];
                      return std::vector<Tensor>{g * b, Tensor()};
                    });
  y.backward();
  CHECK(needed_a);
  CHECK_FALSE(needed_b);
  CHECK(a.grad().item<double>() == 5);
}

TEST_CASE("an op that returns its input does not lose the graph") {
  Tensor x = leaf(2);
  Tensor y = record("identity", x, {{x, [](const Tensor& g) { return g * 10; }}});
  y.backward();
  CHECK(x.grad().item<double>() == 10);
  CHECK(x.is_leaf());
}

TEST_CASE("slices of one tensor add into one gradient") {
  Tensor x = tensor({1.0, 2.0, 3.0, 4.0, 5.0, 6.0}, {3, 2}).set_requires_grad(true);
  Tensor y = x * 1;
  Tensor total = sum(y);
  for (int64_t i = 0; i < 3; ++i) {
    total = total + sum(select(y, 0, i)) * static_cast<double>(i) + sum(slice(y, 1, 0, 2, 2));
  }
  total.backward();
  CHECK(x.grad().to_vector<double>() == std::vector<double>{4, 1, 5, 2, 6, 3});
}

TEST_CASE("a gradient that somebody else sees is not added to in place") {
  // The gradient of x + z goes to both, and is what the caller gave; that of a slice is a view.
  const Tensor x = tensor(std::vector<float>{1, 2}, {2}, {.requires_grad = true});
  const Tensor z = tensor(std::vector<float>{3, 4}, {2}, {.requires_grad = true});
  const Tensor given = tensor(std::vector<float>{1, 10, 100, 1000}, {4});
  const Tensor doubled = x * 2, tripled = z * 3;  // older than what follows: they add last
  const Tensor y = concat({x + z, x + doubled * tripled}, 0);
  y.backward(given);
  CHECK(given.to_vector<float>() == std::vector<float>{1, 10, 100, 1000});
  // dx = g1 + g2 + 2 g2 (3 z), dz = g1 + 3 g2 (2 x)
  CHECK(x.grad().to_vector<float>() == std::vector<float>{1901, 25010});
  CHECK(z.grad().to_vector<float>() == std::vector<float>{601, 12010});
}

TEST_CASE("products that share an operand add into one gradient") {
  Generator generator(5);
  const TensorOptions wanted{.dtype = float64, .requires_grad = true};
  const Tensor w = randn({3, 3}, generator, wanted), x = randn({2, 3}, generator, wanted);
  const auto shared = [](const std::vector<Tensor>& in) {
    const Tensor once = linear(in[1], in[0]), twice = linear(once, in[0]);
    return sum(matmul(twice, in[0]) * matmul(matmul(in[1], in[0]), transpose(in[0])));
  };
  CHECK(gradcheck(shared, {w, x}));
  CHECK(gradgradcheck(shared, {w, x}));
  // A first gradient that somebody else holds is not written over.
  const Tensor seed = ones({3, 3}, {.dtype = float64});
  add(w, matmul(w, w)).backward(seed);
  CHECK(seed.to_vector<double>() == std::vector<double>(9, 1));
}

TEST_CASE(
    "a gradient whose rows lie apart is added to where it is; one whose rows overlap is not") {
  Generator generator(6);
  const TensorOptions wanted{.dtype = float64, .requires_grad = true};
  const Tensor x = randn({2, 3, 4}, generator, wanted), z = randn({2, 2, 4}, generator, wanted);
  const Tensor w = randn({4, 4}, generator, wanted), b = randn({2, 4, 3}, generator, wanted);
  // What joins the parts of a concat is older than it, so its gradients come last.
  const auto joined = [](const std::vector<Tensor>& in) {
    const Tensor once = in[0] * 2, other = in[1] * 3;
    const Tensor rows = linear(once, in[2]), batch = bmm(other, in[3]),
                 again = linear(other, in[2]);
    const Tensor y = concat({once, other}, 1);
    return sum(y * y) + sum(rows * rows) + sum(batch * batch) + sum(again * again * again);
  };
  CHECK(gradcheck(joined, {x, z, w, b}));
  CHECK(gradgradcheck(joined, {x, z, w, b}));
  // The gradient of a sum is one number shown in every place: stride 0 from row to row, and within.
  const auto overlapping = [](const std::vector<Tensor>& in) {
    const Tensor once = in[0] * 2, rows = linear(once, in[1]), batch = bmm(once, in[2]);
    return sum(rows * rows) + sum(batch * batch) + sum(mul(sum(once, 1), in[3])) + sum(once);
  };
  const Tensor along = randn({2, 4}, generator, wanted);
  CHECK(gradcheck(overlapping, {x, w, b, along}));
}

TEST_CASE("NoGrad records nothing") {
  Tensor x = leaf(2);
  const int64_t before = memory_use().live_nodes;
  const NoGrad guard;
  Tensor y = exp(x * x);
  CHECK_FALSE(y.requires_grad());
  CHECK(memory_use().live_nodes == before);
}

TEST_CASE("requires_grad") {
  CHECK_ERROR(arange(3).set_requires_grad(true), "int64");
  Tensor x = leaf(1);
  Tensor y = x * 2;
  CHECK_FALSE(y.is_leaf());
  CHECK_ERROR(y.set_requires_grad(false), "detach");
  CHECK_FALSE(y.detach().requires_grad());
  x.set_requires_grad(false);
  CHECK_FALSE(x.requires_grad());
}

TEST_SUITE_END();

}  // namespace

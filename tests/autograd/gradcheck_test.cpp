// gradcheck itself: it must find every kind of wrong derivative.
#include <doctest/doctest.h>

#include "regrad.h"
#include "tests/errors.h"

using namespace regrad;

namespace {

using Tensors = std::vector<Tensor>;

// x² with a derivative of the test's choosing.
template <class Derivative>
Function squared(const Derivative& derivative) {
  return [derivative](const Tensors& in) {
    const Tensor x = in[0];
    return record("squared", square(x.detach()),
                  {{x, [x, derivative](const Tensor& g) { return derivative(g, x); }}});
  };
}

TEST_SUITE_BEGIN("autograd");

TEST_CASE("gradcheck passes a right derivative and catches wrong ones") {
  const Tensor x = tensor({0.3, -1.2, 2.5, 0.7}, {2, 2});
  const auto verdict = [&](auto derivative) {
    return static_cast<bool>(gradcheck(squared(derivative), {x}));
  };
  CHECK(verdict([](const Tensor& g, const Tensor& v) { return g * v * 2; }));
  CHECK_FALSE(verdict([](const Tensor& g, const Tensor& v) { return g * v * -2; }));  // sign
  CHECK_FALSE(verdict([](const Tensor& g, const Tensor& v) { return g * v; }));       // factor
  CHECK_FALSE(verdict([](const Tensor&, const Tensor& v) { return v * 2; }));         // chain rule
  CHECK_FALSE(verdict([](const Tensor& g, const Tensor& v) { return transpose(g * v * 2); }));
  CHECK_FALSE(verdict([](const Tensor& g, const Tensor& v) { return g * v * 2.00001; }));
}

TEST_CASE("gradcheck says which element, and by how much") {
  const auto result = gradcheck(squared([](const Tensor& g, const Tensor& v) { return g * v; }),
                                {tensor({1.0}, {1})});
  CHECK(result.message.find("input 0, element [0]: the derivative says") == 0);
}

TEST_CASE("with no float64 input there is nothing to check, which is an error") {
  const auto wrong = squared([](const Tensor& g, const Tensor& v) { return g * v * 7; });
  for (const Tensors& inputs : {Tensors{ones({2})}, Tensors{arange(2)}, Tensors{}}) {
    CHECK_ERROR(gradcheck(wrong, inputs), "gradcheck: needs at least one float64 input");
    CHECK_ERROR(gradgradcheck(wrong, inputs), "gradgradcheck: needs at least one float64 input");
  }
}

TEST_CASE("gradgradcheck sees what gradcheck cannot") {
  const auto detached =
      squared([](const Tensor& g, const Tensor& v) { return g * v.detach() * 2; });
  const Tensor x = tensor({0.3, -1.2}, {2});
  CHECK(gradcheck(detached, {x}));
  CHECK_FALSE(gradgradcheck(detached, {x}));
  CHECK(gradgradcheck([](const Tensors& in) { return exp(in[0]) * in[1]; },
                      {x, tensor({2.0, 5.0}, {2})}));
}

TEST_SUITE_END();

}  // namespace

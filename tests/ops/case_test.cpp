// The checks themselves: a planted error of each kind must be caught.
#include "tests/ops/case.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("ops");

using Derivative = std::function<Tensor(const Tensor& g, const Tensor& x)>;

// sin, with a derivative of the test's choosing.
Function planted(const Derivative& derivative) {
  return [derivative](const Tensors& in) {
    const Tensor x = in[0];
    return record("planted", sin(x.detach()),
                  {{x, [x, derivative](const Tensor& g) { return derivative(g, x); }}});
  };
}

TEST_CASE("a wrong derivative does not pass") {
  const Tensor x = to_tensor(numbers(in({2, 3}), 0));
  const auto passes = [&](const Derivative& derivative) {
    const bool first = gradcheck(planted(derivative), {x}).passed;
    return first && gradgradcheck(planted(derivative), {x}).passed;
  };
  CHECK(passes([](const Tensor& g, const Tensor& v) { return g * cos(v); }));
  CHECK_FALSE(passes([](const Tensor& g, const Tensor& v) { return g * sin(v); }));
  CHECK_FALSE(passes([](const Tensor& g, const Tensor& v) { return -(g * cos(v)); }));
  CHECK_FALSE(passes([](const Tensor& g, const Tensor& v) { return g * cos(v) * 1.0001; }));
  CHECK_FALSE(passes([](const Tensor& g, const Tensor& v) { return g * cos(v) + 1e-5; }));
  CHECK_FALSE(passes([](const Tensor&, const Tensor& v) { return cos(v); }));
  CHECK_FALSE(passes([](const Tensor& g, const Tensor& v) { return g * mean(cos(v)); }));
  CHECK_FALSE(passes([](const Tensor& g, const Tensor& v) { return g * cos(v).detach(); }));
  CHECK_FALSE(passes([](const Tensor& g, const Tensor& v) { return g.detach() * cos(v); }));
}

TEST_CASE("a derivative that reads a gradient's memory as if it were contiguous does not pass") {
  const auto careless = [](const Tensors& in) {
    return record("careless", in[0].detach() * 1,
                  {{in[0], [](const Tensor& g) {
                      return view_of(g, g.shape(), g.shape().contiguous_strides(), g.body().offset);
                    }}});
  };
  const Tensors x = {to_tensor(numbers(in({2, 3}), 0))};
  const Array plain = numbers(in({2, 3}), 1);
  const Viewed turned = viewed(plain, float64, Layout::transposed);
  CHECK(to_array(gradients(careless, x, to_tensor(plain))[0]).values == plain.values);
  CHECK(to_array(gradients(careless, x, turned.view(turned.leaf))[0]).values != plain.values);
}

TEST_CASE("difference sees numbers, shapes and NaN") {
  const Array a{{2}, {1, 2}};
  CHECK(difference(a, a, 0) == "");
  CHECK(difference({{2}, {1, 2.001}}, a, 1e-3) == "");
  CHECK(difference({{2}, {1, 2.003}}, a, 1e-3) != "");
  CHECK(difference({{1, 2}, {1, 2}}, a, 1) != "");
  CHECK(difference({{2}, {1, std::nan("")}}, a, 1) != "");
  CHECK(difference(a, {{2}, {1, std::nan("")}}, 1) != "");
  CHECK(difference({{1}, {std::nan("")}}, {{1}, {std::nan("")}}, 0) == "");
}

TEST_CASE("layouts show the same numbers and are what they say") {
  const Array x = numbers(in({3, 4}), 0);
  for (const DType dtype : {float32, float64, int64}) {
    for (const Layout layout : {Layout::transposed, Layout::sliced, Layout::expanded}) {
      const Viewed v = viewed(x, dtype, layout);
      const Tensor seen = v.view(v.leaf);
      CHECK_FALSE(seen.is_contiguous());
      CHECK(difference(to_array(seen), to_array(to_tensor(v.seen, dtype)), 0) == "");
    }
  }
}

TEST_SUITE_END();

}  // namespace

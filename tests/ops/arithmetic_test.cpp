// Arithmetic of two tensors, broadcasting, comparisons: ops/arithmetic.cpp.
#include "tests/ops/case.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("ops");

double sum_of(double a, double b) { return a + b; }
double difference_of(double a, double b) { return a - b; }
double product_of(double a, double b) { return a * b; }
double quotient_of(double a, double b) { return a / b; }
double power_of(double a, double b) { return std::pow(a, b); }
double greater_of(double a, double b) { return a > b ? a : b; }
double lesser_of(double a, double b) { return a < b ? a : b; }

TEST_CASE("arithmetic of two tensors") {
  const std::vector<Case> cases = {
      {"add", OP(add(x[0], x[1])), each(sum_of), {in({2, 3}), in({2, 3})}},
      {"sub", OP(sub(x[0], x[1])), each(difference_of), {in({2, 3}), in({2, 3})}},
      {"mul", OP(mul(x[0], x[1])), each(product_of), {in({2, 3}), in({2, 3})}},
      {"div", OP(div(x[0], x[1])), each(quotient_of), {in({2, 3}), in({2, 3}, 0.5, 2)}},
      {"pow", OP(pow(x[0], x[1])), each(power_of), {in({2, 3}, 0.3, 2), in({2, 3})}},
      {"maximum", OP(maximum(x[0], x[1])), each(greater_of), {in({3, 5}), in({3, 5})}},
      {"minimum", OP(minimum(x[0], x[1])), each(lesser_of), {in({3, 5}), in({3, 5})}},
      {"add of a row", OP(x[0] + x[1]), each(sum_of), {in({2, 3}), in({3})}},
      {"sub of a column", OP(x[0] - x[1]), each(difference_of), {in({2, 3}), in({2, 1})}},
      {"mul of a column and a row", OP(x[0] * x[1]), each(product_of), {in({4, 1}), in({3})}},
      {"div by one number",
       OP(x[0] / x[1]),
       each(quotient_of),
       {in({2, 3}), in({}, 0.5, 2)},
       Empty::works,
       4e-6},
      {"div of one number", OP(x[0] / x[1]), each(quotient_of), {in({1, 1}), in({3}, 0.5, 2)}},
      {"pow of a column", OP(pow(x[0], x[1])), each(power_of), {in({2, 1}, 0.3, 2), in({3})}},
      {"maximum of a row", OP(maximum(x[0], x[1])), each(greater_of), {in({2, 3}), in({3})}},
      {"minimum of rank 3 and 1",
       OP(minimum(x[0], x[1])),
       each(lesser_of),
       {in({2, 1, 3}), in({4, 1})}},
      {"mul by itself", OP(x[0] * x[0]), each([](double a) { return a * a; }), {in({2, 3})}},
      {"div by itself", OP(x[0] / x[0]), each([](double a) { return a / a; }), {in({2, 3}, 1, 2)}},
  };
  for (const Case& c : cases) check_case(c);
}

TEST_CASE("arithmetic with a number") {
  const std::vector<Case> cases = {
      {"add a number", OP(x[0] + 1.5), each([](double a) { return a + 1.5; }), {in({2, 3})}},
      {"add to a number", OP(1.5 + x[0]), each([](double a) { return a + 1.5; }), {in({2, 3})}},
      {"sub a number", OP(x[0] - 1.5), each([](double a) { return a - 1.5; }), {in({2, 3})}},
      {"sub from a number", OP(1.5 - x[0]), each([](double a) { return 1.5 - a; }), {in({2, 3})}},
      {"mul by a number", OP(x[0] * -2.5), each([](double a) { return -2.5 * a; }), {in({2, 3})}},
      {"div by a number", OP(x[0] / 3), each([](double a) { return a / 3; }), {in({2, 3})}},
      {"div of a number", OP(3 / x[0]), each([](double a) { return 3 / a; }), {in({2, 3}, 1, 2)}},
  };
  for (const Case& c : cases) check_case(c);
}

TEST_CASE("where") {
  const auto choose = [](double c, double a, double b) { return c != 0 ? a : b; };
  const std::vector<Case> cases = {
      {"where",
       OP(where(x[0], x[1], x[2])),
       each(choose),
       {mask_in({3, 4}), in({3, 4}), in({3, 4})}},
      {"where, broadcast",
       OP(where(x[0], x[1], x[2])),
       each(choose),
       {mask_in({4}), in({3, 1}), in({2, 1, 1})}},
      {"where, or a number",
       OP(where(x[0], x[1], 7)),
       each([](double c, double a) { return c != 0 ? a : 7; }),
       {mask_in({3, 4}), in({3, 4})}},
      {"where, a number or",
       OP(where(x[0], 7, x[1])),
       each([](double c, double a) { return c != 0 ? 7 : a; }),
       {mask_in({3, 4}), in({3, 4})}},
  };
  for (const Case& c : cases) check_case(c);
}

TEST_CASE("comparisons and logic") {
  const std::vector<Case> cases = {
      {"eq",
       OP(x[0] == x[1]),
       each([](double a, double b) { return a == b; }),
       {index_in({3, 5}, 3), index_in({3, 5}, 3)}},
      {"ne",
       OP(x[0] != x[1]),
       each([](double a, double b) { return a != b; }),
       {index_in({3, 5}, 3), index_in({5}, 3)}},
      {"lt",
       OP(x[0] < x[1]),
       each([](double a, double b) { return a < b; }),
       {in({3, 5}), in({3, 5})}},
      {"le",
       OP(x[0] <= x[1]),
       each([](double a, double b) { return a <= b; }),
       {in({3, 1}), in({5})}},
      {"gt",
       OP(x[0] > x[1]),
       each([](double a, double b) { return a > b; }),
       {in({3, 5}), in({3, 5})}},
      {"ge",
       OP(x[0] >= x[1]),
       each([](double a, double b) { return a >= b; }),
       {in({3, 5}), index_in({3, 5}, 2)}},
      {"gt of a number", OP(x[0] > 0.5), each([](double a) { return a > 0.5; }), {in({3, 5})}},
      {"eq of masks",
       OP(x[0] == x[1]),
       each([](double a, double b) { return a == b; }),
       {mask_in({3, 5}), mask_in({3, 5})}},
      {"logical_not", OP(!x[0]), each([](double a) { return a == 0; }), {mask_in({3, 5})}},
      {"logical_and",
       OP(x[0] & x[1]),
       each([](double a, double b) { return a != 0 && b != 0; }),
       {mask_in({3, 5}), mask_in({5})}},
      {"logical_or",
       OP(x[0] | x[1]),
       each([](double a, double b) { return a != 0 || b != 0; }),
       {mask_in({3, 5}), mask_in({3, 1})}},
  };
  for (const Case& c : cases) check_case(c);
  CHECK((ones({2}) < 2).dtype() == bool_);
}

bool fits(const Index& a, const Index& b) {
  for (size_t i = 1; i <= std::min(a.size(), b.size()); ++i) {
    const int64_t m = a[a.size() - i], n = b[b.size() - i];
    if (m != n && m != 1 && n != 1) return false;
  }
  return true;
}

std::vector<Index> small_shapes() {  // rank 0 to 3, sizes 0 to 3
  std::vector<Index> shapes = {{}};
  for (size_t i = 0; i < shapes.size(); ++i) {
    if (shapes[i].size() == 3) break;
    for (int64_t size = 0; size <= 3; ++size) {
      Index longer = shapes[i];
      longer.push_back(size);
      shapes.push_back(longer);
    }
  }
  return shapes;
}

Array product_gradient(const Array& g, const Array& other, const Index& shape) {
  Array result = twin::make(shape, [](const Index&) { return 0; });
  twin::every(g.shape, [&](const Index& index) { result(index) += g(index) * other(index); });
  return result;
}

TEST_CASE("every pair of small shapes broadcasts as NumPy's do, or is an error") {
  const std::vector<Index> shapes = small_shapes();
  REQUIRE(shapes.size() == 85);
  int wrong = 0;
  for (const Index& sa : shapes) {
    for (const Index& sb : shapes) {
      const Array a = numbers(in(sa), 0), b = numbers(in(sb), 1);
      const Tensor x = to_tensor(a).set_requires_grad(true),
                   y = to_tensor(b).set_requires_grad(true);
      if (!fits(sa, sb)) {
        const std::string text = error_of([&] { static_cast<void>(x * y); });
        const bool named = text.find("mul") == 0 &&
                           text.find(x.shape().str()) != std::string::npos &&
                           text.find(y.shape().str()) != std::string::npos;
        wrong += named ? 0 : 1;
        continue;
      }
      const Array value = each(product_of)({a, b}), g = numbers(in(value.shape), 2);
      const Tensor z = x * y;
      wrong += difference(to_array(z), value, 1e-15) == "" ? 0 : 1;
      const Tensors gradient = grad({z}, {x, y}, {.grad_outputs = {to_tensor(g)}});
      const Array da = product_gradient(g, b, sa), db = product_gradient(g, a, sb);
      wrong += difference(to_array(gradient[0]), da, 1e-13) == "" ? 0 : 1;
      wrong += difference(to_array(gradient[1]), db, 1e-13) == "" ? 0 : 1;
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("dtypes: integers and masks join floats, two kinds of float do not meet") {
  const Tensor i = tensor({1, 2}, {2}), b = tensor({true, false}, {2});
  CHECK((i + i).dtype() == int64);
  CHECK((i + ones({2})).dtype() == float32);
  CHECK((b * tensor({0.5, 0.5}, {2})).to_vector<double>() == std::vector<double>{0.5, 0});
  CHECK((i + b).to_vector<int64_t>() == std::vector<int64_t>{2, 2});
  CHECK((i / i).dtype() == float32);
  CHECK((tensor({1, 7}, {2}) / 2).to_vector<float>() == std::vector<float>{0.5, 3.5});
  CHECK((i * 2).dtype() == int64);
  CHECK((i * 0.5).dtype() == float32);
  CHECK((i * i).to_vector<int64_t>() == std::vector<int64_t>{1, 4});
  const Tensor large = tensor({(int64_t{1} << 62) + 1}, {1});
  CHECK((large - tensor({1}, {1})).item<int64_t>() == int64_t{1} << 62);
  CHECK((ones({2}) + tensor({0.1, 0.2}, {2}, {.dtype = float32})).dtype() == float32);
  CHECK_ERROR(ones({2}) + ones({3}, {.dtype = float64}), "add: [2] is float32 and [3] is float64");
}

TEST_CASE("ties share the gradient") {
  for (const Function& op :
       {Function(OP(maximum(x[0], x[1]))), Function(OP(minimum(x[0], x[1])))}) {
    const Tensor a = tensor({1.0, 2.0, 3.0}, {3}), b = tensor({1.0, 5.0, -3.0}, {3});
    const Tensors g = gradients(op, {a, b}, tensor({8.0, 8.0, 8.0}, {3}));
    CHECK(g[0].to_vector<double>()[0] == 4);
    CHECK(g[1].to_vector<double>()[0] == 4);
    CHECK((g[0] + g[1]).to_vector<double>() == std::vector<double>{8, 8, 8});
  }
}

TEST_CASE("powers of 0") {
  const auto slopes = [](double a, double b) {
    const Tensors g =
        gradients(OP(pow(x[0], x[1])), {tensor({a}, {1}), tensor({b}, {1})}, tensor({1.0}, {1}));
    return std::vector<double>{g[0].item<double>(), g[1].item<double>()};
  };
  CHECK(slopes(0, 2) == std::vector<double>{0, 0});
  CHECK(slopes(0, 1) == std::vector<double>{1, 0});
  CHECK(slopes(0, 0) == std::vector<double>{0, 0});
  CHECK(slopes(-2, 3)[0] == 12);
}

TEST_SUITE_END();

}  // namespace

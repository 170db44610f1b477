// layer_norm: ops/normalise.cpp.
#include <numeric>

#include "tests/ops/case.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("ops");

using List = std::vector<double>;

List normalised(const List& x) {
  const auto n = static_cast<double>(x.size());
  const double mean = std::accumulate(x.begin(), x.end(), 0.0) / n;
  double square = 0;
  for (double v : x) square += (v - mean) * (v - mean);
  List y;
  for (double v : x) y.push_back((v - mean) / std::sqrt(square / n + 1e-5));
  return y;
}

Array layer_norm_of(const Arrays& x) {
  Array y = twin::along(normalised, x[0], -1);
  if (x.size() > 1) y = each([](double a, double b) { return a * b; })({y, x[1]});
  if (x.size() > 2) y = each([](double a, double b) { return a + b; })({y, x[2]});
  return y;
}

TEST_CASE("layer_norm") {
  const std::vector<Case> cases = {
      {"layer_norm", OP(layer_norm(x[0])), layer_norm_of, {in({3, 5})}, Empty::works, 4e-6},
      {"layer_norm and weight",
       OP(layer_norm(x[0], x[1])),
       layer_norm_of,
       {in({2, 3, 5}), in({5})},
       Empty::works,
       4e-6},
      {"layer_norm, weight and bias",
       OP(layer_norm(x[0], x[1], x[2])),
       layer_norm_of,
       {in({3, 5}), in({5}), in({5})},
       Empty::works,
       4e-6},
      {"layer_norm of rank 4",
       OP(layer_norm(x[0], x[1], x[2])),
       layer_norm_of,
       {in({2, 2, 2, 4}), in({4}), in({4})},
       Empty::works,
       4e-6},
  };
  for (const Case& c : cases) check_case(c);
  check_case(
      {"layer_norm and bias",
       OP(layer_norm(x[0], {}, x[1])),
       [](const Arrays& x) {
         return each([](double a, double b) { return a + b; })({layer_norm_of({x[0]}), x[1]});
       },
       {in({3, 5}), in({5})},
       Empty::works,
       4e-6});
}

TEST_CASE("layer_norm at a far mean, in the same float32 numbers") {
  for (const double mean : {0.0, 1e2, 1e3, 1e4, 1e6}) {
    for (const int64_t n : {5, 16, 33, 256}) {
      const Array x = to_array(to_tensor(twin::make({2, n},
                                                    [&](const Index& index) {
                                                      return mean +
                                                             static_cast<double>(index[1]) * 1e-3 +
                                                             static_cast<double>(index[0]);
                                                    }),
                                         float32));
      const std::string off =
          difference(to_array(layer_norm(to_tensor(x, float32))), layer_norm_of({x}), 1e-3);
      CHECK_MESSAGE(off == "", "mean ", mean, " n ", n, ": ", off);
    }
  }
  CHECK(all_finite(layer_norm(tensor({1e18f, -1e18f, 3e17f, 0.0f}, {4}))));
  CHECK(all_finite(layer_norm(tensor({1e30f, 1e30f, 1e30f, 1e30f}, {4}))));
  CHECK(all_finite(layer_norm(tensor({1e30f, -1e30f, 3e29f, 0.0f}, {4}))));
}

TEST_CASE("layer_norm of rows whose first numbers are far from all others") {
  for (const double far : {10.0, 1e3, 1e5}) {
    for (const int64_t few : {1, 4, 8, 16}) {  // as many as the cpu guesses the mean from
      const Array x = to_array(to_tensor(
          twin::make({2, 4000},
                     [&](const Index& index) {
                       const double spread = std::sin(static_cast<double>(index[1]));
                       return (index[1] < few ? far : 0.0) + spread + static_cast<double>(index[0]);
                     }),
          float32));
      const std::string off =
          difference(to_array(layer_norm(to_tensor(x, float32))), layer_norm_of({x}), 2e-6);
      CHECK_MESSAGE(off == "", "far ", far, ", ", few, " of them: ", off);
    }
  }
}

TEST_CASE("layer_norm over no features, and its derivatives") {
  for (const Shape& shape : {Shape{3, 0}, Shape{0}, Shape{0, 0}, Shape{2, 3, 0}}) {
    for (const bool create_graph : {false, true}) {
      const auto op = [](const Tensors& x) { return layer_norm(x[0], x[1], x[2]); };
      const Tensors g =
          gradients(op, {zeros(shape), zeros({0}), zeros({0})}, zeros(shape), create_graph);
      CHECK(g[0].shape() == shape);
      CHECK(g[1].shape() == Shape{0});
      CHECK(g[2].shape() == Shape{0});
    }
  }
}

TEST_CASE("layer_norm of equal numbers") {
  const Tensor same = full({3, 7}, 4.2, {.dtype = float64});
  CHECK(greatest(layer_norm(same).to_vector<double>()) < 1e-10);
  CHECK(all_finite(gradients(OP(layer_norm(x[0])), {same}, ones_like(same))[0]));
}

TEST_SUITE_END();

}  // namespace

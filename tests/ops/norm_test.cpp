// prod, norm, std, any and all: ops/reduce.cpp.
#include <numeric>

#include "tests/ops/case.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("ops");

using List = std::vector<double>;

double product(const List& x) {
  return std::accumulate(x.begin(), x.end(), 1.0, [](double a, double b) { return a * b; });
}
double deviation(const List& x) {
  const double n = static_cast<double>(x.size());
  const double mean = std::accumulate(x.begin(), x.end(), 0.0) / n;
  double sum = 0;
  for (double v : x) sum += (v - mean) * (v - mean);
  return std::sqrt(sum / std::max(n - 1, 0.0));
}
auto norm_by(double p) {
  return [p](const List& x) {
    double sum = 0, greatest = 0, least = std::numeric_limits<double>::infinity();
    for (double v : x) {
      greatest = std::max(greatest, std::abs(v));
      least = std::min(least, std::abs(v));
      sum += p == 0 ? static_cast<double>(v != 0) : std::pow(std::abs(v), p);
    }
    if (std::isinf(p)) return p > 0 ? greatest : least;
    return p == 0 ? sum : std::pow(sum, 1 / p);
  };
}

TEST_CASE("prod over every choice of dimensions") {
  for (const Index& dims : std::vector<Index>{{}, {0}, {1}, {-1}, {0, 2}, {2, 1}}) {
    for (const bool keep : {false, true}) {
      check_case({"prod",
                  [&](const Tensors& x) { return prod(x[0], Dims(dims), keep); },
                  twin::reduced(product, dims, keep),
                  {in({2, 3, 4})}});
    }
  }
  check_case({"prod of a number", OP(prod(x[0])), twin::reduced(product), {in({})}});
  check_case({"prod of a list", OP(prod(x[0], 0)), twin::reduced(product, {0}), {in({7})}});
}

TEST_CASE("prod is differentiated right where elements are 0") {
  const Tensor zeros_in = tensor({2.0, 0.0, 3.0, 0.0, 0.0, 5.0, 1.0, 4.0, 0.5}, {3, 3});
  const Function op = OP(prod(x[0], 1));
  CHECK(gradients(op, {zeros_in}, ones({3}, float64))[0].to_vector<double>() ==
        List{0, 6, 0, 0, 0, 0, 2, 0.5, 4});
  CHECK(gradients(op, {zeros_in}, ones({3}, float64), true)[0].to_vector<double>() ==
        List{0, 6, 0, 0, 0, 0, 2, 0.5, 4});
  CHECK(gradcheck(op, {zeros_in}));
  CHECK(gradgradcheck(op, {zeros_in}));
}

TEST_CASE("prod of integers wraps around, of nothing is 1") {
  CHECK(prod(tensor({3, -4, 5}, {3})).item<int64_t>() == -60);
  CHECK(prod(full({64}, 2, int64)).item<int64_t>() == 0);
  CHECK(prod(tensor({true, false}, {2})).dtype() == int64);
  CHECK(prod(zeros({0, 3}), 0).to_vector<float>() == std::vector<float>{1, 1, 1});
  CHECK(prod(zeros({3, 0}, int64), 1).to_vector<int64_t>() == std::vector<int64_t>{1, 1, 1});
  for (int64_t n = 1; n <= 140; ++n) {
    const Array x = numbers(in({3, n, 2}, 0.5, 1.5), n);
    for (const int64_t dim : {0, 1, 2}) {
      const Array wanted = twin::reduced(product, {dim})({x});
      CHECK(difference(to_array(prod(to_tensor(x), dim)), wanted, 1e-13) == "");
      CHECK(difference(to_array(prod(to_tensor(x, float32), dim)), wanted, 1e-4) == "");
    }
  }
}

TEST_CASE("norms") {
  constexpr double inf = std::numeric_limits<double>::infinity();
  for (const double p : {2.0, 1.0, 3.0, 0.5, -1.5, inf, -inf, 0.0}) {
    const Empty empty = std::isinf(p) ? Empty::refuses : Empty::works;
    const auto with = [&](const char* name, const Index& dims, bool keep) {
      check_case({name,
                  [=](const Tensors& x) { return norm(x[0], p, Dims(dims), keep); },
                  twin::reduced(norm_by(p), dims, keep),
                  {in({2, 3, 4}, 0.3, 2)},
                  empty,
                  4e-6});
      check_case({name,
                  [=](const Tensors& x) { return norm(x[0], p, Dims(dims), keep); },
                  twin::reduced(norm_by(p), dims, keep),
                  {in({2, 3, 4}, -2, -0.3)},
                  empty,
                  4e-6});
    };
    with("norm", {}, false);
    with("norm of rows", {-1}, true);
    with("norm over two", {0, 2}, false);
  }
}

TEST_CASE("norms where elements are 0: the subgradient 0, and second derivatives beside it") {
  const Tensor nothing = zeros({3}, float64), some = tensor({0.0, -3.0, 4.0}, {3});
  const Tensor one = scalar(1, float64);
  for (const double p : {0.5, 1.0, 1.5, 2.0, 3.0}) {
    const Function op = [p](const Tensors& x) { return norm(x[0], p); };
    for (const bool recorded : {false, true}) {
      CHECK(gradients(op, {nothing}, one, recorded)[0].to_vector<double>() == List{0, 0, 0});
      CHECK(gradients(op, {some}, one, recorded)[0].to_vector<double>()[0] == 0);
    }
  }
  CHECK(norm(some).item<double>() == 5);
  CHECK(norm(some, 0).item<double>() == 2);
  CHECK(gradcheck(OP(norm(x[0])), {some}));
  CHECK(gradgradcheck(OP(norm(x[0])), {some}));
  CHECK_ERROR(norm(arange(3)), "norm: takes float32 or float64, not int64");
  CHECK_ERROR(norm(zeros({0}), std::numeric_limits<double>::infinity()), "norm: nothing to choose");
  CHECK(norm(zeros({0})).item() == 0);
}

TEST_CASE("std") {
  check_case(
      {"std", OP(regrad::std(x[0])), twin::reduced(deviation), {in({2, 5})}, Empty::works, 2e-6});
  check_case({"std along 1",
              OP(regrad::std(x[0], 1)),
              twin::reduced(deviation, {1}),
              {in({2, 5})},
              Empty::works,
              2e-6});
  check_case({"std along -1, kept",
              OP(regrad::std(x[0], -1, true)),
              twin::reduced(deviation, {-1}, true),
              {in({3, 4})},
              Empty::works,
              2e-6});
  CHECK(regrad::std(tensor({1.0, 3.0}, {2}), {}, false, 0).item() == 1);
  CHECK(std::isnan(regrad::std(ones({1})).item()));
  const Tensors g = gradients(OP(regrad::std(x[0])), {ones({3}, float64)}, scalar(1, float64));
  CHECK(g[0].to_vector<double>() == List{0, 0, 0});
}

TEST_CASE("any and all") {
  const auto one_of = [](const List& x) {
    return static_cast<double>(std::any_of(x.begin(), x.end(), [](double v) { return v != 0; }));
  };
  const auto each_of = [](const List& x) {
    return static_cast<double>(std::all_of(x.begin(), x.end(), [](double v) { return v != 0; }));
  };
  for (const Index& dims : std::vector<Index>{{}, {0}, {-1}}) {
    for (const In& input : {mask_in({4, 3}), index_in({4, 3}, 3)}) {
      check_case({"any",
                  [&](const Tensors& x) { return any(x[0], Dims(dims)); },
                  twin::reduced(one_of, dims),
                  {input}});
      check_case({"all",
                  [&](const Tensors& x) { return all(x[0], Dims(dims), true); },
                  twin::reduced(each_of, dims, true),
                  {input}});
    }
  }
  CHECK(any(zeros({3})).dtype() == bool_);
  CHECK(any(tensor({0.0, std::nan("")}, {2})).item<bool>());
  CHECK(all(zeros({0})).item<bool>());
  CHECK_FALSE(any(zeros({0})).item<bool>());
}

TEST_SUITE_END();

}  // namespace

// Reductions: ops/reduce.cpp.
#include <numeric>

#include "tests/ops/case.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("ops");

using List = std::vector<double>;

double total(const List& x) { return std::accumulate(x.begin(), x.end(), 0.0); }
double average(const List& x) { return total(x) / static_cast<double>(x.size()); }
double greatest_of(const List& x) { return *std::max_element(x.begin(), x.end()); }
double least_of(const List& x) { return *std::min_element(x.begin(), x.end()); }
double log_sum_exp(const List& x) {
  double sum = 0;
  for (double v : x) sum += std::exp(v);
  return std::log(sum);
}
double variance_by(const List& x, double correction) {
  const double mean = average(x);
  double sum = 0;
  for (double v : x) sum += (v - mean) * (v - mean);
  return sum / std::max(static_cast<double>(x.size()) - correction, 0.0);
}
double variance(const List& x) { return variance_by(x, 1); }
double first_greatest(const List& x) {
  return static_cast<double>(std::max_element(x.begin(), x.end()) - x.begin());
}
double first_least(const List& x) {
  return static_cast<double>(std::min_element(x.begin(), x.end()) - x.begin());
}

struct Reducer {
  std::string name;
  Tensor (*function)(const Tensor&, const Dims&, bool);
  double (*twin)(const List&);
  Empty empty = Empty::works;
};

const Reducer reducers[] = {
    {"sum", sum, total},
    {"mean", mean, average},
    {"max", max, greatest_of, Empty::refuses},
    {"min", min, least_of, Empty::refuses},
    {"logsumexp", logsumexp, log_sum_exp},
    {"var", [](const Tensor& x, const Dims& dims, bool keep) { return var(x, dims, keep); },
     variance},
};

TEST_CASE("reductions over every choice of dimensions") {
  const std::vector<Index> choices = {{},     {0},    {1},    {2},    {-1},
                                      {0, 1}, {1, 2}, {0, 2}, {2, 0}, {0, 1, 2}};
  for (const Reducer& r : reducers) {
    for (const Index& dims : choices) {
      for (const bool keep : {false, true}) {
        if (r.name == "var" && dims == Index{0})
          continue;  // expanded: the variance of equals, below
        std::string name = r.name + " over";
        for (int64_t d : dims) name += " " + std::to_string(d);
        check_case({name + (keep ? ", kept" : ""),
                    [&](const Tensors& x) { return r.function(x[0], Dims(dims), keep); },
                    twin::reduced(r.twin, dims, keep),
                    {in({2, 3, 4})},
                    r.empty,
                    2e-6});
      }
    }
    check_case({r.name + " of a list",
                [&](const Tensors& x) { return r.function(x[0], 0, false); },
                twin::reduced(r.twin, {0}),
                {in({7})},
                r.empty,
                2e-6});
  }
}

TEST_CASE("reductions of one number, and along one element") {
  for (const Reducer& r : reducers) {
    if (r.name == "var") continue;  // of one number: 0 / 0
    check_case({r.name + " of a number",
                [&](const Tensors& x) { return r.function(x[0], {}, false); },
                twin::reduced(r.twin),
                {in({})}});
    check_case({r.name + " along one",
                [&](const Tensors& x) { return r.function(x[0], 1, false); },
                twin::reduced(r.twin, {1}),
                {in({3, 1, 2})},
                r.empty});
  }
}

TEST_CASE("var with another correction, and of equal numbers") {
  for (const double correction : {0.0, 1.0, 2.0}) {
    check_case({"var",
                [=](const Tensors& x) { return var(x[0], 1, false, correction); },
                twin::reduced([=](const List& x) { return variance_by(x, correction); }, {1}),
                {in({2, 5})},
                Empty::works,
                2e-6});
  }
  CHECK(var(full({4}, 3)).item<double>() == 0);
  CHECK(std::isnan(var(ones({1})).item<double>()));
  // A far mean: the difference of mean squares would have no digit left.
  const Tensor far = tensor({1e4f - 1e-2f, 1e4f, 1e4f + 1e-2f}, {3});
  CHECK(var(far).item<double>() ==
        doctest::Approx(variance(far.to_vector<double>())).epsilon(1e-4));
}

TEST_CASE("argmax and argmin: the first of equals") {
  const std::vector<Case> cases = {
      {"argmax", OP(argmax(x[0])), twin::reduced(first_greatest), {in({3, 5})}, Empty::refuses},
      {"argmax along 0",
       OP(argmax(x[0], 0)),
       twin::reduced(first_greatest, {0}),
       {in({3, 5})},
       Empty::refuses},
      {"argmax along 1",
       OP(argmax(x[0], 1, true)),
       twin::reduced(first_greatest, {1}, true),
       {in({3, 5, 2})},
       Empty::refuses},
      {"argmin along -1",
       OP(argmin(x[0], -1)),
       twin::reduced(first_least, {-1}),
       {in({3, 5})},
       Empty::refuses},
      {"argmin",
       OP(argmin(x[0])),
       twin::reduced(first_least),
       {index_in({3, 5}, 4)},
       Empty::refuses},
      {"argmax of masks",
       OP(argmax(x[0], 1)),
       twin::reduced(first_greatest, {1}),
       {mask_in({3, 5})},
       Empty::refuses},
  };
  for (const Case& c : cases) check_case(c);
  for (const int64_t n : {1, 3, 8, 15, 16, 17, 33, 64, 100}) {
    for (int64_t index = 0; index < n; ++index) {
      std::vector<float> x(static_cast<size_t>(n), 1);
      x[static_cast<size_t>(index)] = 2;
      CHECK(argmax(tensor(x, {n})).item<int64_t>() == index);
      x[static_cast<size_t>(index)] = std::numeric_limits<float>::quiet_NaN();
      CHECK(argmax(tensor(x, {n})).item<int64_t>() == index);
      CHECK(argmin(tensor(x, {n})).item<int64_t>() == index);
    }
  }
}

TEST_CASE("max and min share the gradient between equals") {
  const Tensor tied = tensor({3.0, 1.0, 3.0, 1.0}, {4}), g = scalar(6, float64);
  CHECK(gradients(OP(max(x[0])), {tied}, g)[0].to_vector<double>() == List{3, 0, 3, 0});
  CHECK(gradients(OP(min(x[0])), {tied}, g)[0].to_vector<double>() == List{0, 3, 0, 3});
}

TEST_CASE("integers and masks are summed exactly") {
  CHECK(sum(tensor({true, true, false}, {3})).item<int64_t>() == 2);
  CHECK(sum(tensor({int64_t{1} << 60, int64_t{1}}, {2})).item<int64_t>() == (int64_t{1} << 60) + 1);
  CHECK(max(tensor({5, -7, 6}, {3})).item<int64_t>() == 6);
  CHECK(max(tensor({true, false}, {2})).dtype() == bool_);
  CHECK(mean(tensor({1, 2}, {2})).item<float>() == 1.5f);
}

TEST_CASE("nothing at all") {
  const Tensor none = zeros({0, 3}), rows = zeros({3, 0});
  CHECK(sum(none).item<float>() == 0);
  CHECK(sum(rows, 1).to_vector<float>() == std::vector<float>{0, 0, 0});
  CHECK(std::isnan(mean(none).item<float>()));
  CHECK(std::isnan(var(none).item<float>()));
  CHECK(logsumexp(rows, 1).to_vector<float>() ==
        std::vector<float>(3, -std::numeric_limits<float>::infinity()));
  CHECK(max(none, 1).shape() == Shape{0});
  CHECK_ERROR(max(none), "max: nothing to choose from in shape [0, 3]");
  CHECK_ERROR(argmin(rows, 1), "argmin: nothing to choose from in shape [3, 0]");
  CHECK(all_finite(none));
}

TEST_CASE("ten million numbers") {
  constexpr int64_t n = 10'000'000;
  const Tensor x = full({n}, 0.1);
  const double exact = static_cast<double>(0.1f) * n;
  CHECK(sum(x).item<double>() == doctest::Approx(exact).epsilon(1e-6));
  CHECK(mean(x).item<double>() == doctest::Approx(exact / n).epsilon(1e-6));
  const Tensor wide = reshape(x, {1000, 10000});
  for (const int64_t dim : {0, 1}) {
    const Tensor sums = sum(wide, dim);
    const double each_one = exact / static_cast<double>(sums.numel());
    CHECK(min(sums).item<double>() == doctest::Approx(each_one).epsilon(1e-6));
    CHECK(max(sums).item<double>() == doctest::Approx(each_one).epsilon(1e-6));
  }
  CHECK(var(x).item<double>() < 1e-12);
}

TEST_CASE("lengths around every vector width") {
  for (int64_t n = 1; n <= 140; ++n) {
    for (const DType dtype : {float32, float64}) {
      const Array x = to_array(to_tensor(numbers(in({3, n, 2}), n), dtype));
      const Tensor t = to_tensor(x, dtype);
      for (const Reducer& r : reducers) {
        if (r.name == "var" && n == 1) continue;
        for (const int64_t dim : {0, 1, 2}) {
          const Array wanted = twin::reduced(r.twin, {dim})({x});
          const std::string off = difference(to_array(r.function(t, dim, false)), wanted,
                                             dtype == float32 ? 2e-6 : 1e-13);
          CHECK_MESSAGE(off == "", r.name, " n ", n, " dim ", dim, ": ", off);
        }
      }
    }
  }
}

TEST_CASE("all_finite") {
  constexpr double inf = std::numeric_limits<double>::infinity();
  for (int64_t index = 0; index < 37; ++index) {
    for (const double bad : {inf, -inf, std::nan("")}) {
      std::vector<double> x(37, 1e300);
      CHECK(all_finite(tensor(x, {37})));
      x[static_cast<size_t>(index)] = bad;
      CHECK_FALSE(all_finite(tensor(x, {37})));
    }
  }
}

TEST_SUITE_END();

}  // namespace

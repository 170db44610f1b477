// softmax, log_softmax, masked_softmax: ops/softmax.cpp.
#include <numeric>

#include "tests/ops/case.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("ops");

using List = std::vector<double>;
constexpr double inf = std::numeric_limits<double>::infinity();

List softmax_of(const List& x) {
  const double largest = x.empty() ? 0 : *std::max_element(x.begin(), x.end());
  List y;
  for (double v : x) y.push_back(largest == -inf ? 0 : std::exp(v - largest));
  const double sum = std::accumulate(y.begin(), y.end(), 0.0);
  for (double& v : y) v = sum == 0 ? 0 : v / sum;
  return y;
}

List log_softmax_of(const List& x) {
  double sum = 0;
  for (double v : x) sum += std::exp(v);
  List y;
  for (double v : x) y.push_back(v - std::log(sum));
  return y;
}

TEST_CASE("softmax along every dimension") {
  for (const int64_t d : {0, 1, 2, -1, -3}) {
    const std::string name = " along " + std::to_string(d);
    check_case({"softmax" + name,
                [d](const Tensors& x) { return softmax(x[0], d); },
                twin::along(softmax_of, d),
                {in({2, 3, 4}, -3, 3)}});
    check_case({"log_softmax" + name,
                [d](const Tensors& x) { return log_softmax(x[0], d); },
                twin::along(log_softmax_of, d),
                {in({2, 3, 4}, -3, 3)}});
  }
  check_case({"softmax of one", OP(softmax(x[0], 1)), twin::along(softmax_of, 1), {in({3, 1})}});
  check_case({"softmax of a list", OP(softmax(x[0], 0)), twin::along(softmax_of, 0), {in({5})}});
}

TEST_CASE("masked_softmax") {
  const Twin masked = [](const Arrays& x) {
    const Array open = each([](double v, double m) { return m != 0 ? v : -inf; })({x[0], x[1]});
    return twin::along(softmax_of, open, -1);
  };
  check_case({"masked_softmax",
              OP(masked_softmax(x[0], x[1], -1)),
              masked,
              {in({2, 3, 5}), mask_in({2, 3, 5})}});
  check_case({"masked_softmax with one mask for all rows",
              OP(masked_softmax(x[0], x[1], -1)),
              masked,
              {in({2, 3, 5}), mask_in({5})}});
}

TEST_CASE("softmax of extreme rows") {
  const double rows[][3] = {{1e38, -1e38, 0}, {1e38, 1e38, 1e38}, {-1e38, -1e38, -1e38},
                            {88.7, -88.7, 0}, {88.7, 88.7, 88.7}, {-88.7, -88.7, -88.6},
                            {-inf, 0, 1},     {-inf, -inf, 5},    {0, 0, 0}};
  for (const DType dtype : {float32, float64}) {
    for (const auto& row : rows) {
      const Tensor x = tensor({row[0], row[1], row[2]}, {1, 3}, {.dtype = dtype});
      const List seen = x.to_vector<double>(), y = softmax(x, 1).to_vector<double>();
      const List wanted = softmax_of(seen), logs = log_softmax(x, 1).to_vector<double>();
      for (size_t i = 0; i < 3; ++i) {
        CHECK(std::abs(y[i] - wanted[i]) <= 4e-7);
        if (wanted[i] > 1e-30)
          CHECK(logs[i] == doctest::Approx(std::log(wanted[i])).epsilon(1e-5));
        else
          CHECK(logs[i] < -60);
      }
      CHECK(std::abs(std::accumulate(y.begin(), y.end(), 0.0) - 1) < 1e-6);
    }
  }
}

TEST_CASE("a row of -inf gives zeros and zero gradients; +inf and NaN give NaN") {
  for (const DType dtype : {float32, float64}) {
    for (const int64_t n : {1, 3, 8, 17}) {
      for (const int64_t dim : {0, 1}) {
        const Tensor x = full(dim == 1 ? Shape{2, n} : Shape{n, 2}, -inf, {.dtype = dtype});
        const Tensor g = ones(x.shape(), {.dtype = dtype});
        const auto op = [dim](const Tensors& in) { return softmax(in[0], dim); };
        CHECK(same_bits(softmax(x, dim), zeros_like(x)));
        CHECK(same_bits(gradients(op, {x}, g)[0], zeros_like(x)));
      }
    }
    for (int64_t index = 0; index < 19; ++index) {
      for (const double bad : {inf, std::nan("")}) {
        List row(19, 1);
        row[static_cast<size_t>(index)] = bad;
        const Tensor x = tensor(row, {19}, {.dtype = dtype});
        for (double v : softmax(x, 0).to_vector<double>())
          CHECK((std::isnan(v) || (bad == inf && v == 0)));
        CHECK(std::isnan(softmax(x, 0).to_vector<double>()[static_cast<size_t>(index)]));
      }
    }
  }
}

TEST_CASE("wide rows and rows around every vector width") {
  for (const int64_t n : {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 65, 1000, 1'000'000}) {
    const Array x = to_array(to_tensor(numbers(in({1, n}, -8, 8), n), float32));
    const Tensor y = softmax(to_tensor(x, float32), 1);
    const std::string off = difference(to_array(y), twin::along(softmax_of, x, 1), 2e-6);
    CHECK_MESSAGE(off == "", "n ", n, ": ", off);
    const List values = y.to_vector<double>();
    CHECK(std::abs(std::accumulate(values.begin(), values.end(), 0.0) - 1) < 1e-6);
  }
}

TEST_SUITE_END();

}  // namespace

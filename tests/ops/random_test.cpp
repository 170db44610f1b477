// Random numbers and dropout: ops/random.cpp.
#include <numeric>

#include "tests/ops/case.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("ops");

struct Moments {
  double mean = 0, deviation = 0, skew = 0, kurtosis = 0;
};

Moments moments_of(const std::vector<double>& x) {
  const auto n = static_cast<double>(x.size());
  Moments m;
  for (double v : x) m.mean += v / n;
  double powers[3] = {};
  for (double v : x) {
    const double d = v - m.mean;
    powers[0] += d * d / n, powers[1] += d * d * d / n, powers[2] += d * d * d * d / n;
  }
  m.deviation = std::sqrt(powers[0]);
  m.skew = powers[1] / std::pow(m.deviation, 3);
  m.kurtosis = powers[2] / (powers[0] * powers[0]);
  return m;
}

// The published answers for a counter and a key of zeros.
TEST_CASE("philox gives the numbers of its paper") {
  CHECK(philox(0, 0) == 0xe169c58d6627e8d5);
  CHECK(philox(0, 1) == 0x9b00dbd8bc57ac4c);
  CHECK(philox(0, 2) != philox(1, 2));
  for (uint64_t i = 0; i < 50; ++i) {
    Generator generator(77, i);
    const auto top = static_cast<double>(philox(77, i) >> 40);
    CHECK(rand({1}, generator).item<double>() == std::ldexp(top, -24));
  }
}

TEST_CASE("multinomial draws each class as often as its chance says") {
  Generator generator(11);
  const Tensor p = tensor(std::vector<float>{1, 0, 3, 4, 5, 0, 0, 0}, {2, 4});
  const std::vector<int64_t> drawn = multinomial(p, 40'000, generator, true).to_vector<int64_t>();
  int64_t counts[2][4] = {};
  for (size_t i = 0; i < drawn.size(); ++i) ++counts[i / 40'000][drawn[i]];
  CHECK(counts[0][1] == 0);
  CHECK(std::abs(counts[0][0] - 5'000) < 300);
  CHECK(std::abs(counts[0][2] - 15'000) < 400);
  CHECK(std::abs(counts[0][3] - 20'000) < 400);
  CHECK(counts[1][0] == 40'000);
  // Without replacement: every class that has a chance, once; and the same again from the same
  // seed.
  const Tensor chances = tensor(std::vector<double>{1, 2, 0, 3}, {4});
  Generator same(7), again(7);
  const Tensor order = multinomial(chances, 3, same);
  CHECK(order.shape() == Shape{3});
  std::vector<int64_t> sorted = order.to_vector<int64_t>();
  CHECK(multinomial(chances, 3, again).to_vector<int64_t>() == sorted);
  std::sort(sorted.begin(), sorted.end());
  CHECK(sorted == std::vector<int64_t>{0, 1, 3});
  CHECK_ERROR(multinomial(chances, 4, same),
              "4 numbers are wanted of a row with 3 chances above 0");
  CHECK_ERROR(multinomial(-chances, 1, same), "a chance is -1; it must be 0 or more");
  CHECK_ERROR(multinomial(zeros({4}), 1, same, true), "a row with 0 chances above 0");
  CHECK_ERROR(multinomial(arange(4), 1, same), "float");
}

TEST_CASE("uniform and normal numbers have the right moments") {
  for (const DType dtype : {float32, float64}) {
    Generator generator(42);
    const std::vector<double> u =
        rand({1'000'000}, generator, {.dtype = dtype}).to_vector<double>();
    const Moments m = moments_of(u);
    CHECK(std::abs(m.mean - 0.5) < 0.002);
    CHECK(std::abs(m.deviation - std::sqrt(1.0 / 12)) < 0.001);
    CHECK(*std::min_element(u.begin(), u.end()) >= 0);
    CHECK(*std::max_element(u.begin(), u.end()) < 1);
    const Moments z =
        moments_of(randn({1'000'000}, generator, {.dtype = dtype}).to_vector<double>());
    CHECK(std::abs(z.mean) < 0.005);
    CHECK(std::abs(z.deviation - 1) < 0.005);
    CHECK(std::abs(z.skew) < 0.02);
    CHECK(std::abs(z.kurtosis - 3) < 0.03);
  }
}

TEST_CASE("a number depends on seed and position alone") {
  for (Tensor (*draw)(const Shape&, Generator&, TensorOptions) : {rand, randn}) {
    for (const DType dtype : {float32, float64}) {
      const TensorOptions options{.dtype = dtype};
      Generator one(7), other(7);
      const Tensor whole = draw({1000}, one, options);
      CHECK(one.position() == 1000);
      std::vector<Tensor> pieces;
      for (const int64_t n : {1, 2, 3, 5, 64, 925}) pieces.push_back(draw({n}, other, options));
      CHECK(same_bits(whole, concat(pieces)));
      Generator later(7, 17);
      CHECK(same_bits(narrow(whole, 0, 17, 10), draw({10}, later, options)));
      Generator different(8);
      CHECK_FALSE(same_bits(whole, draw({1000}, different, options)));
    }
  }
}

TEST_CASE("randint and randperm") {
  Generator generator(3);
  const std::vector<int64_t> x = randint(-2, 3, {10000}, generator).to_vector<int64_t>();
  for (int64_t value = -2; value < 3; ++value) {
    CHECK(std::abs(std::count(x.begin(), x.end(), value) - 2000) < 200);
  }
  CHECK_ERROR(randint(3, 3, {1}, generator), "randint: low 3 must be below high 3");
  std::vector<int64_t> order = randperm(1000, generator).to_vector<int64_t>();
  CHECK_FALSE(std::is_sorted(order.begin(), order.end()));
  std::sort(order.begin(), order.end());
  for (int64_t i = 0; i < 1000; ++i) CHECK(order[static_cast<size_t>(i)] == i);
  CHECK(randperm(0, generator).shape() == Shape{0});
}

Twin dropped(double p) {  // by the numbers that rand gives
  return [p](const Arrays& x) {
    Generator generator(5);
    const std::vector<double> chance =
        rand(to_shape(x[0].shape), generator, {.dtype = float64}).to_vector<double>();
    Array y = x[0];
    for (size_t i = 0; i < y.values.size(); ++i) {
      y.values[i] = chance[i] < p ? 0 : p < 1 ? y.values[i] / (1 - p) : 0;
    }
    return y;
  };
}

TEST_CASE("dropout") {
  for (const double p : {0.25, 0.5, 0.9, 1.0}) {
    check_case({"dropout",
                [p](const Tensors& x) {
                  Generator generator(5);
                  return dropout(x[0], p, generator);
                },
                dropped(p),
                {in({3, 5})}});
  }
  Generator generator(1);
  const Tensor x = ones({100'000});
  const std::vector<double> y = dropout(x, 0.3, generator).to_vector<double>();
  CHECK(std::abs(static_cast<double>(std::count(y.begin(), y.end(), 0.0)) - 30000) < 1000);
  Generator whole(7), later(7, 17);  // who is dropped depends on seed and position alone
  const Tensor some = dropout(x, 0.3, whole);
  CHECK(same_bits(dropout(ones({50'000}), 0.3, later), narrow(some, 0, 17, 50'000)));
  CHECK(whole.position() == 100'000);
  const Tensor leaf = ones({100'000}, {.requires_grad = true});
  Generator again(7);
  sum(dropout(leaf, 0.3, again)).backward();
  CHECK(same_bits(leaf.grad(), some));
  CHECK(same_bits(dropout(x, 0, generator), x));
  CHECK_ERROR(dropout(x, 1.5, generator), "dropout: the chance must be in [0, 1], not 1.5");
  CHECK_ERROR(dropout(arange(3), 0.5, generator), "dropout: takes float32 or float64, not int64");
}

TEST_SUITE_END();

}  // namespace

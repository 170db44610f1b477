// Tensors from numbers: ops/create.cpp.
#include "tests/ops/case.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("ops");

using Doubles = std::vector<double>;

TEST_CASE("constants of every dtype") {
  for (const DType dtype : {float32, float64, int64, bool_}) {
    const TensorOptions options{.dtype = dtype};
    for (const Shape& shape : {Shape{}, Shape{0}, Shape{37}, Shape{2, 0, 3}, Shape{2, 3}}) {
      const auto count = static_cast<size_t>(shape.numel());
      CHECK(zeros(shape, options).to_vector<double>() == Doubles(count, 0));
      CHECK(ones(shape, options).to_vector<double>() == Doubles(count, 1));
      CHECK(full(shape, 1, options).dtype() == dtype);
      CHECK(zeros_like(ones(shape, options)).to_vector<double>() == Doubles(count, 0));
      CHECK(ones_like(zeros(shape, options)).dtype() == dtype);
    }
  }
  CHECK(full({2}, -3.5).to_vector<double>() == Doubles{-3.5, -3.5});
  CHECK(full_like(ones({1}, {.dtype = float64}), 0.1).item<double>() == 0.1);
  CHECK(scalar(0.1, float64).item<double>() == 0.1);
  CHECK(ones({2}, {.requires_grad = true}).requires_grad());
}

TEST_CASE("sequences") {
  CHECK(arange(0).shape() == Shape{0});
  CHECK(arange(3).dtype() == int64);
  CHECK(arange(3, {.dtype = float64}).to_vector<double>() == Doubles{0, 1, 2});
  CHECK(arange(1.0, 2.0, 0.25).to_vector<double>() == Doubles{1, 1.25, 1.5, 1.75});
  CHECK(arange(3.0, 0.0, -1).to_vector<double>() == Doubles{3, 2, 1});
  CHECK(arange(1.0, 1.0).shape() == Shape{0});
  CHECK(linspace(0, 1, 5).to_vector<double>() == Doubles{0, 0.25, 0.5, 0.75, 1});
  CHECK(linspace(2, 9, 1).to_vector<double>() == Doubles{2});
  CHECK(linspace(2, 9, 0).shape() == Shape{0});
  CHECK(eye(3).to_vector<double>() == Doubles{1, 0, 0, 0, 1, 0, 0, 0, 1});
  CHECK(eye(0).shape() == Shape{0, 0});
  CHECK(eye(2, {.dtype = int64}).dtype() == int64);
}

TEST_CASE("values go in and come out unchanged") {
  const std::vector<float> x = {0.1f, -0.0f, 1e-45f, 3.4e38f,
                                std::numeric_limits<float>::infinity()};
  CHECK(tensor(x, {5}).to_vector<float>() == x);
  CHECK(std::signbit(tensor(x, {5}).to_vector<float>()[1]));
  const std::vector<int64_t> wide = {std::numeric_limits<int64_t>::min(),
                                     std::numeric_limits<int64_t>::max()};
  CHECK(tensor(wide, {2}).to_vector<int64_t>() == wide);
  CHECK(tensor({0.1}, {1}, {.dtype = float32}).item<float>() == 0.1f);
  CHECK(tensor({1.9}, {1}, {.dtype = int64}).item<int64_t>() == 1);
}

TEST_CASE("conveniences: x[i], item(), a dtype alone, and +=") {
  Tensor x = arange(6).reshape({2, 3}).to(float64);
  CHECK(x[1][-1].item() == 5);
  CHECK_ERROR(x[2], "select: index 2 is out of range for dimension 0 of [2, 3]");
  CHECK_ERROR(scalar(1)[0], "select: ");
  CHECK(zeros({3}, float64).dtype() == float64);
  CHECK(ones({3}, int64).dtype() == int64);
  CHECK(full({3}, 2, int64).to_vector<int64_t>() == std::vector<int64_t>{2, 2, 2});
  const Tensor before = x;
  x += 1;
  x *= before;
  CHECK(x[1][0].item() == 12);
  CHECK(before[1][0].item() == 3);  // the numbers that others refer to stay
}

TEST_CASE("+= in a graph makes a new tensor; a parameter is written in place, under NoGrad") {
  Tensor w = ones({2}, float64).set_requires_grad(true);
  Tensor total = scalar(0, float64);
  for (int i = 0; i < 3; ++i) total += sum(w * w);
  total.backward();
  CHECK(w.grad().to_vector<double>() == std::vector<double>{6, 6});
  CHECK_ERROR(w += 1, "+=: ");
  const Tensor same = w;
  {
    const NoGrad guard;
    w -= w.grad() * 0.5;
    CHECK_ERROR(w += zeros({3, 2}, float64), "+=: the result of shape [3, 2]");
  }
  CHECK(same.to_vector<double>() == std::vector<double>{-2, -2});
  CHECK((w.is_leaf() && w.requires_grad()));
}

TEST_SUITE_END();

}  // namespace

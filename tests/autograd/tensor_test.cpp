// Shapes, storages, views, and numbers in and out.
#include <doctest/doctest.h>

#include <limits>
#include <sstream>

#include "regrad.h"
#include "tests/errors.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("autograd");

TEST_CASE("shapes") {
  CHECK(Shape{2, 3}.str() == "[2, 3]");
  std::ostringstream shown;
  shown << Shape{2, 3};
  CHECK(shown.str() == "[2, 3]");
  CHECK(Shape{}.numel() == 1);
  CHECK(Shape{0, 5}.numel() == 0);
  CHECK(Shape{2, 3, 4}.contiguous_strides() == Shape{12, 4, 1});
  CHECK_ERROR((Shape{1, 1, 1, 1, 1, 1, 1, 1, 1}), "at most 8");
  constexpr int64_t huge = std::numeric_limits<int64_t>::max();
  CHECK_ERROR((Shape{huge, 2}).numel(), "too large");
  CHECK((Shape{huge, 0, huge}).numel() == 0);
  CHECK_ERROR(empty({huge}), "too large");
  CHECK_ERROR(zeros({2, -1}), "[2, -1]");
  CHECK_ERROR(zeros({2, 3}).size(2), "dimension 2 does not exist in shape [2, 3]");
  CHECK(zeros({2, 3}).size(-1) == 3);
}

TEST_CASE("tensors from values take the values' type") {
  CHECK(tensor(std::vector<float>{1, 2}, {2}).dtype() == float32);
  CHECK(tensor(std::vector<double>{1, 2}, {2}).dtype() == float64);
  CHECK(tensor(std::vector<int64_t>{1, 2}, {2}).dtype() == int64);
  CHECK(tensor(std::vector<bool>{true, false}, {2}).dtype() == bool_);
  CHECK(tensor({1, 2, 3}, {3}).dtype() == int64);
  CHECK(tensor({1.5, 2.5}, {2}, {.dtype = float32}).dtype() == float32);
  CHECK(zeros({2}).dtype() == float32);
  CHECK(arange(4).to_vector<int64_t>() == std::vector<int64_t>{0, 1, 2, 3});
  CHECK(eye(2).to_vector<float>() == std::vector<float>{1, 0, 0, 1});
  CHECK_ERROR(tensor({1.0, 2.0}, {3}), "2 values do not fill shape [3]");
}

TEST_CASE("numbers out, in any type") {
  const Tensor x = tensor({1.7, 0.0}, {2});
  CHECK(x.to_vector<int64_t>() == std::vector<int64_t>{1, 0});
  CHECK(x.to_vector<bool>() == std::vector<bool>{true, false});
  CHECK_ERROR(x.item<double>(), "not one number");
  CHECK_ERROR(x.data<float>(), "this tensor is float64, not float32");
  CHECK_ERROR(Tensor().shape(), "undefined");
}

TEST_CASE("views share storage, copies do not") {
  Tensor x = tensor({0.0, 1.0, 2.0, 3.0, 4.0, 5.0}, {2, 3});
  Tensor column = select(x, 1, 1);
  x.fill_(7);
  CHECK(column.to_vector<double>() == std::vector<double>{7, 7});
  Tensor copy = x.clone();
  x.fill_(1);
  CHECK(copy.to_vector<double>()[0] == 7);
  CHECK_FALSE(transpose(x).is_contiguous());
  CHECK(transpose(x).contiguous().is_contiguous());
  CHECK(x.contiguous().shares_body(x));
}

TEST_CASE("writing in place") {
  Tensor x = zeros({2, 2});
  x.copy_(tensor({1.0f, 2.0f}, {2}));
  x.add_(ones({2, 2}), 10);
  x.mul_(2);
  CHECK(x.to_vector<float>() == std::vector<float>{22, 24, 22, 24});
  CHECK_ERROR(x.copy_(ones({3})), "[3]");
  CHECK_ERROR(x.add_(ones({2, 2}, {.dtype = float64})), "float64");
  Tensor column = select(x, 1, 0);
  column.copy_(zeros({2}));
  CHECK(x.to_vector<float>() == std::vector<float>{0, 24, 0, 24});
}

TEST_CASE("memory goes back where it came from") {
  const MemoryUse before = memory_use();
  {
    Tensor x = zeros({100, 100});
    CHECK(memory_use().live_bytes == before.live_bytes + 40000);
    Tensor y = transpose(x);
    CHECK(memory_use().live_storages == before.live_storages + 1);
  }
  CHECK(memory_use().live_bytes == before.live_bytes);
}

TEST_CASE("tensors print themselves") {
  CHECK(tensor({1, 2}, {2}).str() == "[1, 2]  [2] int64");
  CHECK(zeros({20}).str() == "[0, 0, 0, ..., 0, 0, 0]  [20] float32");
  CHECK(Tensor().str() == "undefined");
  std::ostringstream out;
  out << tensor({1, 2}, {2});
  CHECK(out.str() == "[1, 2]  [2] int64");
}

TEST_SUITE_END();

}  // namespace

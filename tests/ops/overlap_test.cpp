// Writing in place where source and destination lie in one memory, and where elements share places.
#include "tests/ops/case.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("ops");

// Writes by way of `write` into view(x) from other(x), which overlap; and with a copy of the
// source.
void check_as_if_copied(const Shape& shape, const std::function<Tensor(const Tensor&)>& view,
                        const std::function<Tensor(const Tensor&)>& other,
                        const std::function<void(Tensor, const Tensor&)>& write) {
  for (const DType dtype : {float32, float64}) {
    Generator generator(7);
    const Tensor start = randn(shape, generator, {.dtype = dtype});
    const Tensor wanted = start.clone(), found = start.clone();
    write(view(wanted), other(wanted).clone());
    write(view(found), other(found));
    CHECK(same_bits(found, wanted));
  }
}

TEST_CASE("a source in the same memory is read before anything is written") {
  const auto copy = [](Tensor to, const Tensor& from) { to.copy_(from); };
  const auto add = [](Tensor to, const Tensor& from) { to.add_(from, 0.5); };
  const auto whole = [](const Tensor& x) { return x; };
  for (const int64_t n : {3, 17, 300}) {
    check_as_if_copied(
        {n, n}, whole, [](const Tensor& x) { return transpose(x); }, copy);
    check_as_if_copied(
        {n, n}, whole, [](const Tensor& x) { return transpose(x); }, add);
    check_as_if_copied(
        {n, n}, whole, [](const Tensor& x) { return select(x, 0, 1); }, copy);
    check_as_if_copied(
        {n, n}, whole, [](const Tensor& x) { return select(x, 0, 1); }, add);
  }
  for (const int64_t n : {5, 64, 100'001}) {
    const auto first = [n](const Tensor& x) { return narrow(x, 0, 0, n - 1); };
    const auto last = [n](const Tensor& x) { return narrow(x, 0, 1, n - 1); };
    for (const auto& write : {std::function<void(Tensor, const Tensor&)>(copy),
                              std::function<void(Tensor, const Tensor&)>(add)}) {
      check_as_if_copied({n}, first, last, write);
      check_as_if_copied({n}, last, first, write);
      check_as_if_copied({n}, whole, whole, write);
    }
    check_as_if_copied(
        {n}, [n](const Tensor& x) { return slice(x, 0, 0, n / 2 * 2, 2); },
        [n](const Tensor& x) { return slice(x, 0, 0, n / 2); }, copy);
  }
}

TEST_CASE("nothing is written into a tensor whose elements share places") {
  const Tensor base = zeros({1}), row = zeros({1, 3});
  for (const Tensor& x : {expand(base, {4}), expand(row, {2, 3}), transpose(expand(row, {2, 3})),
                          slice(expand(base, {4}), 0, 0, 4, 2), unsqueeze(expand(base, {4}), 0),
                          view_of(zeros({4}), {3, 2}, {1, 1}, 0)}) {
    Tensor to = x;
    CHECK_ERROR(to.copy_(ones({1})), "copy_: several elements of this tensor");
    CHECK_ERROR(to.fill_(1), "fill_: several elements");
    CHECK_ERROR(to.mul_(2), "mul_: ");
    CHECK_ERROR(to.add_(ones({1})), "add_: ");
    if (to.device() == cpu) CHECK_ERROR(to.mutable_data<float>(), "mutable_data: several elements");
    for (const float value : to.to_vector<float>()) CHECK(value == 0);
  }
  Tensor fine = transpose(zeros({3, 4}));  // strides of their own
  CHECK(fine.copy_(ones({4, 3})).to_vector<float>() == std::vector<float>(12, 1));
  Tensor one = expand(zeros({1}), {1}), none = expand(zeros({1}), {0});
  CHECK(one.fill_(2).item<float>() == 2);
  none.fill_(2);
}

TEST_CASE("einsum takes a diagonal and multiplies nothing with it") {
  const float inf = std::numeric_limits<float>::infinity();
  const Tensor x = tensor({1.0f, inf, NAN, 3.0f}, {2, 2});
  CHECK(einsum("ii->i", {x}).to_vector<float>() == std::vector<float>{1, 3});
  CHECK(einsum("ii->", {x}).item<float>() == 4);
  CHECK(einsum("ii,i->i", {x, tensor({2.0f, 2.0f}, {2})}).to_vector<float>() ==
        std::vector<float>{2, 6});
  Tensor cube = full({3, 3, 3}, NAN, {.dtype = float64});
  view_of(cube, {3}, {13}, 0).copy_(arange(3));
  CHECK(einsum("iii->i", {cube}).to_vector<double>() == std::vector<double>{0, 1, 2});
  CHECK(einsum("ii->i", {zeros({0, 0})}).shape() == Shape{0});
  CHECK(einsum("ii->i", {tensor({1, 2, 3, 4}, {2, 2})}).to_vector<int64_t>() ==
        std::vector<int64_t>{1, 4});
  Generator generator(3);
  const Tensor some = randn({4, 2, 4}, generator, {.dtype = float64});
  const auto diagonals = [](const Tensors& in) { return square(einsum("iji->ji", {in[0]})); };
  CHECK(gradcheck(diagonals, {some}));
  CHECK(gradgradcheck(diagonals, {some}));
}

TEST_SUITE_END();

}  // namespace

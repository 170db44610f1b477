// Products: ops/matmul.cpp.
#include "tests/ops/case.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("ops");

// [a, 1, i, j] [b, j, k] -> [a, b, i, k]
Array crossing(const Arrays& x) {
  const Array left{{x[0].shape[0], x[0].shape[2], x[0].shape[3]}, x[0].values};
  return twin::einsum("aij,bjk->abik", {left, x[1]});
}

TEST_CASE("matmul of every pair of ranks") {
  const auto product = OP(matmul(x[0], x[1]));
  const std::vector<Case> cases = {
      {"matmul", product, twin::einsum("ij,jk->ik"), {in({2, 3}), in({3, 5})}},
      {"matmul of a batch", product, twin::einsum("bij,bjk->bik"), {in({2, 3, 5}), in({2, 5, 4})}},
      {"matmul of a batch and a matrix",
       product,
       twin::einsum("bij,jk->bik"),
       {in({2, 3, 5}), in({5, 4})}},
      {"matmul of a matrix and a batch",
       product,
       twin::einsum("ij,bjk->bik"),
       {in({3, 5}), in({2, 5, 4})}},
      {"matmul of crossing batches", product, crossing, {in({2, 1, 3, 5}), in({4, 5, 2})}},
      {"matmul of vectors", product, twin::einsum("i,i->"), {in({5}), in({5})}},
      {"matmul of a matrix and a vector", product, twin::einsum("ij,j->i"), {in({3, 5}), in({5})}},
      {"matmul of a vector and a matrix", product, twin::einsum("i,ij->j"), {in({5}), in({5, 3})}},
      {"matmul of a batch and a vector",
       product,
       twin::einsum("bij,j->bi"),
       {in({2, 3, 5}), in({5})}},
      {"matmul of a vector and a batch",
       product,
       twin::einsum("i,bij->bj"),
       {in({5}), in({2, 5, 3})}},
      {"matmul of one row", product, twin::einsum("ij,jk->ik"), {in({1, 3}), in({3, 5})}},
      {"matmul of one column", product, twin::einsum("ij,jk->ik"), {in({4, 3}), in({3, 1})}},
      {"matmul, an outer product", product, twin::einsum("ij,jk->ik"), {in({4, 1}), in({1, 3})}},
      {"matmul of x and its transpose",
       OP(matmul(x[0], transpose(x[0]))),
       TWIN(twin::einsum("ij,kj->ik", {x[0], x[0]})),
       {in({3, 4})}},
      {"bmm", OP(bmm(x[0], x[1])), twin::einsum("bij,bjk->bik"), {in({2, 3, 4}), in({2, 4, 5})}},
  };
  for (const Case& c : cases) check_case(c);
}

TEST_CASE("linear") {
  const auto with_bias = [](const std::string& spec) -> Twin {
    return [spec](const Arrays& x) {
      return each([](double a, double b) { return a + b; })(
          {twin::einsum(spec, {x[0], x[1]}), x[2]});
    };
  };
  const std::vector<Case> cases = {
      {"linear", OP(linear(x[0], x[1])), twin::einsum("ij,kj->ik"), {in({2, 3}), in({5, 3})}},
      {"linear of a vector",
       OP(linear(x[0], x[1])),
       twin::einsum("j,kj->k"),
       {in({3}), in({5, 3})}},
      {"linear of a batch",
       OP(linear(x[0], x[1])),
       twin::einsum("bij,kj->bik"),
       {in({2, 4, 3}), in({5, 3})}},
      {"linear and bias",
       OP(linear(x[0], x[1], x[2])),
       with_bias("ij,kj->ik"),
       {in({2, 3}), in({5, 3}), in({5})}},
      {"linear of a batch and bias",
       OP(linear(x[0], x[1], x[2])),
       with_bias("bij,kj->bik"),
       {in({2, 4, 3}), in({5, 3}), in({5})}},
      {"linear to one number",
       OP(linear(x[0], x[1], x[2])),
       with_bias("ij,kj->ik"),
       {in({4, 3}), in({1, 3}), in({1})}},
  };
  for (const Case& c : cases) check_case(c);
}

// The product in double, whatever the operands.
Array naive(const Array& a, const Array& b) {
  const int64_t m = a.shape[0], k = a.shape[1], n = b.shape[1];
  Array c{{m, n}, std::vector<double>(static_cast<size_t>(m * n))};
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t p = 0; p < k; ++p) {
      const double factor = a.values[static_cast<size_t>(i * k + p)];
      for (int64_t j = 0; j < n; ++j) {
        c.values[static_cast<size_t>(i * n + j)] +=
            factor * b.values[static_cast<size_t>(p * n + j)];
      }
    }
  }
  return c;
}

TEST_CASE("products of awkward sizes, in every layout") {
  const int64_t sizes[] = {1, 2, 5, 7, 8, 9, 16, 17, 31, 33, 65, 129, 257};
  constexpr size_t count = std::size(sizes);
  for (size_t i = 0; i < count * 4; ++i) {
    const int64_t m = sizes[i % count], k = sizes[(i * 5 + 3) % count],
                  n = sizes[(i * 8 + i / count) % count];
    INFO("m ", m, " k ", k, " n ", n);
    for (const DType dtype : {float32, float64}) {
      const Array a = to_array(to_tensor(numbers(in({m, k}), 0), dtype));
      const Array b = to_array(to_tensor(numbers(in({k, n}), 1), dtype));
      const Array wanted = naive(a, b);
      const double bound = dtype == float32 ? 2e-6 : 1e-14;
      for (const Layout left : {Layout::contiguous, Layout::transposed, Layout::sliced}) {
        for (const Layout right : {Layout::contiguous, Layout::transposed, Layout::sliced}) {
          const Viewed x = viewed(a, dtype, left), y = viewed(b, dtype, right);
          const std::string off =
              difference(to_array(matmul(x.view(x.leaf), y.view(y.leaf))), wanted, bound);
          CHECK_MESSAGE(off == "", off);
        }
      }
    }
  }
}

TEST_CASE("a large product") {
  const Array a = to_array(to_tensor(numbers(in({301, 517}), 0), float32));
  const Array b = to_array(to_tensor(numbers(in({517, 270}), 1), float32));
  const std::string off =
      difference(to_array(matmul(to_tensor(a, float32), to_tensor(b, float32))), naive(a, b), 2e-6);
  CHECK_MESSAGE(off == "", off);
}

TEST_CASE("products of integers, which wrap around") {
  const auto whole = [](Index shape) { return index_in(std::move(shape), 9); };
  const std::vector<Case> cases = {
      {"matmul of integers",
       OP(matmul(x[0], x[1])),
       twin::einsum("ij,jk->ik"),
       {whole({3, 4}), whole({4, 5})}},
      {"matmul of batches of integers",
       OP(matmul(x[0], x[1])),
       twin::einsum("abij,bjk->abik"),
       {whole({2, 3, 2, 4}), whole({3, 4, 5})}},
      {"bmm of integers",
       OP(bmm(x[0], x[1])),
       twin::einsum("bij,bjk->bik"),
       {whole({2, 3, 4}), whole({2, 4, 5})}},
      {"matmul of an integer vector",
       OP(matmul(x[0], x[1])),
       twin::einsum("ij,j->i"),
       {whole({3, 4}), whole({4})}},
      {"linear of integers",
       OP(linear(x[0], x[1], x[2])),
       TWIN(each([](double a, double b) { return a + b; })(
           {twin::einsum("ij,kj->ik", {x[0], x[1]}), x[2]})),
       {whole({3, 4}), whole({5, 4}), whole({5})}},
  };
  for (const Case& c : cases) check_case(c);
  const Tensor big = full({1, 2}, int64_t{1} << 62, int64);
  CHECK(matmul(big, transpose(full({1, 2}, 2, int64))).item<int64_t>() == 0);
  CHECK_ERROR(matmul(zeros({2, 2}, bool_), zeros({2, 2}, bool_)), "matmul: does not take bool");
}

TEST_SUITE_END();

}  // namespace

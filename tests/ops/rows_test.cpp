// Rows are taken many at a time (ops/cpu/row_sums.h): what a row gives must not depend on the
// others.
#include <bit>

#include "tests/ops/case.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("ops");

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();
constexpr TensorOptions here{.device = cpu};

// Rows of all kinds beside each other: plain ones, and every fifth has something to overflow in.
Tensor mixed_rows(int64_t count, int64_t n) {
  Generator generator(7);
  std::vector<float> x = randn({count, n}, generator, here).to_vector<float>();
  const auto element = [&](int64_t row, int64_t i) -> float& {
    return x[static_cast<size_t>(row * n + i)];
  };
  for (int64_t row = 0; row < count; row += 5) {
    const int64_t i = row % n;
    if (row % 6 == 0) element(row, i) = infinity;
    if (row % 6 == 1) element(row, (i + 1) % n) = infinity;
    if (row % 6 == 1) element(row, i) = not_a_number;
    if (row % 6 == 2) element(row, i) = -infinity;
    for (int64_t j = 0; j < n; ++j) {
      if (row % 6 == 3) element(row, j) = -infinity;
      if (row % 6 == 4) element(row, j) = 3e38f;
      if (row % 6 == 5) element(row, j) += 1e6f;
    }
  }
  return tensor(x, {count, n}, here);
}

using RowOp = std::function<Tensor(const Tensor& rows, int64_t first)>;

struct NamedRowOp {
  const char* name;
  RowOp op;
};

Tensor targets_of(const Tensor& rows, int64_t first) {
  std::vector<int64_t> targets;
  for (int64_t i = 0; i < rows.size(0); ++i) targets.push_back((first + i) * 7 % rows.size(1));
  return tensor(targets, {rows.size(0)}, here);
}

// The gradient of an op of rows, for the gradient 1, 2, 3 ... along every row.
RowOp slope_of(const RowOp& op) {
  return [op](const Tensor& rows, int64_t first) {
    Tensor x = rows.clone();
    x.set_requires_grad(true);
    const Tensor y = op(x, first);
    const Tensor along = arange(y.rank() == 1 ? 1 : y.size(1), here).to(float32) + 1;
    return grad({y}, {x}, {.grad_outputs = {expand(along, y.shape())}})[0];
  };
}

std::vector<NamedRowOp> row_ops() {
  const RowOp softmax_rows = [](const Tensor& x, int64_t) { return softmax(x, 1); };
  const RowOp log_softmax_rows = [](const Tensor& x, int64_t) { return log_softmax(x, 1); };
  const RowOp norm = [](const Tensor& x, int64_t) { return layer_norm(x, {}, {}, 1e-5); };
  const RowOp loss = [](const Tensor& x, int64_t first) {
    return cross_entropy(x, targets_of(x, first),
                         {.label_smoothing = 0.1, .reduction = Reduce::none});
  };
  return {
      {"sum", [](const Tensor& x, int64_t) { return sum(x, 1); }},
      {"max", [](const Tensor& x, int64_t) { return max(x, 1); }},
      {"min", [](const Tensor& x, int64_t) { return min(x, 1); }},
      {"logsumexp", [](const Tensor& x, int64_t) { return logsumexp(x, 1); }},
      {"softmax", softmax_rows},
      {"softmax backward", slope_of(softmax_rows)},
      {"log_softmax", log_softmax_rows},
      {"log_softmax backward", slope_of(log_softmax_rows)},
      {"layer_norm", norm},
      {"layer_norm backward", slope_of(norm)},
      {"cross_entropy", loss},
      {"cross_entropy backward", slope_of(loss)},
  };
}

std::vector<uint32_t> bits_of(const Tensor& x) {
  std::vector<uint32_t> bits;
  for (float value : x.to_vector<float>()) {
    bits.push_back(std::isnan(value) ? 0x7fc00000u : std::bit_cast<uint32_t>(value));
  }
  return bits;
}

TEST_CASE("what a row gives does not depend on the rows beside it") {
  constexpr int64_t count = 37;
  for (const int64_t n : {1, 2, 5, 16, 30, 64, 100, 129, 300, 1024, 1030, 2100}) {
    const Tensor all = mixed_rows(count, n);
    for (const NamedRowOp& row_op : row_ops()) {
      const Tensor together = row_op.op(all, 0);
      for (int64_t row = 0; row < count; ++row) {
        const Tensor alone = row_op.op(narrow(all, 0, row, 1).contiguous(), row);
        const bool same = bits_of(alone) == bits_of(narrow(together, 0, row, 1).contiguous());
        CHECK_MESSAGE(same, row_op.name, " of ", n, " numbers, row ", row);
      }
    }
  }
}

// A product of one row takes a path of its own (ops/cpu/gemv.h).
TEST_CASE("a row of a product has the same bits alone as among others: rows beside it") {
  Generator generator(9);
  for (const DType dtype : {float32, float64}) {
    const auto random = [&](const Shape& shape) {
      return randn(shape, generator, {.dtype = dtype, .device = cpu});
    };
    for (const int64_t k : {1, 3, 8, 17, 64, 300, 513, 1030}) {
      for (const int64_t n : {1, 5, 16, 17, 33, 100}) {
        const Tensor x = random({34, k}), by_rows = random({n, k}), by_columns = random({k, n});
        const Tensor bias = random({n}), apart = transpose(random({k, 34}));
        const std::pair<const char*, std::function<Tensor(const Tensor&)>> products[] = {
            {"linear", [&](const Tensor& rows) { return linear(rows, by_rows, bias); }},
            {"matmul", [&](const Tensor& rows) { return matmul(rows, by_columns); }},
            {"matmul, relu after",
             [&](const Tensor& rows) { return relu(matmul(rows, by_columns)); }}};
        for (const auto& one : products) {
          const auto& name = one.first;
          const auto& product = one.second;
          for (const Tensor& input : {x, apart}) {
            const Tensor together = product(input);
            for (const int64_t count : {1, 2, 7, 16}) {
              const Tensor some = product(narrow(input, 0, 11, count));
              const bool same = same_bits(some, narrow(together, 0, 11, count));
              CHECK_MESSAGE(same, name, " of ", count, " rows, k ", k, " n ", n);
            }
          }
        }
        const Tensor columns = transpose(matmul(by_rows, transpose(x)));  // rows as columns
        CHECK(same_bits(columns.contiguous(), linear(x, by_rows)));
        CHECK(same_bits(matmul(by_rows, select(x, 0, 3)), select(linear(x, by_rows), 0, 3)));
      }
    }
  }
}

TEST_CASE("a row with a NaN or an infinity gives what its numbers give one by one") {
  const Tensor all = mixed_rows(37, 5);
  const std::vector<float> x = all.to_vector<float>();
  const std::vector<float> largest = max(all, 1).to_vector<float>();
  const std::vector<float> sums = logsumexp(all, 1).to_vector<float>();
  for (size_t row = 0; row < 37; ++row) {
    double greatest = -infinity, total = 0;
    bool has_nan = false;
    for (size_t i = 0; i < 5; ++i) {
      const double value = static_cast<double>(x[row * 5 + i]);
      has_nan |= std::isnan(value);
      greatest = std::max(greatest, value);
    }
    for (size_t i = 0; i < 5; ++i) {
      total += std::exp(static_cast<double>(x[row * 5 + i]) - greatest);
    }
    INFO("row ", row);
    if (has_nan) {
      CHECK(std::isnan(largest[row]));
      CHECK(std::isnan(sums[row]));
    } else {
      CHECK(static_cast<double>(largest[row]) == greatest);
      const double sum = static_cast<double>(sums[row]);
      if (std::isinf(greatest))
        CHECK(sum == greatest);
      else
        CHECK(sum == doctest::Approx(greatest + std::log(total)).epsilon(1e-6));
    }
  }
}

TEST_SUITE_END();

}  // namespace

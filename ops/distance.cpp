// Squared distances between all pairs of rows, d_ij = |a_i - b_j|², computed from the differences:
// |a|² - 2 a·b + |b|² loses its digits to cancellation where rows are close but far from 0.
//   da_i = 2 Σ_j g_ij (a_i - b_j),  db_j = -2 Σ_i g_ij (a_i - b_j)
// Where g is 0 (a masked pair) the rows get no gradient, even if the distance is NaN or infinite.
#include <algorithm>

#include "ops/dispatch.h"
#include "ops/ops.h"

namespace regrad {
namespace {

Tensor differences(const Tensor& a, const Tensor& b) {
  return sub(unsqueeze(a, -2), unsqueeze(b, -3));
}

// Calls body(rows of a, first, count) for blocks of rows with about a million differences each.
template <class Body>
void for_each_block(const Tensor& a, const Tensor& b, const Body& body) {
  const int64_t rows = a.size(-2), each = std::max<int64_t>(b.numel(), 1);
  const int64_t batch = std::max<int64_t>(a.numel() / std::max<int64_t>(rows * a.size(-1), 1), 1);
  const int64_t max_rows = std::max<int64_t>((int64_t{1} << 20) / each / batch, 1);
  for (int64_t first = 0; first < rows; first += max_rows) {
    const int64_t count = std::min(max_rows, rows - first);
    body(narrow(a, -2, first, count), first, count);
  }
}

// 2 g_ij (a_i - b_j), masked where g_ij is 0. While a backward pass is recorded, g needs a gradient
// too, so only differences that are not finite are masked there.
Tensor scaled_differences(const Tensor& g, const Tensor& a, const Tensor& b) {
  const Tensor each = unsqueeze(g, -1), difference = differences(a, b);
  Tensor masked = each == 0;
  if (GradMode::enabled()) masked = masked & (sub(difference, difference) != 0);
  return where(masked, 0, mul(mul(each, 2), difference));
}

std::vector<Tensor> composed_backward(const Tensor& g, const Tensor& a, const Tensor& b) {
  const Tensor all = scaled_differences(g, a, b);
  return {sum(all, -2), neg(sum(all, -3))};
}

// The same, one block at a time, so that the differences of all pairs are never stored.
std::vector<Tensor> backward(const Tensor& g, const Tensor& a, const Tensor& b) {
  std::vector<Tensor> of_a;
  Tensor of_b = zeros_like(b);
  for_each_block(a, b, [&](const Tensor& part, int64_t first, int64_t count) {
    const Tensor all = scaled_differences(narrow(g, -2, first, count), part, b);
    of_a.push_back(sum(all, -2));
    of_b = sub(of_b, sum(all, -3));
  });
  return {of_a.empty() ? zeros_like(a) : concat(of_a, -2), of_b};
}

}  // namespace

Tensor squared_distance(const Tensor& a, const Tensor& b) {
  check(a.rank() >= 2 && b.rank() >= 2 && a.size(-1) == b.size(-1),
        "squared_distance: takes rows [.., m, h] and [.., n, h], not {} and {}", called(a),
        called(b));
  check_same_dtype("squared_distance", a, b);
  const auto batch_of = [](const Tensor& x) {
    return Shape(x.shape().begin(), x.shape().size() - 2);
  };
  const Shape batch = broadcast_shapes("squared_distance", batch_of(a), batch_of(b));
  const auto over_batch = [&](const Tensor& x) {
    Shape shape = batch;
    shape.push_back(x.size(-2)), shape.push_back(x.size(-1));
    return shape == x.shape() ? x : expand(x, shape);
  };
  const Tensor from = over_batch(a), to = over_batch(b);
  std::vector<Tensor> rows;
  {
    const InsideOp guard;
    for_each_block(from, to, [&](const Tensor& part, int64_t, int64_t) {
      rows.push_back(sum(square(differences(part, to)), -1));
    });
  }
  Shape shape = batch;
  shape.push_back(a.size(-2)), shape.push_back(b.size(-2));
  Tensor out = rows.empty() ? empty(shape, a.dtype(), a.device()) : concat(rows, -2);
  return record_fused(
      "squared_distance", std::move(out), {from, to},
      [from, to](const Tensor& g, Needed) { return composed_backward(g, from, to); },
      [from, to](const Tensor& g, Needed) { return backward(g, from, to); });
}

}  // namespace regrad

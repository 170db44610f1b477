// Elements more than once or in other places: views and copies of ops/layout.cpp put together,
// whose derivatives these need.
#include "ops/dispatch.h"
#include "ops/ops.h"

namespace regrad {
namespace {

// Every run of `size` elements repeated `count` times, as [runs, count, size].
Tensor repeated_runs(const Tensor& x, int64_t size, int64_t count) {
  const int64_t runs = size == 0 ? 0 : x.numel() / size;
  return expand(reshape(x, {runs, 1, size}), {runs, count, size});
}

}  // namespace

Tensor repeat(const Tensor& x, const std::vector<int64_t>& repeats) {
  const auto rank = static_cast<int64_t>(repeats.size());
  check(rank >= x.rank(), "repeat: {} numbers for the {} dimensions of {}", repeats.size(),
        x.rank(), x.shape());
  Shape shape(std::vector<int64_t>(static_cast<size_t>(rank - x.rank()), 1));
  for (const int64_t size : x.shape()) shape.push_back(size);
  Tensor y = reshape(x.clone(), shape);
  for (int64_t d = rank - 1; d >= 0; --d) {  // the last first: while the copies are small
    const int64_t count = repeats[static_cast<size_t>(d)];
    check(count >= 0, "repeat: {} times along dimension {} of {}", count, d, x.shape());
    if (count == 1) continue;
    const Rows rows = rows_around(shape, d);
    shape[d] = checked_mul(shape[d], count);
    y = reshape(repeated_runs(y, rows.n * rows.inner, count), shape);
  }
  return y;
}

Tensor repeat_interleave(const Tensor& x, int64_t repeats, std::optional<int64_t> dim) {
  check(repeats >= 0, "repeat_interleave: {} times", repeats);
  if (!dim) return repeat_interleave(flatten(x), repeats, 0);
  const int64_t d = x.shape().dim(*dim, "repeat_interleave");
  if (x.rank() == 0) return repeat_interleave(reshape(x, {1}), repeats, 0);
  Shape shape = x.shape();
  shape[d] = checked_mul(shape[d], repeats);
  if (repeats == 1) return x.clone();
  return reshape(repeated_runs(x, rows_around(x.shape(), d).inner, repeats), shape);
}

Tensor repeat_interleave(const Tensor& x, const Tensor& repeats, std::optional<int64_t> dim) {
  check(repeats.dtype() == int64 && repeats.rank() <= 1,
        "repeat_interleave: the repeats must be int64 [n], not {} {}", repeats.dtype(),
        repeats.shape());
  if (!dim) return repeat_interleave(flatten(x), repeats, 0);
  const int64_t n = x.shape().at(*dim, "repeat_interleave");
  check(repeats.numel() == n || repeats.numel() == 1,
        "repeat_interleave: {} repeats for the {} elements along dimension {} of {}",
        repeats.numel(), n, *dim, x.shape());
  const std::vector<int64_t> counts = repeats.to_vector<int64_t>();
  std::vector<int64_t> places;
  for (int64_t i = 0; i < n; ++i) {
    const int64_t count = counts[counts.size() == 1 ? 0 : static_cast<size_t>(i)];
    check(count >= 0, "repeat_interleave: {} times at place {}", count, i);
    places.insert(places.end(), static_cast<size_t>(count), i);
  }
  const auto total = static_cast<int64_t>(places.size());
  return index_select(x, *dim, tensor(places, {total}, {.device = x.device()}));
}

std::vector<Tensor> chunk(const Tensor& x, int64_t chunks, int64_t dim) {
  check(chunks > 0, "chunk: the number of chunks must be above 0, not {}", chunks);
  const int64_t n = x.shape().at(dim, "chunk");
  if (n == 0) return split(x, std::vector<int64_t>(static_cast<size_t>(chunks), 0), dim);
  return split(x, (n - 1) / chunks + 1, dim);
}

Tensor roll(const Tensor& x, int64_t shift, std::optional<int64_t> dim) {
  return roll(x, std::vector<int64_t>{shift}, dim ? Dims(*dim) : Dims());
}

Tensor roll(const Tensor& x, const std::vector<int64_t>& shifts, const Dims& dims) {
  if (dims.empty() && shifts.size() == 1) return reshape(roll(flatten(x), shifts[0], 0), x.shape());
  check(shifts.size() == dims.size(), "roll: {} shifts for {} dimensions of {}", shifts.size(),
        dims.size(), x.shape());
  Tensor y = x;
  for (size_t i = 0; i < dims.size(); ++i) {
    const int64_t n = x.shape().at(dims[i], "roll");
    if (n == 0) return x.clone();
    const int64_t shift = (shifts[i] % n + n) % n;
    if (shift == 0) continue;
    y = concat({narrow(y, dims[i], n - shift, shift), narrow(y, dims[i], 0, n - shift)}, dims[i]);
  }
  return y.shares_body(x) ? x.clone() : y;
}

}  // namespace regrad

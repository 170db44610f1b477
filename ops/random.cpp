// Random numbers: each depends on (seed, position) alone, see ops/random.h.
#include <algorithm>
#include <cmath>
#include <span>
#include <utility>
#include <vector>

#include "ops/dispatch.h"
#include "ops/ops.h"

namespace regrad {
namespace {

Tensor sample(const char* op, bool normal, const Shape& shape, Generator& generator,
              const TensorOptions& options) {
  Tensor x = empty(shape, options.dtype.value_or(float32), options.device);
  const auto count = static_cast<uint64_t>(x.numel());
  const uint64_t position = generator.advance(count);
  for_floats(op, x, [&]<class T>() {
    const auto& table = kernels<T>(x);
    (normal ? table.random.normal : table.random.uniform)(x.numel(), raw<T>(x), generator.seed(),
                                                          position);
  });
  if (options.requires_grad) x.set_requires_grad(true);
  return x;
}

Tensor seeded_dropout(const Tensor& x, double p, uint64_t seed, uint64_t position) {
  const Tensor from = detached(x).contiguous();
  Tensor y = empty(x.shape(), x.dtype(), x.device());
  for_floats("dropout", x, [&]<class T>() {
    kernels<T>(x).random.dropout(x.numel(), raw<T>(y), raw<T>(from), static_cast<T>(p),
                                 static_cast<T>(p < 1 ? 1 / (1 - p) : 0), seed, position);
  });
  return record("dropout", std::move(y),
                {{x, [=](const Tensor& g) { return seeded_dropout(g, p, seed, position); }}});
}

}  // namespace

namespace {
constinit thread_local DrawScope* innermost = nullptr;
}  // namespace

DrawScope::DrawScope(std::vector<Draw>& draws, bool repeat)
    : draws_(draws), repeat_(repeat), outer_(std::exchange(innermost, this)) {}
DrawScope::~DrawScope() { innermost = outer_; }

uint64_t DrawScope::draw(DrawScope* scope, uint64_t seed, uint64_t& position, uint64_t count) {
  if (scope == nullptr) return std::exchange(position, position + count);
  if (!scope->repeat_) {
    const uint64_t first = draw(scope->outer_, seed, position, count);
    scope->draws_.push_back({seed, first});
    return first;
  }
  check(scope->next_ < scope->draws_.size() && scope->draws_[scope->next_].seed == seed,
        "checkpoint: f drew other random numbers when backward() called it again");
  return scope->draws_[scope->next_++].position;
}

uint64_t Generator::advance(uint64_t count) {
  return DrawScope::draw(innermost, seed_, position_, count);
}

double uniform_number(uint64_t seed, uint64_t counter) {
  return std::ldexp(static_cast<double>(philox(seed, counter) >> 11), -53);
}

size_t pick(std::span<const double> weights, double uniform) {
  double remaining = 0;
  for (const double weight : weights) remaining += weight;
  remaining *= uniform;
  size_t last = 0;  // rounding may leave a remainder after the last weight
  for (size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] == 0) continue;
    last = i;
    remaining -= weights[i];
    if (remaining < 0) break;
  }
  return last;
}

Tensor rand(const Shape& shape, Generator& generator, TensorOptions options) {
  return sample("rand", false, shape, generator, options);
}

Tensor randn(const Shape& shape, Generator& generator, TensorOptions options) {
  return sample("randn", true, shape, generator, options);
}

Tensor randint(int64_t low, int64_t high, const Shape& shape, Generator& generator) {
  check(low < high, "randint: low {} must be below high {}", low, high);
  Tensor x = empty(shape, int64, cpu);
  const auto span =
      static_cast<unsigned __int128>(static_cast<uint64_t>(high) - static_cast<uint64_t>(low));
  uint64_t position = generator.advance(static_cast<uint64_t>(x.numel()));
  int64_t* out = raw<int64_t>(x);
  for (int64_t i = 0; i < x.numel(); ++i) {
    const auto step = static_cast<uint64_t>(philox(generator.seed(), position++) * span >> 64);
    out[i] = static_cast<int64_t>(static_cast<uint64_t>(low) + step);
  }
  return x.to(default_device());
}

Tensor randperm(int64_t n, Generator& generator) {  // Fisher-Yates shuffle
  Tensor x = arange(n, {.device = cpu});
  int64_t* out = raw<int64_t>(x);
  for (int64_t i = n - 1; i > 0; --i) {
    std::swap(out[i], out[randint(0, i + 1, {}, generator).item<int64_t>()]);
  }
  return x.to(default_device());
}

Tensor multinomial(const Tensor& p, int64_t count, Generator& generator, bool replacement) {
  check((p.rank() == 1 || p.rank() == 2) && is_float(p.dtype()) && count >= 1,
        "multinomial: takes chances [classes] or [n, classes] of a float dtype and a count of 1 or "
        "more, not {} {} and {}",
        called(p), p.dtype(), count);
  const int64_t classes = p.size(-1);
  check(classes > 0, "multinomial: {} has no classes to draw from", called(p));
  Shape shape = p.shape();
  shape[p.rank() - 1] = count;
  const Tensor out = empty(shape, int64, cpu);
  std::vector<double> chances = p.to_vector<double>();
  int64_t* drawn = raw<int64_t>(out);
  for (auto row = chances.begin(); row != chances.end(); row += classes) {
    const std::span<double> of_row(row, row + classes);
    for (const double chance : of_row) {
      check(chance >= 0 && std::isfinite(chance),
            "multinomial: a chance is {}; it must be 0 or more", chance);
    }
    for (int64_t k = 0; k < count; ++k) {
      const auto left = std::count_if(of_row.begin(), of_row.end(), [](double c) { return c > 0; });
      check(left > 0, "multinomial: {} numbers are wanted of a row with {} chances above 0{}",
            count, k, replacement ? "" : " (each is drawn once, without replacement)");
      const size_t drawn_class =
          pick(of_row, uniform_number(generator.seed(), generator.advance(1)));
      *drawn++ = static_cast<int64_t>(drawn_class);
      if (!replacement) of_row[drawn_class] = 0;
    }
  }
  return out.to(p.device());
}

// y = x m, where m is 0 with probability p and 1 / (1 - p) otherwise; dx = g m. The mask m is never
// stored: backward draws the same numbers again.
Tensor dropout(const Tensor& x, double p, Generator& generator) {
  check(p >= 0 && p <= 1, "dropout: the chance must be in [0, 1], not {}", p);
  check(is_float(x.dtype()), "dropout: takes float32 or float64, not {}", x.dtype());
  if (p == 0) return x;
  const uint64_t position = generator.advance(static_cast<uint64_t>(x.numel()));
  return seeded_dropout(x, p, generator.seed(), position);
}

}  // namespace regrad

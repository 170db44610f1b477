#include "nn/init.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "autograd/check.h"
#include "autograd/names.h"
#include "ops/ops.h"

namespace regrad::nn {

namespace {

thread_local Generator shared_generator;

}  // namespace

Generator& default_generator() { return shared_generator; }

void manual_seed(uint64_t seed) { shared_generator = Generator(seed); }

Generator fork(Generator& generator) {
  return Generator(philox(generator.seed(), generator.advance(1)));
}

namespace init {
namespace {

struct Fans {
  double in, out;
};

Fans fans_of(const char* function, const Tensor& x) {
  check(x.rank() >= 2, "{}: a weight has 2 or more dimensions, [out, in, ..], not {}", function,
        shape_text(x));
  double rest = 1;
  for (int64_t d = 2; d < x.rank(); ++d) rest *= static_cast<double>(x.shape()[d]);
  return {static_cast<double>(x.shape()[1]) * rest, static_cast<double>(x.shape()[0]) * rest};
}

double kaiming_deviation(const char* function, const Tensor& x, double a, FanMode mode) {
  const Fans fans = fans_of(function, x);
  return std::sqrt(2 / ((1 + a * a) * std::max(mode == fan_in ? fans.in : fans.out, 1.0)));
}

double xavier_deviation(const char* function, const Tensor& x, double gain) {
  const Fans fans = fans_of(function, x);
  return gain * std::sqrt(2 / std::max(fans.in + fans.out, 1.0));
}

// A uniform distribution on ±sqrt(3) d has the standard deviation d.
Tensor symmetric(const Tensor& x, double deviation, Generator& generator) {
  const double limit = std::sqrt(3.0) * deviation;
  return uniform_(x, -limit, limit, generator);
}

Tensor write(Tensor x, const std::vector<double>& values) {
  x.copy_(tensor(values, x.shape(), {.device = cpu}).to(x.dtype()).to(x.device()));
  return x;
}

// The probability that a standard normal number is above z, exact in the tail.
double above(double z) { return std::erfc(z / std::numbers::sqrt2) / 2; }

// The z with above(z) = p, for p in [1e-300, 1/2]: Newton's method for log(above(z)), which is
// concave, from a z that is too large, as above(z) <= exp(-z² / 2) / 2, comes down to it.
double inverse_above(double p) {
  double z = std::sqrt(-2 * std::log(2 * p));
  for (int i = 0; i < 100; ++i) {
    const double q = above(z), density = std::exp(-z * z / 2) / std::sqrt(2 * std::numbers::pi);
    const double change = std::log(q / p) * q / density;
    z += change;
    if (std::abs(change) < 1e-14 * (1 + z)) break;
  }
  return z;
}

// A standard normal distribution, given that the number is in [low, high].
class Truncated {
 public:
  Truncated(double low, double high) : low_(low), high_(high), mirrored_(low + high < 0) {
    // The side with more of the tail is computed as its mirror image, where above() is exact.
    if (mirrored_) std::swap(low, high), low = -low, high = -high;
    from_ = above(low);
    to_ = above(high);
    check(from_ > to_ && from_ > 1e-280,
          "trunc_normal_: [a, b] is too far from the mean: {} to {} deviations", low_, high_);
  }
  bool holds(double z) const { return z >= low_ && z <= high_; }
  double at(double uniform) const {  // in [0, 1)
    const double p = from_ + (to_ - from_) * uniform;
    const double z = p <= 0.5 ? inverse_above(p) : -inverse_above(std::max(1 - p, 1e-300));
    return mirrored_ ? -z : z;
  }

 private:
  double low_, high_, from_, to_;
  bool mirrored_;
};

// Gram and Schmidt's method, modified, for the rows of a few [count, n]; at is the first.
void orthonormalise(double* at, int64_t count, int64_t n) {
  for (int64_t i = 0; i < count; ++i) {
    double* row = at + i * n;
    const auto dot = [&](const double* x) {
      double sum = 0;
      for (int64_t k = 0; k < n; ++k) sum += row[k] * x[k];
      return sum;
    };
    for (int64_t j = 0; j < i; ++j) {
      const double *earlier = at + j * n, share = dot(earlier);
      for (int64_t k = 0; k < n; ++k) row[k] -= share * earlier[k];
    }
    const double length = std::sqrt(dot(row));
    for (int64_t k = 0; k < n; ++k) row[k] /= length;
  }
}

// The rows of x [m, n], m <= n, made orthonormal from the first on, as Q of a QR decomposition of
// xᵀ whose R has a diagonal above 0: that makes Q uniform (Mezzadri, 2007). By blocks of rows,
// so that most of the work is products; twice, which is enough to leave rounding errors only.
Tensor orthonormal_rows(const Tensor& x) {
  constexpr int64_t block = 32;
  Tensor q = x.clone();
  for (int64_t begin = 0; begin < x.size(0); begin += block) {
    const int64_t count = std::min(block, x.size(0) - begin);
    Tensor rows = narrow(q, 0, begin, count).clone();
    for (int pass = 0; pass < 2; ++pass) {
      if (begin > 0) {
        const Tensor earlier = narrow(q, 0, 0, begin);
        rows = rows - matmul(matmul(rows, transpose(earlier, 0, 1)), earlier);
      }
      orthonormalise(rows.mutable_data<double>(), count, x.size(1));
    }
    narrow(q, 0, begin, count).copy_(rows);
  }
  return q;
}

}  // namespace

Tensor uniform_(Tensor x, double low, double high, Generator& generator) {
  const NoGrad guard;
  x.copy_(rand(x.shape(), generator, {.dtype = x.dtype(), .device = x.device()}) * (high - low) +
          low);
  return x;
}

Tensor normal_(Tensor x, double mean, double deviation, Generator& generator) {
  const NoGrad guard;
  x.copy_(randn(x.shape(), generator, {.dtype = x.dtype(), .device = x.device()}) * deviation +
          mean);
  return x;
}

Tensor zeros_(Tensor x) { return constant_(std::move(x), 0); }
Tensor ones_(Tensor x) { return constant_(std::move(x), 1); }

Tensor constant_(Tensor x, double value) {
  const NoGrad guard;
  x.fill_(value);
  return x;
}

Tensor xavier_uniform_(Tensor x, double gain, Generator& generator) {
  return symmetric(x, xavier_deviation("xavier_uniform_", x, gain), generator);
}

Tensor xavier_normal_(Tensor x, double gain, Generator& generator) {
  return normal_(x, 0, xavier_deviation("xavier_normal_", x, gain), generator);
}

Tensor kaiming_uniform_(Tensor x, double a, FanMode mode, Generator& generator) {
  return symmetric(x, kaiming_deviation("kaiming_uniform_", x, a, mode), generator);
}

Tensor kaiming_normal_(Tensor x, double a, FanMode mode, Generator& generator) {
  return normal_(x, 0, kaiming_deviation("kaiming_normal_", x, a, mode), generator);
}

Tensor kaiming_uniform_(Tensor x, double a, Generator& generator) {
  return kaiming_uniform_(x, a, fan_in, generator);
}

Tensor kaiming_normal_(Tensor x, double a, Generator& generator) {
  return kaiming_normal_(x, a, fan_in, generator);
}

Tensor eye_(Tensor x) {
  check(x.rank() == 2, "eye_: takes a matrix, not {}", x.shape().str());
  const NoGrad guard;
  const int64_t n = std::min(x.size(0), x.size(1));
  std::vector<double> values(static_cast<size_t>(x.numel()), 0.0);
  for (int64_t i = 0; i < n; ++i) values[static_cast<size_t>(i * x.size(1) + i)] = 1;
  return write(x, values);
}

Tensor trunc_normal_(Tensor x, double mean, double deviation, double a, double b,
                     Generator& generator) {
  check(deviation > 0 && a < b,
        "trunc_normal_: the deviation {} must be above 0, and a {} below b {}", deviation, a, b);
  const Truncated truncated((a - mean) / deviation, (b - mean) / deviation);
  const NoGrad guard;
  std::vector<double> values =
      randn(x.shape(), generator, {.dtype = float64, .device = cpu}).to_vector<double>();
  const uint64_t position = generator.advance(values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    // A number that is inside stays; for another one a number is drawn that is sure to be.
    if (!truncated.holds(values[i])) {
      values[i] = truncated.at(uniform_number(generator.seed(), position + i));
    }
    values[i] = std::clamp(mean + deviation * values[i], a, b);
  }
  return write(x, values);
}

Tensor orthogonal_(Tensor x, double gain, Generator& generator) {
  check(x.rank() >= 2, "orthogonal_: a weight has 2 or more dimensions, [out, in, ..], not {}",
        x.shape().str());
  if (x.numel() == 0) return x;
  const NoGrad guard;
  const int64_t rows = x.size(0), columns = x.numel() / rows;
  const Tensor normal = randn({std::min(rows, columns), std::max(rows, columns)}, generator,
                              {.dtype = float64, .device = cpu});
  Tensor q = orthonormal_rows(normal);
  if (rows > columns) q = transpose(q, 0, 1);
  x.copy_((q * gain).reshape(x.shape()).to(x.dtype()).to(x.device()));
  return x;
}

}  // namespace init
}  // namespace regrad::nn

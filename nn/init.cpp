#include "nn/init.h"

#include <cmath>

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

double kaiming_deviation(const char* function, const Tensor& x, double a) {
  return std::sqrt(2 / ((1 + a * a) * std::max(fans_of(function, x).in, 1.0)));
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

Tensor kaiming_uniform_(Tensor x, double a, Generator& generator) {
  return symmetric(x, kaiming_deviation("kaiming_uniform_", x, a), generator);
}

Tensor kaiming_normal_(Tensor x, double a, Generator& generator) {
  return normal_(x, 0, kaiming_deviation("kaiming_normal_", x, a), generator);
}

}  // namespace init
}  // namespace regrad::nn

// softmax(x)_i = exp(x_i - m) / sum_j exp(x_j - m), m = max x, so that nothing overflows.
//   dx = y (g - sum(g y))              log_softmax: dx = g - exp(y) sum(g)
// A row of -inf alone (nothing to attend to) gives zeros, and zero gradients. What a mask closes
// counts for nothing: neither its score nor the gradient that comes for its weight of 0.
#include <limits>

#include "ops/dispatch.h"
#include "ops/ops.h"

namespace regrad {
namespace {

// y = kernel(x) along dimension d, or dx = kernel(g, y).
template <class Kernel>
Tensor along(const char* op, int64_t d, const Tensor& a, const Tensor* b, const Kernel& kernel) {
  const NoGrad guard;
  const Tensor first = a.contiguous(), second = b == nullptr ? first : b->contiguous();
  Tensor out = empty(a.shape(), a.dtype(), a.device());
  const Rows rows = rows_around(a.shape(), d);
  for_floats(op, a, [&]<class T>() {
    kernel(kernels<T>(a), rows, raw<T>(out), raw<T>(first), raw<T>(second));
  });
  return out;
}

// While a graph is recorded the formula is composed of ops, and so has derivatives of its own.
Tensor softmax_backward(const Tensor& g, const Tensor& y, int64_t d) {
  if (GradMode::enabled()) return mul(y, sub(g, sum(mul(g, y), d, true)));
  return along("softmax", d, g, &y, [](const auto& table, Rows rows, auto* dx, auto* at, auto* of) {
    table.rows.softmax_backward(rows, dx, at, of);
  });
}

Tensor log_softmax_backward(const Tensor& g, const Tensor& y, int64_t d) {
  if (GradMode::enabled()) return sub(g, mul(exp(y), sum(g, d, true)));
  return along("log_softmax", d, g, &y,
               [](const auto& table, Rows rows, auto* dx, auto* at, auto* of) {
                 table.rows.log_softmax_backward(rows, dx, at, of);
               });
}

}  // namespace

Tensor softmax(const Tensor& x, int64_t dim) {
  const int64_t d = x.shape().dim(dim, "softmax");
  Tensor y = along("softmax", d, x, nullptr,
                   [](const auto& table, Rows rows, auto* out, auto* in, auto*) {
                     table.rows.softmax(rows, out, in);
                   });
  return record("softmax", std::move(y), {{x, [d](const Tensor& g, const Tensor& out) {
                                             return softmax_backward(g, out, d);
                                           }}});
}

Tensor log_softmax(const Tensor& x, int64_t dim) {
  const int64_t d = x.shape().dim(dim, "log_softmax");
  Tensor y = along("log_softmax", d, x, nullptr,
                   [](const auto& table, Rows rows, auto* out, auto* in, auto*) {
                     table.rows.log_softmax(rows, out, in);
                   });
  return record("log_softmax", std::move(y), {{x, [d](const Tensor& g, const Tensor& out) {
                                                 return log_softmax_backward(g, out, d);
                                               }}});
}

Tensor masked_softmax(const Tensor& x, const Tensor& mask, int64_t dim) {
  check(mask.dtype() == bool_, "masked_softmax: the mask must be bool (true = may attend), not {}",
        mask.dtype());
  check(broadcast_shapes("masked_softmax", x.shape(), mask.shape()) == x.shape(),
        "masked_softmax: a mask of shape {} does not fit scores of shape {}", mask.shape(),
        x.shape());
  const int64_t d = x.shape().dim(dim, "masked_softmax");
  Tensor y;
  {
    const NoGrad guard;
    y = softmax(where(mask, x, -std::numeric_limits<double>::infinity()), d);
  }
  return record("masked_softmax", std::move(y),
                {{x, [mask, d](const Tensor& g, const Tensor& out) {
                    return softmax_backward(where(mask, g, 0), out, d);
                  }}});
}

}  // namespace regrad

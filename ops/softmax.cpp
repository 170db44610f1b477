// softmax(x)_i = exp(x_i - m) / sum_j exp(x_j - m), m = max x, so that nothing overflows.
//   dx = y (g - sum(g y))              log_softmax: dx = g - exp(y) sum(g)
// A row of -inf alone (nothing to attend to) gives zeros, and zero gradients. What is masked counts
// for nothing: neither its score, nor the gradient that arrives for its weight of 0.
#include <limits>

#include "autograd/notes.h"
#include "ops/dispatch.h"
#include "ops/ops.h"

namespace regrad {
namespace {

// Runs a kernel of the table along dimension d: kernel(rows, out, x...).
template <class Choose, class... Inputs>
Tensor along(const char* op, int64_t d, const Choose& choose, const Tensor& x,
             const Inputs&... others) {
  Tensor out = empty(x.shape(), x.dtype(), x.device());
  const auto run = [&](const auto&... inputs) {
    for_floats(op, x, [&]<class T>() {
      choose(kernels<T>(x).softmax)(rows_around(x.shape(), d), raw<T>(out), raw<T>(inputs)...);
    });
  };
  run(kernel_input(x), kernel_input(others)...);
  return out;
}

// The derivative as a kernel, and as ops that a recorded backward pass can differentiate again.
std::vector<Tensor> softmax_backward(const Tensor& g, const Tensor& y, int64_t d) {
  return {along(
      "softmax", d, [](auto& softmax) { return softmax.softmax_backward; }, g, y)};
}

std::vector<Tensor> composed_softmax_backward(const Tensor& g, const Tensor& y, int64_t d) {
  return {mul(y, sub(g, sum(mul(g, y), d, true)))};
}

}  // namespace

Tensor softmax(const Tensor& x, int64_t dim) {
  const int64_t d = x.shape().dim(dim, "softmax");
  Tensor y = along(
      "softmax", d, [](auto& softmax) { return softmax.softmax; }, x);
  note_shift(x, d);
  return record_fused(
      "softmax", std::move(y), {x},
      [d](const Tensor& g, Needed, const Tensor& out) {
        return composed_softmax_backward(g, out, d);
      },
      [d](const Tensor& g, Needed, const Tensor& out) { return softmax_backward(g, out, d); });
}

Tensor log_softmax(const Tensor& x, int64_t dim) {
  const int64_t d = x.shape().dim(dim, "log_softmax");
  Tensor y = along(
      "log_softmax", d, [](auto& softmax) { return softmax.log_softmax; }, x);
  note_shift(x, d);
  return record_fused(
      "log_softmax", std::move(y), {x},
      [d](const Tensor& g, Needed, const Tensor& out) -> std::vector<Tensor> {
        return {sub(g, mul(exp(out), sum(g, d, true)))};
      },
      [d](const Tensor& g, Needed, const Tensor& out) -> std::vector<Tensor> {
        return {along(
            "log_softmax", d, [](auto& softmax) { return softmax.log_softmax_backward; }, g, out)};
      });
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
    const InsideOp guard;
    y = softmax(where(mask, x, -std::numeric_limits<double>::infinity()), d);
  }
  note_shift(x, d);
  return record_fused(
      "masked_softmax", std::move(y), {x},
      [mask, d](const Tensor& g, Needed, const Tensor& out) {
        return composed_softmax_backward(where(mask, g, 0), out, d);
      },
      [mask, d](const Tensor& g, Needed, const Tensor& out) {
        return softmax_backward(where(mask, g, 0), out, d);
      });
}

}  // namespace regrad

// softmax(scale q kᵀ + mask) v   (Vaswani et al., "Attention is all you need", 2017, equation 1)
// The scores are never stored: the kernel computes them a block at a time
// (ops/cpu/attention_forward.h), and again for the derivative, from the maxima and sums that the
// forward pass saves (Dao et al., "FlashAttention", 2022).
#include <algorithm>
#include <cmath>

#include "autograd/notes.h"
#include "ops/attention_operands.h"
#include "ops/ops.h"

namespace regrad {
namespace {

constexpr const char* op = "scaled_dot_product_attention";

struct Inputs {
  Tensor q, k, v, mask;  // of one batch shape, but for the mask
  double scale;
  bool causal;
  bool has_bias() const { return mask.defined() && mask.dtype() != bool_; }
  Shape scores() const {
    Shape shape = q.shape();
    shape[shape.rank() - 1] = k.size(-2);
    return shape;
  }
};

// x expanded to a batch, with contiguous rows, as the kernel takes it.
Tensor rows_for(const Shape& batch, const Tensor& x) {
  const Tensor rows = x.strides().back() == 1 || x.shape().back() == 1 ? x : x.contiguous();
  Shape shape = batch;
  shape.push_back(x.size(-2));
  shape.push_back(x.size(-1));
  return shape == x.shape() ? rows : expand(rows, shape);
}

Inputs check_inputs(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask,
                    const AttentionOptions& options) {
  check(q.rank() >= 2 && k.rank() >= 2 && v.rank() >= 2 && q.size(-1) == k.size(-1) &&
            k.size(-2) == v.size(-2),
        "{}: takes q [.., t, d], k [.., s, d], v [.., s, e], not {}, {}, {}", op, called(q),
        called(k), called(v));
  check_same_dtype(op, q, k);
  check_same_dtype(op, q, v);
  const auto batch_of = [](const Tensor& x) {
    return Shape(x.shape().begin(), x.shape().size() - 2);
  };
  const Shape batch =
      broadcast_shapes(op, broadcast_shapes(op, batch_of(q), batch_of(k)), batch_of(v));
  const Inputs in{rows_for(batch, q),
                  rows_for(batch, k),
                  rows_for(batch, v),
                  mask,
                  options.scale.value_or(1 / std::sqrt(static_cast<double>(q.size(-1)))),
                  options.causal};
  if (mask.defined()) {
    check(broadcast_shapes(op, in.scores(), mask.shape()) == in.scores(),
          "{}: a mask of shape {} does not fit scores of shape {}", op, mask.shape(), in.scores());
    mask.dtype() == bool_ ? check_same_device(op, q, mask) : check_same_dtype(op, q, mask);
  }
  return in;
}

template <class T>
AttentionCall<T> make_call(const Inputs& in, const Tensor& out, const Tensor& saved,
                           const Shape& order) {
  AttentionCall<T> call;
  call.queries = in.q.size(-2), call.depth = in.q.size(-1);
  call.keys = in.k.size(-2), call.width = in.v.size(-1);
  call.scale = static_cast<T>(in.scale), call.causal = in.causal;
  call.batch_rank = static_cast<int>(order.rank());
  for (int64_t d = 0; d < order.rank(); ++d) call.batch_sizes[d] = in.q.shape()[order[d]];
  call.q = operand<const T>(in.q, order);
  call.k = operand<const T>(in.k, order);
  call.v = operand<const T>(in.v, order);
  if (in.mask.defined()) {
    const Tensor mask = expand(detached(in.mask), in.scores());
    in.has_bias() ? void(call.bias = operand<const T>(mask, order))
                  : void(call.mask = operand<const bool>(mask, order));
  }
  call.out = operand<T>(out, order);
  call.softmax = operand<T>(saved, order);
  return call;
}

std::vector<Tensor> backward(const Inputs& in, const Tensor& saved, const Tensor& out,
                             const Tensor& given, Needed needed) {
  const Tensor g = given.strides().back() == 1 ? given : given.contiguous();
  const auto fresh = [&](size_t i, const Tensor& x) {
    return needed[i] ? empty_in_order_of(x, x.shape()) : Tensor();
  };
  const Tensor dq = fresh(0, in.q), dk = fresh(1, in.k), dv = fresh(2, in.v);
  const TensorOptions like_g = {.dtype = g.dtype(), .device = g.device()};
  const Tensor dbias = needed[3] ? zeros(in.mask.shape(), like_g) : Tensor();
  const Tensor dbias_expanded = needed[3] ? expand(dbias, in.scores()) : Tensor();
  const Shape order = batch_order_of(needed[3] ? dbias_expanded : in.q);
  for_floats(op, g, [&]<class T>() {
    AttentionCall<T> call = make_call<T>(in, out, saved, order);
    call.g = operand<const T>(g, order);
    call.dq = operand<T>(dq, order);
    call.dk = operand<T>(dk, order);
    call.dv = operand<T>(dv, order);
    call.dbias = operand<T>(dbias_expanded, order);
    for (int64_t d = 0; needed[3] && d < order.rank(); ++d) {
      if (call.dbias.batch[d] == 0) call.shared *= call.batch_sizes[d];
    }
    kernels<T>(g).attention.backward(call);
  });
  return {dq, dk, dv, dbias};
}

Tensor sum_to(const Tensor& x, const Shape& shape) {
  Dims repeated;
  const int64_t lead = x.rank() - shape.rank();
  for (int64_t d = 0; d < x.rank(); ++d) {
    if (d < lead || shape[d - lead] != x.shape()[d]) repeated.push_back(d);
  }
  return reshape(repeated.empty() ? x : sum(x, repeated), shape);
}

// matmul(weights, x), except that a weight of exactly 0 hides an x that is not finite. Such an x
// with any other weight gives NaN.
Tensor weighted(const Tensor& weights, const Tensor& x) {
  const Tensor finite = detached(sub(x, x)) == 0;
  const Tensor nonzero = detached(weights) != 0, nonfinite = logical_not(finite);
  const Tensor is_nan = matmul(nonzero.to(x.dtype()), nonfinite.to(x.dtype())) > 0;
  return where(is_nan, std::nan(""), matmul(weights, where(finite, x, 0)));
}

// The same, composed of ops: with P = softmax(S), dV = Pᵀ G and dS = P (dP - sum(P dP)), dP = G Vᵀ.
std::vector<Tensor> composed_backward(const Inputs& in, const Tensor& g, Needed needed) {
  Tensor k = in.k, v = in.v, allowed = in.has_bias() ? Tensor() : in.mask;
  if (in.causal) {
    const Tensor all = ones({in.q.size(-2), in.k.size(-2)}, {.device = g.device()});
    const Tensor causal = tril(all).to(bool_);
    allowed = allowed.defined() ? allowed & causal : causal;
  }
  if (allowed.defined()) {  // zero the keys that no query may attend to
    const Tensor pairs = expand(detached(allowed), in.scores()).to(int64);
    const Tensor attended = transpose(sum(pairs, -2, true)) > 0;
    k = where(attended, k, 0), v = where(attended, v, 0);
  }
  Tensor scores = matmul(mul(in.q, in.scale), transpose(k));
  if (in.has_bias()) scores = add(scores, in.mask);
  const Tensor p = allowed.defined() ? masked_softmax(scores, allowed, -1) : softmax(scores, -1);
  Tensor dp = matmul(g, transpose(v));
  if (allowed.defined()) dp = where(allowed, dp, 0);
  const Tensor ds = mul(p, sub(dp, sum(mul(p, dp), -1, true)));
  const auto product = allowed.defined() ? weighted : matmul;
  return {mul(product(ds, k), in.scale), mul(product(transpose(ds), in.q), in.scale),
          product(transpose(p), g), needed[3] ? sum_to(ds, in.mask.shape()) : Tensor()};
}

}  // namespace

Tensor scaled_dot_product_attention(const Tensor& q, const Tensor& k, const Tensor& v,
                                    const Tensor& mask, const AttentionOptions& options) {
  const Inputs in = check_inputs(q, k, v, mask, options);
  const std::vector<Tensor> inputs = {in.q, in.k, in.v, in.has_bias() ? mask : Tensor()};
  const bool saves = GradMode::enabled() &&
                     std::any_of(inputs.begin(), inputs.end(),
                                 [](const Tensor& x) { return x.defined() && x.requires_grad(); });
  Shape shape = in.q.shape(), sums = in.q.shape();
  shape[shape.rank() - 1] = in.v.size(-1), sums[sums.rank() - 1] = 2;
  Tensor out = empty_in_order_of(in.q, shape);
  const Tensor saved = saves ? empty(sums, in.q.dtype(), in.q.device()) : Tensor();
  for_floats(op, in.q, [&]<class T>() {
    kernels<T>(in.q).attention.forward(make_call<T>(in, out, saved, batch_order_of(out)));
  });
  note_shift(in.k, in.k.rank() - 2);
  return record_fused(
      op, std::move(out), inputs,
      [in](const Tensor& g, Needed needed, const Tensor&) {
        return composed_backward(in, g, needed);
      },
      [in, saved](const Tensor& g, Needed needed, const Tensor& y) {
        return backward(in, saved, y, g, needed);
      });
}

}  // namespace regrad

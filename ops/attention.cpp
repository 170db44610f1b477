// softmax(q kᵀ scale + mask) v   (Vaswani et al., "Attention is all you need", 2017, equation 1)
#include <cmath>

#include "ops/dispatch.h"
#include "ops/ops.h"

namespace regrad {

Tensor scaled_dot_product_attention(const Tensor& q, const Tensor& k, const Tensor& v,
                                    const Tensor& mask, const AttentionOptions& options) {
  constexpr const char* op = "scaled_dot_product_attention";
  check(q.rank() >= 2 && k.rank() >= 2 && v.rank() >= 2 && q.size(-1) == k.size(-1) &&
            k.size(-2) == v.size(-2),
        "{}: takes q [.., t, d], k [.., s, d], v [.., s, e], not {}, {}, {}", op, called(q),
        called(k), called(v));
  const double scale = options.scale.value_or(1 / std::sqrt(static_cast<double>(q.size(-1))));
  Tensor scores = matmul(mul(q, scale), transpose(k));
  Tensor allowed;
  if (mask.defined()) {
    check(broadcast_shapes(op, scores.shape(), mask.shape()) == scores.shape(),
          "{}: a mask of shape {} does not fit scores of shape {}", op, mask.shape(),
          scores.shape());
    if (mask.dtype() == bool_) allowed = mask;
    else scores = add(scores, mask);
  }
  if (options.causal) {
    const Tensor past = tril(ones({q.size(-2), k.size(-2)})).to(bool_);
    allowed = allowed.defined() ? allowed & past : past;
  }
  return matmul(allowed.defined() ? masked_softmax(scores, allowed, -1) : softmax(scores, -1), v);
}

}  // namespace regrad

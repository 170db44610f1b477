// Tensors as the attention kernel takes them: the batch with any strides, in an order that suits
// both the inputs and the output.
#pragma once

#include <algorithm>
#include <type_traits>

#include "ops/dispatch.h"
#include "ops/kernels/attention.h"

namespace regrad {

// A new tensor whose dimensions have the same order in memory as x's. Heads that were split off one
// row are then written side by side again, and concatenating them is a view.
inline Tensor empty_in_order_of(const Tensor& x, const Shape& shape) {
  int64_t order[Shape::max_rank];
  const int64_t lead = x.rank() - 1;
  for (int64_t d = 0; d <= lead; ++d) order[d] = d;
  const bool repeats = std::find(x.strides().begin(), x.strides().end(), 0) != x.strides().end();
  if (!repeats) {
    std::stable_sort(order, order + lead,
                     [&](int64_t a, int64_t b) { return x.strides()[a] > x.strides()[b]; });
  }
  Shape strides = shape;
  int64_t step = 1;
  for (int64_t i = lead; i >= 0; --i) {
    strides[order[i]] = step;
    step = checked_mul(step, std::max<int64_t>(shape[order[i]], 1));
  }
  return view_of(empty(shape, x.dtype(), x.device()), shape, strides, 0);
}

// The batch dimensions of x [.., rows, columns]; expanded ones (stride 0) come last.
inline Shape batch_order_of(const Tensor& x) {
  Shape order;
  for (const bool repeated : {false, true}) {
    for (int64_t d = 0; d < x.rank() - 2; ++d) {
      if ((x.strides()[d] == 0) == repeated) order.push_back(d);
    }
  }
  return order;
}

// x [.., rows, columns] for the kernel, its batch dimensions in a given order.
template <class Element>
AttentionOperand<Element> operand(const Tensor& x, const Shape& order) {
  AttentionOperand<Element> result;
  if (!x.defined()) return result;
  result.data = raw<std::remove_const_t<Element>>(x);
  result.row = x.strides()[x.rank() - 2], result.column = x.strides().back();
  for (int64_t d = 0; d < order.rank(); ++d) result.batch[d] = x.strides()[order[d]];
  return result;
}

}  // namespace regrad

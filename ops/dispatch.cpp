#include "ops/dispatch.h"

#include <algorithm>

#include "autograd/names.h"
#include "autograd/observer.h"

namespace regrad {
namespace {

// Whether called(x) is more than its sizes.
bool is_named(const Tensor& x) {
  return x.body().names != 0 || (x.node() && !x.node()->parameter.empty());
}

bool joins(const Loop& loop, int operands, int outer, int inner) {
  for (int k = 0; k < operands; ++k) {
    if (loop.strides[k][outer] != loop.strides[k][inner] * loop.sizes[inner]) return false;
  }
  return true;
}

Loop flat_loop(int64_t numel, int operands) {
  Loop loop;
  loop.rank = 1;
  loop.sizes[0] = numel;
  for (int k = 0; k < operands; ++k) loop.strides[k][0] = 1;
  return loop;
}

}  // namespace

Loop make_loop(std::initializer_list<const Tensor*> operands) {
  const int count = static_cast<int>(operands.size());
  const Shape& shape = (*operands.begin())->shape();
  if (std::all_of(operands.begin(), operands.end(),
                  [](const Tensor* x) { return x->is_contiguous(); })) {
    return flat_loop(shape.numel(), count);
  }
  if (shape.numel() == 0) return flat_loop(0, count);
  Loop loop;
  for (int64_t d = 0; d < shape.rank(); ++d) {
    if (shape[d] == 1) continue;
    const int last = loop.rank++;
    loop.sizes[last] = shape[d];
    int k = 0;
    for (const Tensor* x : operands) loop.strides[k++][last] = x->strides()[d];
    if (last > 0 && joins(loop, count, last - 1, last)) {
      loop.sizes[last - 1] *= loop.sizes[last];
      for (k = 0; k < count; ++k) loop.strides[k][last - 1] = loop.strides[k][last];
      --loop.rank;
    }
  }
  return loop.rank == 0 ? flat_loop(1, count) : loop;
}

Tensor without_overlap(const Tensor& source, const Tensor& to) {
  const TensorBody &a = source.body(), &b = to.body();
  const bool same_places = a.offset == b.offset && a.shape == b.shape && a.strides == b.strides;
  return a.storage.get() != b.storage.get() || same_places ? source : source.clone();
}

void check_same_dtype(const char* op, const Tensor& a, const Tensor& b) {
  if (a.dtype() == b.dtype()) return check_same_device(op, a, b);
  // The advice: convert the one that is not floating-point; of two floats, the one that is not a
  // parameter, or else the second.
  const bool second_stays = is_float(b.dtype()) && b.is_leaf() && b.requires_grad();
  const bool first_gives =
      is_float(a.dtype()) ? a.requires_grad() || !second_stays : !is_float(b.dtype());
  fail("{}: {} is {} and {} is {}; convert the {} with to({})", op, called(a), a.dtype(), called(b),
       b.dtype(), first_gives ? "second" : "first", first_gives ? a.dtype() : b.dtype());
}

void check_same_device(const char* op, const Tensor& a, const Tensor& b) {
  check(a.device() == b.device(), "{}: {} is on {} and {} on {}; move one with to(device)", op,
        called(a), name(a.device()), called(b), name(b.device()));
}

void check_index(const char* op, const Tensor& index, int64_t size) {
  check(index.dtype() == int64, "{}: the index must be int64, not {}", op, index.dtype());
  const Tensor flat = index.contiguous();
  const int64_t* indices = raw<int64_t>(flat);
  const int64_t bad = backend(flat.device()).bad_index(op, flat.numel(), indices, size, nullptr);
  check(bad < 0, "{}: index {} at position {} is out of range; it must be in [0, {})", op,
        bad < 0 ? 0 : indices[bad], bad, size);
}

int64_t dim_of(const Tensor& x, int64_t d, const char* op) {
  const int64_t rank = std::max<int64_t>(x.rank(), 1);
  if (d >= -rank && d < rank) return d < 0 ? d + rank : d;
  fail("{}: dimension {} does not exist in {}{}; it must be in [{}, {}]", op, d,
       is_named(x) ? "" : "shape ", called(x), -rank, rank - 1);
}

Shape broadcast_shapes(const char* op, const Tensor& a, const Tensor& b) {
  if (a.shape() == b.shape()) return a.shape();
  if (is_named(a) || is_named(b)) {
    const std::string reason = broadcast_mismatch(a.shape(), b.shape());
    check(reason.empty(), "{}: {} and {} {}", op, called(a), called(b), reason);
  }
  return broadcast_shapes(op, a.shape(), b.shape());
}

Rows rows_around(const Shape& shape, int64_t d) {
  Rows rows{1, 1, 1};
  for (int64_t i = 0; i < shape.rank(); ++i) {
    (i < d ? rows.outer : i == d ? rows.n : rows.inner) *= shape[i];
  }
  return rows;
}

// Each input gets a node of its own first: if one depends on another, the path between them is not
// part of this op.
std::vector<Tensor> gradients_of(const Formula& formula, std::vector<Tensor> inputs, Needed needed,
                                 const Tensor& g) {
  std::vector<Tensor> wanted, all(inputs.size());
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i].defined()) continue;
    inputs[i] =
        record("input", detached(inputs[i]), {{inputs[i], [](const Tensor& h) { return h; }}});
    if (needed[i]) wanted.push_back(inputs[i]);
  }
  std::vector<Tensor> found =
      grad({formula(inputs)}, wanted, {.grad_outputs = {g}, .create_graph = true});
  size_t next = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].defined() && needed[i]) all[i] = std::move(found[next++]);
  }
  return all;
}

}  // namespace regrad

fmt::format_context::iterator fmt::formatter<regrad::Called>::format(
    const regrad::Called& called, fmt::format_context& context) const {
  const std::string name = called.x.name();
  std::string text = name + (name.empty() ? "" : " ") + shape_text(called.x);
  if (called.x.requires_grad() && !called.x.is_leaf()) {
    const std::string where = regrad::Observer::where_made(*called.x.node());
    if (!where.empty()) text += fmt::format(" (made by {}{})", called.x.node()->called(), where);
  }
  return fmt::formatter<std::string_view>::format(text, context);
}

#include "autograd/tensor.h"

#include <cstdlib>

#include "autograd/check.h"
#include "autograd/graph.h"
#include "autograd/observer.h"

namespace regrad {

void TensorBody::release() {
  if (!drop()) return;
  if (in_graph) in_graph->node->abandon();
  this->~TensorBody();
  free_block(this, sizeof(TensorBody));
}

namespace {

Ref<TensorBody> new_body() {
  return Ref<TensorBody>(new (allocate_block(sizeof(TensorBody))) TensorBody());
}

Ref<TensorBody> body_over(const Tensor& base, const Shape& shape, const Shape& strides,
                          int64_t offset) {
  Ref<TensorBody> body = new_body();
  body->storage = base.body().storage;
  body->shape = shape;
  body->strides = strides;
  body->offset = offset;
  body->dtype = base.dtype();
  return body;
}

std::string bytes_text(int64_t bytes) {
  constexpr const char* units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double count = static_cast<double>(bytes);
  size_t unit = 0;
  for (; count >= 1024; ++unit) count /= 1024;
  return fmt::format("{:.4g} {}", count, units[unit]);
}

}  // namespace

Tensor empty(const Shape& shape, DType dtype, Device device) {
  const int64_t bytes = checked_mul(shape.numel(), static_cast<int64_t>(item_size(dtype)));
  try {
    Ref<TensorBody> body = new_body();
    body->storage = Storage::allocate(bytes, device);
    body->shape = shape;
    body->strides = shape.contiguous_strides();
    body->dtype = dtype;
    if (Observer::is_observing()) [[unlikely]]
      Observer::notify([&](Observer& one) { one.allocated(*body->storage); });
    return Tensor(std::move(body));
  } catch (const std::bad_alloc&) {
    fail("out of memory: cannot allocate {} for a tensor of shape {} {}", bytes_text(bytes), shape,
         dtype);
  }
}

Tensor view_of(const Tensor& base, const Shape& shape, const Shape& strides, int64_t offset) {
  return Tensor(body_over(base, shape, strides, offset));
}

void Tensor::undefined() { fail("this tensor is undefined: it was never given a value"); }

bool Tensor::is_row_major(bool with_gaps) const {
  int64_t stride = 1;
  for (int64_t i = rank() - 1; i >= 0; --i) {
    const int64_t size = shape()[i], found = size == 1 ? stride : strides()[i];
    if (size == 0) return true;
    if (found < stride || (found > stride && (!with_gaps || i + 1 == rank()))) return false;
    stride = static_cast<int64_t>(static_cast<uint64_t>(found) * static_cast<uint64_t>(size));
  }
  return true;
}

Tensor detached(const Tensor& x) { return view_of(x, x.shape(), x.strides(), x.body().offset); }

Tensor Tensor::detach() const {
  Tensor x = detached(*this);
  x.body().origin = body().origin;
  x.body().names = body().names;
  x.body().origin.cut_at(Origin::detach);
  if (requires_grad()) node()->unrecorded_by.store(Origin::detach, std::memory_order_relaxed);
  if (Observer::is_observing()) [[unlikely]] {
    const std::vector<Tensor> inputs = {*this};
    Observer::notify([&](Observer& one) { one.computed({Origin::detach, inputs, x, "detached"}); });
  }
  return x;
}

bool Tensor::is_held_once() const {
  const TensorBody& own = body();
  if (!own.in_graph) return own.unique() && own.storage->unique();
  return own.unique() && own.in_graph->unique() && own.storage->is_held_by(2);
}

bool Tensor::sole_owner() const { return is_held_once() && !requires_grad() && is_row_major(true); }

const Tensor& Tensor::on_host() const {
  check(device() == cpu, "data: this tensor is on {}; to(cpu) is a copy that can be read",
        regrad::name(device()));
  return *this;
}

const void* Tensor::address(DType wanted) const {
  check(wanted == dtype(), "data: this tensor is {}, not {}; convert it with to({})", dtype(),
        wanted, wanted);
  const char* bytes = static_cast<const char*>(body().storage->data());
  return bytes + body().offset * static_cast<int64_t>(item_size(dtype()));
}

namespace {

// Whether two elements may share an address. Conservative: also true for some strides that
// interleave without overlapping.
bool may_overlap_itself(const Shape& shape, const Shape& strides) {
  if (shape.numel() == 0) return false;
  for (int64_t d = 0; d < shape.rank(); ++d) {
    if (shape[d] == 1) continue;
    const int64_t stride = std::abs(strides[d]);
    int64_t reach = 0;  // of the dimensions with smaller strides
    for (int64_t e = 0; e < shape.rank(); ++e) {
      const int64_t other = std::abs(strides[e]);
      if (other < stride || (other == stride && e < d)) reach += (shape[e] - 1) * other;
    }
    if (stride <= reach || stride == 0) return true;
  }
  return false;
}

}  // namespace

void Tensor::mark_written(const char* op) {
  check(!requires_grad() || !GradMode::enabled(),
        "{}: this tensor of shape {} is part of a graph; write it in place under NoGrad, "
        "or make a new tensor",
        op, shape());
  check(is_contiguous() || !may_overlap_itself(shape(), strides()),
        "{}: several elements of this tensor of shape {} lie in one place, as expand() makes them; "
        "write into a clone() of it",
        op, shape());
  if (Observer::is_observing()) [[unlikely]]
    Observer::notify([&](Observer& one) { one.written(op, *this); });
  body().storage->written(op);
}

bool Tensor::is_leaf() const { return !requires_grad() || node()->is_leaf(); }

Tensor& Tensor::set_requires_grad(bool on) {
  if (on == requires_grad()) return *this;
  check(is_float(dtype()),
        "set_requires_grad: only float32 and float64 tensors have gradients, not {}", dtype());
  check(on || is_leaf(), "set_requires_grad(false): this tensor was computed by {}; use detach()",
        node() ? node()->called() : "nothing");
  if (!on) {
    body().in_graph->node->abandon();
    body().in_graph = {};
    body().node = {};
    body().origin.leaves = {};
    return *this;
  }
  Ref<TensorBody> in_graph = body_over(*this, shape(), strides(), body().offset);
  body().origin.leaves = in_graph->origin.leaves = LeafSet::of_new_leaf();
  in_graph->node = Node::leaf(*this);
  body().node = in_graph->node;
  body().in_graph = std::move(in_graph);
  return *this;
}

Tensor Tensor::grad() const { return requires_grad() ? node()->gradient : Tensor(); }

void Tensor::set_grad(const Tensor& gradient) {
  check(requires_grad(), "set_grad: this tensor of shape {} does not require a gradient", shape());
  check(!gradient.defined() || (gradient.shape() == shape() && gradient.dtype() == dtype()),
        "set_grad: a gradient must have its tensor's shape and dtype: {} {}", shape(), dtype());
  node()->gradient = gradient;
}

void Tensor::zero_grad() {
  if (requires_grad()) node()->gradient = Tensor();
}

HookHandle Tensor::register_hook(GradientHook hook) const {
  check(requires_grad(), "register_hook: this tensor of shape {} does not require a gradient",
        shape());
  check(static_cast<bool>(hook), "register_hook: the hook is empty");
  auto& hooks = node()->extras().hooks;
  std::erase_if(hooks, [](const auto& one) { return *one == nullptr; });
  return HookHandle(hooks.emplace_back(std::make_shared<GradientHook>(std::move(hook))));
}

void Tensor::retain_grad() const {
  check(requires_grad(), "retain_grad: this tensor of shape {} does not require a gradient",
        shape());
  if (!is_leaf()) node()->extras().retains_grad = true;
}

std::string Tensor::name() const { return requires_grad() ? node()->parameter : std::string(); }

void Tensor::set_name(const std::string& name) {
  if (requires_grad() && node()->is_leaf()) node()->parameter = name;
}

}  // namespace regrad

// Tensor: a reference-counted handle on an array of numbers. A copy of a Tensor refers to the same
// numbers, and so does a view; clone() copies the numbers. A tensor that requires a gradient also
// points at its Node, its place in the graph (graph.h): a leaf, if a user asked for its gradient,
// or the op that computed it.
//
// Threads. Different threads may use the same tensors at once as long as nobody writes them:
// forward passes, backward(), grad() and the freeing of graphs over shared parameters need no lock,
// and gradients that reach one leaf from several threads are added up one after the other. The
// user's lock is needed where one of the threads
//   - writes a tensor's numbers in place (an optimiser's step, copy_, mutable_data), or one handle
//     itself (assignment, set_requires_grad, set_name);
//   - asks for, sets or clears the gradient (grad(), set_grad, zero_grad) of a leaf that backward()
//     reaches in another thread, or registers or removes a hook of it;
//   - runs backward() through a part of a graph, other than leaves, that another thread's does too.
// After fork(), a child may use tensors as its parent could, with threads of its own, but not a
// GPU.
#pragma once

#include <concepts>
#include <iosfwd>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "autograd/grad_mode.h"
#include "autograd/hooks.h"
#include "autograd/number.h"
#include "autograd/origin.h"
#include "autograd/shape.h"
#include "autograd/storage.h"

namespace regrad {

class Node;
class Tensor;

struct TensorOptions {
  std::optional<DType> dtype = std::nullopt;  // float32, or that of the values given
  Device device = default_device();
  bool requires_grad = false;
};

struct BackwardOptions {
  bool retain_graph = false;  // keep what a second backward through the same graph needs
  // Record the backward pass, for gradients of gradients; implies retain_graph. A gradient then
  // holds the graph that it came from until zero_grad(), set_grad(), or until the user's last
  // handle on its leaf is gone.
  bool create_graph = false;
};

// What a handle points to. Element (i, j, ...) is at offset + i stride(0) + j stride(1) + ...
struct TensorBody : Counted {
  uint32_t names = 0;  // of its dimensions (names.h); 0: none
  Ref<Storage> storage;
  Ref<Node> node;  // none: does not require a gradient
  Origin origin;
  int64_t offset = 0;  // in elements
  DType dtype = float32;
  // Of a leaf: a second body over the same storage and node, which graphs hold in place of this
  // one. When the last handle of the user goes, this body is freed although graphs still need the
  // numbers, and the gradient with it: otherwise, after create_graph, leaf -> gradient -> graph ->
  // leaf would keep each other alive.
  Ref<TensorBody> in_graph;
  Shape shape, strides;
  void release();  // one reference less; the last one frees it
};

// A handle; copies and moves are of the handle, the numbers stay where they are.
class Tensor {
 public:
  Tensor() = default;  // undefined: stands for an argument left out, a gradient not there
  // Copies the handle. While record() copies a derivative into a node, a tensor that it has
  // captured is also added to the node's saved tensors (graph.cpp).
  Tensor(const Tensor& other) : body_(capturing == nullptr ? other.body_ : other.captured()) {}
  Tensor(Tensor&&) noexcept = default;
  Tensor& operator=(const Tensor&) = default;
  Tensor& operator=(Tensor&&) noexcept = default;
  // A handle to that body.
  explicit Tensor(Ref<TensorBody> body) : body_(std::move(body)) {}

  bool defined() const { return static_cast<bool>(body_); }  // whether it has a value
  // Shape, dtype and device. For an undefined tensor these, and all that follow, throw an Error.
  const Shape& shape() const { return body().shape; }
  const Shape& strides() const { return body().strides; }
  // The size of dimension d, -1 the last; an Error where there is none.
  int64_t size(int64_t d) const { return shape().at(d, "size"); }
  int64_t rank() const { return shape().rank(); }    // the number of dimensions
  int64_t numel() const { return shape().numel(); }  // the number of elements
  // The type of the elements, and where they are.
  DType dtype() const { return body().dtype; }
  Device device() const { return body().storage->device(); }
  // Whether the elements follow each other in row-major order, without gaps.
  bool is_contiguous() const { return is_row_major(false); }

  // Numbers in and out. to_vector and item convert from any dtype.
  template <class T>
  T item() const;  // the number; an Error unless there is exactly one element
  double item() const { return item<double>(); }  // likewise, as double
  template <class T>
  std::vector<T> to_vector() const;  // row-major
  template <class T>
  const T* data() const {  // first element; an Error if T is not the dtype, or not on the cpu
    return static_cast<const T*>(on_host().address(dtype_of<T>));
  }
  template <class T>
  T* mutable_data() {  // for writing: counts as a write
    mark_written("mutable_data");
    return static_cast<T*>(const_cast<void*>(on_host().address(dtype_of<T>)));
  }

  const void* address(DType dtype) const;  // the same on any device: for kernels

  // Copies and conversions (ops/layout.cpp); their gradients convert back.
  Tensor to(Device device) const;  // itself where it is there already
  Tensor to(DType dtype) const;    // itself where it is of that dtype already
  Tensor contiguous() const;       // itself where it is contiguous already
  Tensor clone() const;            // a copy in memory of its own, part of the graph
  // The same storage, outside the graph: no gradient goes back through it. Observers see it as an
  // op.
  Tensor detach() const;
  Tensor reshape(const Shape& shape) const;        // as regrad::reshape in ops/ops.h
  Tensor transpose(int64_t d0, int64_t d1) const;  // as regrad::transpose
  Tensor operator[](int64_t i) const;              // element i of the first dimension, as select()

  // Writing in place: for parameters, under NoGrad, and for tensors outside any graph. A source
  // that lies in the same memory is read before anything is written; a tensor whose elements
  // overlap in memory (an expanded one) is an Error.
  Tensor& copy_(const Tensor& source);  // broadcasts and converts
  Tensor& fill_(Number value);          // an Error where the dtype cannot hold it
  // this += scale other, which broadcasts; both of one float dtype, this one contiguous.
  Tensor& add_(const Tensor& other, double scale = 1);
  Tensor& mul_(double factor);  // this *= factor, likewise

  // Gradients.
  // Whether backward() reaches it: a leaf with set_requires_grad(true), or computed from one.
  bool requires_grad() const { return static_cast<bool>(body().node); }
  Tensor& set_requires_grad(
      bool on);          // an Error for int64 and bool, and for false where it is not a leaf
  bool is_leaf() const;  // not the result of a recorded op
  Tensor grad() const;  // undefined before the first backward, and where it is kept for leaves only
  void set_grad(const Tensor& gradient);  // of its shape and dtype, or undefined
  void zero_grad();  // grad() is undefined again: the next backward starts from nothing
  // Adds Σ gradient d(this)/d(leaf), over this tensor's elements, to grad() of every leaf that this
  // was computed from. gradient: of this shape and dtype; 1 where left out, if there is one
  // element. An Error where this does not require a gradient, a saved tensor was written since, or
  // an earlier pass freed the graph (see retain_graph); then no grad() has changed.
  void backward(const Tensor& gradient = {}, BackwardOptions options = {}) const;
  // hook(g) is called in every pass, once g, the gradient of this tensor, is complete: of a leaf
  // before it is added to grad(), of others before it goes on. What it returns takes the place of
  // g; undefined, or nothing: g is unchanged. Hooks are called in the order of their registration.
  // An Error where this does not require a gradient, and, in the pass, for a gradient of another
  // shape or dtype. If a hook throws, no grad() has changed. g must not be written in place.
  HookHandle register_hook(GradientHook hook) const;
  template <WatchingHook F>
  HookHandle register_hook(F hook) const;
  // From now on backward() adds to grad() of this tensor too, although it is no leaf, after its
  // hooks. (With create_graph, such a grad() holds its graph until zero_grad() or set_grad().) A
  // leaf has its grad() anyway. An Error where this does not require a gradient.
  void retain_grad() const;

  std::string name() const;                // a parameter's dotted name, empty for others
  void set_name(const std::string& name);  // of a leaf that requires a gradient; others have none
  std::string str() const;                 // the numbers, for people; long ones are shortened

  const TensorBody& body() const {  // what the handle refers to; an Error when undefined
    if (!body_) [[unlikely]]
      undefined();
    return *body_;
  }
  TensorBody& body() {  // likewise
    if (!body_) [[unlikely]]
      undefined();
    return *body_;
  }
  const Ref<Node>& node() const { return body().node; }  // its place in the graph, or none
  // Whether both are handles to one tensor, not only to one storage.
  bool shares_body(const Tensor& other) const { return body_.get() == other.body_.get(); }
  bool is_held_once() const;  // no other handle or view refers to these numbers
  bool sole_owner() const;    // the same, outside any graph: the buffer may be overwritten
  void mark_written(
      const char* op);  // adds 1 to the version; an Error where writing is not allowed

 private:
  friend class CaptureScope;
  friend class Node;
  bool is_row_major(
      bool with_gaps) const;  // the elements in memory; with gaps between rows, if given
  const Tensor& on_host() const;
  [[noreturn]] static void undefined();
  Ref<TensorBody> captured() const;  // adds this tensor to `capturing`
  static constinit thread_local std::vector<struct Saved>* capturing;  // see captured()

  Ref<TensorBody> body_;
};

template <WatchingHook F>
HookHandle Tensor::register_hook(F hook) const {
  return register_hook(GradientHook([hook = std::move(hook)](const Tensor& g) mutable {
    hook(g);
    return Tensor();
  }));
}

// A new tensor over fresh memory whose numbers are not set. An Error where memory ends.
Tensor empty(const Shape& shape, DType dtype = float32, Device device = default_device());
// A tensor over the storage of another, outside the graph: the base of every view. Not checked.
Tensor view_of(const Tensor& base, const Shape& shape, const Shape& strides, int64_t offset);
// The same for the whole of x, where an op needs its numbers only: unlike x.detach(), which says
// that the user wants no gradient there, it is not shown to observers.
Tensor detached(const Tensor& x);

// Made from numbers (ops/create.cpp).
Tensor zeros(const Shape& shape, TensorOptions options = {});               // 0 everywhere
Tensor ones(const Shape& shape, TensorOptions options = {});                // 1 everywhere
Tensor full(const Shape& shape, Number value, TensorOptions options = {});  // float32 by default

// Gradients of sum(outputs * grad_outputs) with respect to inputs; nothing is accumulated.
struct GradOptions {
  std::vector<Tensor> grad_outputs = {};  // ones, where left out and the output is one element
  bool create_graph = false;
  bool allow_unused = false;  // an input that the outputs do not depend on: undefined, not an Error
  bool retain_graph = false;
  bool stop_at_inputs = false;  // no path goes on through an input, to another one behind it
};
// One gradient for each input. Errors as of backward(), and for an input that does not require a
// gradient or, unless allow_unused, on which the outputs do not depend.
std::vector<Tensor> grad(const std::vector<Tensor>& outputs, const std::vector<Tensor>& inputs,
                         const GradOptions& options = {});

std::ostream& operator<<(std::ostream& out, const Tensor& x);     // x.str()
std::ostream& operator<<(std::ostream& out, const Shape& shape);  // shape.str()

}  // namespace regrad

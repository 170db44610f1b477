// How the graph is recorded, and what a node does afterwards.
//
// What a derivative captures. A derivative is a function object, usually a lambda, that holds
// copies of the tensors that it will need. record() copies it once, into the node. While that copy
// is made, `Tensor::capturing` points at the node's list of saved tensors, and the copy constructor
// of Tensor adds each captured tensor to it with its version (captured(), below). So the node knows
// what it relies on without being told.
#include "autograd/graph.h"

#include <pthread.h>

#include <algorithm>
#include <mutex>

#include "autograd/check.h"
#include "autograd/observer.h"

namespace regrad {

constinit thread_local std::vector<Saved>* Tensor::capturing = nullptr;

// While one is alive, tensors that are copied on this thread are added to `saved`.
class CaptureScope {
 public:
  explicit CaptureScope(std::vector<Saved>& saved)
      : outer_(std::exchange(Tensor::capturing, &saved)) {}
  ~CaptureScope() { Tensor::capturing = outer_; }
  CaptureScope(const CaptureScope&) = delete;
  CaptureScope& operator=(const CaptureScope&) = delete;

 private:
  std::vector<Saved>* outer_;
};

// The body of a captured tensor: of a leaf, the one made for graphs (TensorBody::in_graph).
Ref<TensorBody> Tensor::captured() const {
  if (!body_) return {};
  Ref<TensorBody> kept = body_->in_graph ? body_->in_graph : body_;
  capturing->push_back({kept, kept->storage->version()});
  return kept;
}

namespace {

// The last number given to a node on this thread. If an input was made on another thread and has a
// greater one, connect() continues from there (Lamport, "Time, clocks, and the ordering of events
// in a distributed system", 1978).
constinit thread_local uint64_t last_number = 0;

bool wants_gradient(const Tensor& tensor) { return tensor.defined() && tensor.requires_grad(); }

// The output as a new tensor if anybody else refers to it: an op may return its input as it is.
Tensor unshared(Tensor output) {
  const bool own = output.body().unique() && !output.requires_grad();
  return own ? std::move(output) : detached(output);
}

const Tensor& tensor_of(const Input& input) { return input.tensor; }
const Tensor& tensor_of(const Tensor& input) { return input; }

template <class Inputs>
[[gnu::cold]] void notify_computed(const char* name, const Inputs& inputs, const Tensor& output) {
  std::vector<Tensor> tensors;
  for (const auto& input : inputs) tensors.push_back(tensor_of(input));
  const char* const unrecorded = output.requires_grad() ? nullptr
                                 : std::any_of(tensors.begin(), tensors.end(), wants_gradient)
                                     ? "NoGrad"
                                     : "no input requires a gradient";
  Observer::notify([&](Observer& one) { one.computed({name, tensors, output, unrecorded}); });
}

// What an op of a user computed its output from beside the inputs that it names. (What it cut among
// the leaves of those, by detach() or NoGrad, does not count.)
void add_unnamed(Origin& origin, const Origin& output) {
  const LeafSet more = output.cut.without(origin.leaves);
  if (!more.empty()) origin.add({output.cut_by, {}, more});
}

// An output of the shape of an input that has names gets them.
template <class Inputs>
void pass_names(TensorBody& output, const Inputs& inputs) {
  for (const auto& input : inputs) {
    const Tensor& x = tensor_of(input);
    if (output.names == 0 && x.defined() && x.shape() == output.shape) {
      output.names = x.body().names;
    }
  }
}

// Notes in the output which leaves it was computed from. Returns whether an input wants a gradient.
template <class Inputs>
bool note_origin(const char* name, TensorBody& output, const Inputs& inputs, bool recorded) {
  bool wanted = false;
  uint32_t has_names = 0;
  Origin origin;
  for (const auto& input : inputs) {
    const Tensor& x = tensor_of(input);
    if (!x.defined()) continue;
    const TensorBody& body = x.body();
    origin.add(body.origin);
    has_names |= body.names;
    if (!body.node) continue;
    wanted = true;
    if (!recorded) body.node->unrecorded_by.store(name, std::memory_order_relaxed);
  }
  if (output.origin.cut_by != nullptr) [[unlikely]]
    add_unnamed(origin, output.origin);
  if (!recorded) origin.cut_at(name);
  output.origin = origin;
  if (has_names != 0) [[unlikely]]
    pass_names(output, inputs);
  return wanted;
}

template <class Inputs, class... OfAll>
Tensor record_over(const char* name, Tensor output, const Inputs& inputs, const OfAll&... of_all) {
  output = unshared(std::move(output));
  TensorBody& body = output.body();
  const bool enabled = GradMode::enabled();
  const bool wanted = GradMode::follows_origins() && note_origin(name, body, inputs, enabled);
  if (wanted && enabled) body.node = Node::of(name, output, inputs, of_all...);
  if (Observer::is_observing()) [[unlikely]] {
    notify_computed(name, inputs, output);
  }
  return output;
}

}  // namespace

Tensor record(const char* name, Tensor output, std::initializer_list<Input> inputs) {
  return record_over(name, std::move(output), std::span(inputs.begin(), inputs.size()));
}

Tensor record(const char* name, Tensor output, const std::vector<Input>& inputs) {
  return record_over(name, std::move(output), std::span(inputs));
}

Tensor record(const char* name, Tensor output, const std::vector<Tensor>& inputs,
              DerivativeOfAll derivative) {
  return record_over(name, std::move(output), inputs, derivative);
}

// Throws nothing, so that its caller need not free the block.
Node::Node(const char* op, const Tensor& tensor, size_t edges) noexcept
    : name(op),
      number(++last_number),
      shape(tensor.shape()),
      dtype(tensor.dtype()),
      storage(tensor.body().storage.get()),
      edge_count(edges) {
  for (size_t i = 0; i < edge_count; ++i) new (begin() + i) Edge();
  count_node(1);
}

Node::~Node() {
  for (Edge& edge : *this) edge.~Edge();
  delete existing_extras();
  count_node(-1);
}

Node::Extras& Node::extras() {
  if (existing_extras() == nullptr) extras_.store(new Extras(), std::memory_order_release);
  return *existing_extras();
}

void Node::connect(Edge& edge, const Tensor& input) {
  edge.input = input.node();
  if (edge.input->number >= number) number = last_number = edge.input->number + 1;
  edge.input->used_by.store(number, std::memory_order_relaxed);
}

// A node, its edges and their small closures are one allocation.
Ref<Node> Node::make(const char* op, const Tensor& tensor, size_t edges) {
  return Ref<Node>(new (allocate_block(sizeof(Node) + edges * sizeof(Edge)))
                       Node(op, tensor, edges));
}

uint64_t Node::newest_number() { return last_number; }

Ref<Node> Node::leaf(const Tensor& tensor) { return make(nullptr, tensor, 0); }

// Keeps the output for derivatives that take it: detached, since the graph must not hold itself,
// and with its version noted, like that of a captured tensor.
void Node::keep_output(const Tensor& tensor) {
  output = detached(tensor);
  static_cast<void>(output.captured());
}

Ref<Node> Node::of(const char* name, const Tensor& output, std::span<const Input> inputs) {
  Ref<Node> node = make(name, output, inputs.size());
  bool wants_output = false;
  const CaptureScope scope(node->saved);
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!wants_gradient(inputs[i].tensor)) continue;
    Edge& edge = node->begin()[i];
    node->connect(edge, inputs[i].tensor);
    edge.derivative.assign(inputs[i].derivative);
    wants_output = wants_output || edge.derivative.wants_output();
  }
  if (wants_output) node->keep_output(output);
  return node;
}

Ref<Node> Node::of(const char* name, const Tensor& output, const std::vector<Tensor>& inputs,
                   const DerivativeOfAll& derivative) {
  Ref<Node> node = make(name, output, inputs.size());
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (wants_gradient(inputs[i])) node->connect(node->begin()[i], inputs[i]);
  }
  const CaptureScope scope(node->saved);
  node->derivative_of_all.assign(derivative);
  if (derivative.wants_output()) node->keep_output(output);
  return node;
}

std::string Node::called() const {
  if (!is_leaf()) return name;
  return parameter.empty() ? "leaf" : parameter;
}

namespace {

// How to name the tensor that was written: of a view, the tensor that it shows, which is the oldest
// in the graph with that storage; without one, the shape before expand().
std::string written_tensor(const TensorBody& body) {
  const Node* node = body.node.get();
  while (node != nullptr) {
    const Edge* const edge = std::find_if(node->begin(), node->end(), [&](const Edge& one) {
      return one.input && one.input->storage == body.storage.get();
    });
    if (edge == node->end()) break;
    node = edge->input.get();
  }
  if (node != nullptr) {
    return (node->parameter.empty() ? "a tensor" : node->parameter) + " of shape " +
           node->shape.str();
  }
  Shape shape;
  for (int64_t d = 0; d < body.shape.rank(); ++d) {
    const bool repeated = body.strides[d] == 0 && body.shape[d] > 1;
    if (!repeated || !shape.empty()) shape.push_back(repeated ? 1 : body.shape[d]);
  }
  return "a tensor of shape " + shape.str();
}

}  // namespace

void Node::check_saved() const {
  for (const auto& [body, version] : saved) {
    if (body->storage->version() == version) [[likely]]
      continue;
    fail(
        "backward of {}{}: {}, which it computed with or from, was written in place since by "
        "{}{} (version {} then, {} now); write after backward(), or record a clone()",
        name, Observer::where_made(*this), written_tensor(*body), body->storage->last_writer(),
        Observer::where_written(*body->storage), version, body->storage->version());
  }
}

namespace {

constinit std::mutex leaves_change;
constinit thread_local bool changing_leaves = false;

// In a child of fork() only the calling thread goes on: no other could release the lock.
[[maybe_unused]] const int at_fork = pthread_atfork(
    [] {
      if (!changing_leaves) leaves_change.lock();
    },
    [] {
      if (!changing_leaves) leaves_change.unlock();
    },
    [] {
      if (!changing_leaves) leaves_change.unlock();
    });

}  // namespace

LeafLock::LeafLock() : outermost_(!changing_leaves) {
  if (!outermost_) return;
  leaves_change.lock();
  changing_leaves = true;
}

LeafLock::~LeafLock() {
  if (!outermost_) return;
  changing_leaves = false;
  leaves_change.unlock();
}

void Node::abandon() {
  Tensor last;  // freed after the lock: a graph may hang on it
  const LeafLock lock;
  abandoned = true;
  std::swap(last, gradient);
}

void Node::release_saved() {
  released = true;
  derivative_of_all.reset();
  output = Tensor();
  saved.clear();
  for (Edge& edge : *this) {
    edge.derivative.reset();
    edge.input = Ref<Node>();
  }
}

// Freeing a node may free the nodes of its inputs. They are put on a list instead of being freed by
// recursion, which would overflow the stack on a long chain.
void Node::destroy() {
  static constinit thread_local Node* dead = nullptr;
  static constinit thread_local bool busy = false;
  next_dead_ = std::exchange(dead, this);
  if (busy) return;
  busy = true;
  while (dead != nullptr) {
    Node* node = std::exchange(dead, dead->next_dead_);
    const size_t bytes = sizeof(Node) + node->edge_count * sizeof(Edge);
    node->~Node();
    free_block(node, bytes);
  }
  busy = false;
}

}  // namespace regrad

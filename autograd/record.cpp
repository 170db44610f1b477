// How the graph is recorded. A derivative is copied into its node once; while that goes
// on, every Tensor copied with it notes its storage's version, so the node knows what it relies on.
#include "autograd/node.h"
#include "autograd/watch.h"

namespace regrad {

constinit thread_local std::vector<Saved>* Tensor::capturing = nullptr;
constinit thread_local bool GradMode::enabled_ = true;
constinit thread_local Watch* Watch::current = nullptr;

// What is seen may compute in its turn, unseen.
void Watch::tell(const char* op, const Tensor& output) {
  Watch* self = std::exchange(current, nullptr);
  try {
    seen_(op, output);
  } catch (...) {
    current = self;
    throw;
  }
  current = self;
}

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

// A graph holds a leaf by a body that is not the user's: see TensorBody::in_graph.
Ref<TensorBody> Tensor::captured() const {
  if (!body_) return {};
  Ref<TensorBody> kept = body_->in_graph ? body_->in_graph : body_;
  capturing->push_back({kept, kept->storage->version()});
  return kept;
}

namespace {

// The youngest number of this thread. A node from another thread may be younger still: connect()
// moves on past it (Lamport, "Time, clocks, and the ordering of events", 1978).
constinit thread_local uint64_t youngest = 0;

bool wants_gradient(const Tensor& tensor) { return tensor.defined() && tensor.requires_grad(); }

// The output as a tensor of its own: an op may return its input, or something already recorded.
Tensor outside_graph(Tensor output) {
  const bool own = output.body().unique() && !output.requires_grad();
  return own ? std::move(output) : output.detach();
}

const Tensor& tensor_of(const Input& input) { return input.tensor; }
const Tensor& tensor_of(const Tensor& input) { return input; }

template <class Inputs, class... OfAll>
Tensor record_over(const char* name, Tensor output, const Inputs& inputs, const OfAll&... of_all) {
  output = outside_graph(std::move(output));
  Watch::see(name, output);
  bool wanted = false;
  for (const auto& input : inputs) wanted = wanted || wants_gradient(tensor_of(input));
  if (!wanted || !GradMode::enabled()) return output;
  Ref<Node> node = Node::of(name, output, inputs, of_all...);
  output.body().node = std::move(node);
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

// Throws nothing: whatever made room for the node would have to free it.
Node::Node(const char* op, const Tensor& tensor, size_t edges) noexcept
    : name(op),
      number(++youngest),
      shape(tensor.shape()),
      dtype(tensor.dtype()),
      storage(tensor.body().storage.get()),
      edge_count(edges) {
  for (size_t i = 0; i < edge_count; ++i) new (begin() + i) Edge();
  count_node(1);
}

Node::~Node() {
  for (Edge& edge : *this) edge.~Edge();
  count_node(-1);
}

void Node::connect(Edge& edge, const Tensor& input) {
  edge.input = input.node();
  if (edge.input->number >= number) number = youngest = edge.input->number + 1;
}

// A node and its edges, with their small closures, are one block.
Ref<Node> Node::make(const char* op, const Tensor& tensor, size_t edges) {
  return Ref<Node>(new (allocate_block(sizeof(Node) + edges * sizeof(Edge)))
                       Node(op, tensor, edges));
}

Ref<Node> Node::leaf(const Tensor& tensor) { return make(nullptr, tensor, 0); }

// The output as closures are handed it: outside the graph, and watched like all they rely on.
void Node::keep(const Tensor& kept) {
  output = kept.detach();
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
  if (wants_output) node->keep(output);
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
  if (derivative.wants_output()) node->keep(output);
  return node;
}

}  // namespace regrad

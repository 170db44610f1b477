// backward() and grad(). One backward pass walks the graph from the youngest node to the oldest. A
// node's uses are all younger than it is, so when its turn comes its gradient is complete.
#include <algorithm>
#include <atomic>
#include <unordered_map>
#include <unordered_set>

#include "autograd/check.h"
#include "autograd/graph.h"
#include "autograd/notes.h"
#include "autograd/observer.h"

namespace regrad {
namespace {

[[noreturn]] void fail_freed(const char* caller, const char* op) {
  fail(
      "{}: the graph through {} was used by an earlier backward(), which freed it; compute it "
      "again, detach() what is carried over, or let that be backward({{}}, {{.retain_graph = "
      "true}})",
      caller, op);
}

// The gradient after the hooks of its tensor.
Tensor hooked(Node& node, Tensor gradient) {
  const auto hooks = node.extras().hooks;  // a hook may register another
  for (const auto& hook : hooks) {
    if (*hook == nullptr) continue;
    const GradientHook function = *hook;  // it may remove itself
    Tensor changed = function(gradient);
    if (!changed.defined()) continue;
    check(changed.shape() == gradient.shape() && changed.dtype() == gradient.dtype() &&
              changed.device() == gradient.device(),
          "backward: a hook of {} returned a gradient of shape {} {}, not {} {}", node.called(),
          changed.shape(), changed.dtype(), gradient.shape(), gradient.dtype());
    gradient = std::move(changed);
  }
  return gradient;
}

// One walk over the graph. Contributions to a node's gradient are summed as they arrive: by the
// chain rule of several variables, dL/dx is the sum of what every use of x contributes. Meanwhile
// ops wait in a heap, with the sum in `pending`, and leaves in a list.
class Pass {
 public:
  explicit Pass(BackwardOptions options) : options_(options), recorded_(options.create_graph) {}
  Pass(const Pass&) = delete;
  Pass& operator=(const Pass&) = delete;

  ~Pass() {
    for (const Ref<Node>& node : waiting_) node->pending = Tensor();
    for (Suspended& one : suspended_) {
      one.node->pending = std::move(one.pending);
      one.node->pass.store(one.pass, std::memory_order_relaxed);
    }
  }

  // Only nodes from which one of `targets` can be reached take part.
  // With `stop`, no path goes on through a target.
  void restrict_to(const std::unordered_set<Node*>& targets, const std::vector<Tensor>& outputs,
                   bool stop);

  // Adds a contribution to the gradient of a node.
  void accumulate(const Ref<Node>& node, Tensor&& gradient) {
    if (restricted_ && !useful_.contains(node.get())) return;
    if (Tensor* sum = sum_so_far(*node)) {
      *sum = add_gradients(std::move(*sum), std::move(gradient));
    } else if (node->is_leaf()) {
      start_leaf(node, std::move(gradient));
    } else {
      start_waiting(node, std::move(gradient));
    }
  }

  struct Leaf {
    Ref<Node> node;
    Tensor gradient;
  };
  // After run(), with complete gradients; also nodes whose tensors retain theirs.
  std::vector<Leaf>& leaves() { return leaves_; }
  uint64_t number() const { return number_; }

  // The youngest node first. Calls on_complete(node, gradient) with the complete gradient of every
  // node but leaves.
  template <class OnComplete>
  void run(const OnComplete& on_complete) {
    while (!waiting_.empty()) {
      std::pop_heap(waiting_.begin(), waiting_.end(), older);
      const Ref<Node> node = std::move(waiting_.back());
      waiting_.pop_back();
      Tensor gradient = std::move(node->pending);
      if (node->existing_extras() != nullptr) [[unlikely]]
        call_hooks(node, gradient);
      if (!ends_.contains(node.get())) propagate(*node, gradient, node);
      on_complete(*node, std::move(gradient));
    }
    for (Leaf& leaf : leaves_) {
      if (leaf.node->is_leaf() && leaf.node->existing_extras() != nullptr) {
        leaf.gradient = hooked(*leaf.node, std::move(leaf.gradient));
      }
    }
  }

 private:
  static inline std::atomic<uint64_t> passes_{0};
  static bool older(const Ref<Node>& a, const Ref<Node>& b) { return a->number < b->number; }

  // The sum of the contributions to a node in this pass; null before the first.
  Tensor* sum_so_far(Node& node) {
    const uint64_t latest = node.pass.load(std::memory_order_relaxed);
    if (!node.is_leaf()) {
      return latest == number_ && node.pending.defined() ? &node.pending : nullptr;
    }
    if (latest < number_) return nullptr;
    const uint32_t place = node.place.load(std::memory_order_relaxed);
    if (place < leaves_.size() && leaves_[place].node.get() == &node) {
      return &leaves_[place].gradient;
    }
    for (Leaf& leaf : leaves_) {  // a pass of another thread, or a nested one, was here since
      if (leaf.node.get() == &node) return &leaf.gradient;
    }
    return nullptr;
  }

  void start_leaf(const Ref<Node>& node, Tensor&& gradient) {
    leaves_.push_back({node, std::move(gradient)});
    node->place.store(static_cast<uint32_t>(leaves_.size() - 1), std::memory_order_relaxed);
    uint64_t latest = node->pass.load(std::memory_order_relaxed);
    while (latest < number_ &&
           !node->pass.compare_exchange_weak(latest, number_, std::memory_order_relaxed)) {
    }
  }

  // What can throw comes first, so that ~Pass() finds every node that has a gradient.
  void start_waiting(const Ref<Node>& node, Tensor&& gradient) {
    if (node->pending.defined()) {  // this pass runs inside a derivative of another, on one graph
      suspended_.push_back({node, Tensor(), node->pass.load(std::memory_order_relaxed)});
      suspended_.back().pending = std::move(node->pending);
    }
    waiting_.push_back(node);
    node->pass.store(number_, std::memory_order_relaxed);
    node->pending = std::move(gradient);
    std::push_heap(waiting_.begin(), waiting_.end(), older);
  }

  // The chain rule at one node: from its complete gradient to contributions for its inputs.
  void propagate(Node& node, const Tensor& gradient, const Ref<Node>& reference) {
    if (node.released) [[unlikely]]
      fail_freed("backward", node.name);
    node.check_saved();
    const bool observed = Observer::is_observing();
    if (observed) [[unlikely]]
      Observer::notify([&](Observer& one) { one.took(node, gradient); });
    Tensor output = node.output;
    if (output.defined() && options_.create_graph) {  // the output, as part of the graph
      output = detached(output);
      output.body().node = reference;
    }
    if (node.derivative_of_all) {
      propagate_to_all(node, gradient, output);
    } else {
      propagate_by_edge(node, gradient, output);
    }
    if (observed) [[unlikely]]
      Observer::notify([&](Observer& one) { one.finished(node); });
    if (!options_.retain_graph && !options_.create_graph) node.release_saved();
  }

  void propagate_by_edge(Node& node, const Tensor& gradient, const Tensor& output) {
    for (size_t i = 0; i < node.edge_count; ++i) {
      const Edge& edge = node.edge(i);
      if (!edge.input || (restricted_ && !useful_.contains(edge.input.get()))) continue;
      if (add_in_place(edge.input, edge.derivative, gradient)) continue;
      accumulate_checked(node, i, edge.derivative(gradient, output));
    }
  }

  // Lets the derivative itself add its contribution to the sum. Returns false if that is not
  // possible: for the first contribution, a buffer that others refer to, or a pass that is
  // recorded.
  bool add_in_place(const Ref<Node>& node, const Derivative& derivative, const Tensor& gradient) {
    if (options_.create_graph || !derivative.can_add() || Observer::is_observing()) return false;
    Tensor* sum = sum_so_far(*node);
    if (sum == nullptr || !sum->sole_owner()) return false;
    derivative.add_into(*sum, gradient);
    return true;
  }

  void propagate_to_all(Node& node, const Tensor& gradient, const Tensor& output) {
    std::vector<Tensor> gradients = node.derivative_of_all(gradient, Needed(node), output);
    check(gradients.size() == node.edge_count,
          "backward of {}: its derivative returned {} gradients for {} inputs", node.name,
          gradients.size(), node.edge_count);
    for (size_t i = 0; i < node.edge_count; ++i) {
      if (node.edge(i).input) accumulate_checked(node, i, std::move(gradients[i]));
    }
  }

  void accumulate_checked(Node& node, size_t i, Tensor&& gradient) {
    const Ref<Node>& input = node.edge(i).input;
    check(gradient.defined(), "backward of {}: its derivative gave no gradient for input {}",
          node.name, i);
    check(gradient.shape() == input->shape && gradient.dtype() == input->dtype,
          "backward of {}: its derivative gave a gradient of shape {} {} for input {}, "
          "which has shape {} {}",
          node.name, gradient.shape(), gradient.dtype(), i, input->shape, input->dtype);
    if (!Observer::is_observing()) [[likely]]
      return accumulate(input, std::move(gradient));
    const Tensor addend = gradient;  // a second handle, so that it is not added to in place
    accumulate(input, std::move(gradient));
    const Tensor* const sum = sum_so_far(*input);
    if (sum == nullptr) return;  // not a part of a restricted pass
    Observer::notify([&](Observer& one) { one.gave(node, i, addend, *sum); });
  }

  [[gnu::cold]] void call_hooks(const Ref<Node>& node, Tensor& gradient) {
    gradient = hooked(*node, std::move(gradient));
    if (!restricted_ && node->existing_extras()->retains_grad) leaves_.push_back({node, gradient});
  }

  struct Suspended {
    Ref<Node> node;
    Tensor pending;
    uint64_t pass;
  };

  BackwardOptions options_;
  InsideOp recorded_;
  uint64_t number_ = passes_.fetch_add(1, std::memory_order_relaxed) + 1;
  std::vector<Ref<Node>> waiting_;  // a heap: the youngest node on top
  std::vector<Suspended> suspended_;
  std::vector<Leaf> leaves_;
  bool restricted_ = false;
  std::unordered_set<Node*> useful_, ends_;  // ends_: where paths end
};

void Pass::restrict_to(const std::unordered_set<Node*>& targets, const std::vector<Tensor>& outputs,
                       bool stop) {
  restricted_ = true;
  if (stop) ends_ = targets;
  std::unordered_set<Node*> seen;
  std::vector<Node*> reached;
  uint64_t oldest = UINT64_MAX;  // nothing older than the targets leads to them
  for (const Node* target : targets) oldest = std::min(oldest, target->number);
  const auto reach = [&](const Ref<Node>& node) {
    if (!node || node->number < oldest) return;
    if (seen.insert(node.get()).second) reached.push_back(node.get());
  };
  for (const Tensor& output : outputs) reach(output.node());
  for (size_t i = 0; i < reached.size(); ++i) {
    if (ends_.contains(reached[i])) continue;
    if (reached[i]->released) fail_freed("grad", reached[i]->name);  // it may have led to a target
    for (const Edge& edge : *reached[i]) reach(edge.input);
  }
  std::sort(reached.begin(), reached.end(),
            [](const Node* a, const Node* b) { return a->number < b->number; });
  for (Node* node : reached) {  // the oldest first: a node's inputs are decided before it
    bool useful = targets.contains(node);
    for (const Edge& edge : *node) useful = useful || useful_.contains(edge.input.get());
    if (useful) useful_.insert(node);
  }
}

// What a pass starts from: dL/dL = 1, or the gradient that the caller gives.
Tensor seed_for(const char* op, const Tensor& output, const Tensor& gradient) {
  check(output.requires_grad(),
        "{}: the output of shape {} does not depend on anything that "
        "requires a gradient, or was computed under NoGrad",
        op, output.shape());
  if (!gradient.defined()) {
    check(output.numel() == 1,
          "{}: an output of shape {} is not one number; give the gradient to "
          "start from, or reduce it with sum() or mean()",
          op, output.shape());
    return ones(output.shape(), {.dtype = output.dtype(), .device = output.device()});
  }
  check(gradient.shape() == output.shape() && gradient.dtype() == output.dtype(),
        "{}: the gradient has shape {} {}, the output {} {}; they must be equal", op,
        gradient.shape(), gradient.dtype(), output.shape(), output.dtype());
  return gradient;
}

// A gradient for the user: contiguous, and, unless it is part of a graph, in memory of its own.
Tensor for_user(const Tensor& g) {
  return g.requires_grad() || g.sole_owner() ? g.contiguous() : g.clone();
}

// Says that the gradients were computed from what the outputs were, outside the graph.
void cut_from(const std::vector<Tensor>& outputs, std::vector<Tensor>& gradients) {
  Origin origin;
  for (const Tensor& output : outputs) origin.add(output.body().origin);
  origin.cut_at("grad() without create_graph");
  for (Tensor& gradient : gradients) {
    if (gradient.defined()) gradient.body().origin = origin;
  }
}

void notify_started(const Tensor& output) {
  Observer::notify([&](Observer& one) { one.started(output); });
}

void notify_ended() {
  Observer::notify([](Observer& one) { one.ended(); });
}

}  // namespace

void Tensor::backward(const Tensor& gradient, BackwardOptions options) const {
  Pass pass(options);
  notify_started(*this);
  pass.accumulate(node(), seed_for("backward", *this, gradient));
  pass.run([](Node&, Tensor) {});
  // .grad += what this pass brings: two backward() calls before zero_grad() add up. All leaves are
  // summed before the first is written, so that an Error leaves every .grad as it was.
  const LeafLock lock;
  for (auto& [leaf, complete] : pass.leaves()) {
    if (leaf->abandoned) continue;
    complete = leaf->gradient.defined() ? add_gradients(leaf->gradient, std::move(complete))
                                        : for_user(complete);
  }
  for (auto& [leaf, complete] : pass.leaves()) {
    if (!leaf->abandoned) std::swap(leaf->gradient, complete);
  }
  note_backward(*node(), pass.number(), Node::newest_number());
  notify_ended();
}

std::vector<Tensor> grad(const std::vector<Tensor>& outputs, const std::vector<Tensor>& inputs,
                         const GradOptions& options) {
  check(!outputs.empty() && !inputs.empty(), "grad: needs at least one output and one input");
  check(options.grad_outputs.empty() || options.grad_outputs.size() == outputs.size(),
        "grad: {} outputs but {} grad_outputs", outputs.size(), options.grad_outputs.size());
  std::unordered_set<Node*> targets;
  for (size_t i = 0; i < inputs.size(); ++i) {
    check(inputs[i].requires_grad(), "grad: input {} of shape {} does not require a gradient", i,
          inputs[i].shape());
    targets.insert(inputs[i].node().get());
  }
  std::unordered_map<const Node*, Tensor> found;
  {
    Pass pass({.retain_graph = options.retain_graph, .create_graph = options.create_graph});
    notify_started(outputs[0]);
    pass.restrict_to(targets, outputs, options.stop_at_inputs);
    for (size_t i = 0; i < outputs.size(); ++i) {
      const Tensor start = options.grad_outputs.empty() ? Tensor() : options.grad_outputs[i];
      pass.accumulate(outputs[i].node(), seed_for("grad", outputs[i], start));
    }
    pass.run([&](Node& node, Tensor complete) {
      if (targets.contains(&node)) found[&node] = std::move(complete);
    });
    for (auto& [leaf, complete] : pass.leaves()) found[leaf.get()] = std::move(complete);
  }
  notify_ended();
  std::vector<Tensor> gradients;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const auto it = found.find(inputs[i].node().get());
    check(it != found.end() || options.allow_unused,
          "grad: the outputs do not depend on input {} of shape {}; "
          "with {{.allow_unused = true}} its gradient is undefined",
          i, inputs[i].shape());
    gradients.push_back(it == found.end() ? Tensor() : for_user(it->second));
  }
  if (!options.create_graph) cut_from(outputs, gradients);
  return gradients;
}

}  // namespace regrad

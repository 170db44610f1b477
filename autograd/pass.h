// One backward pass: gradients walk the graph from the youngest node to the oldest. A node's
// consumers are all younger than it is, so when its turn comes its gradient is complete.
#pragma once

#include <algorithm>
#include <atomic>
#include <unordered_set>

#include "autograd/check.h"
#include "autograd/node.h"

namespace regrad {

class Pass {
 public:
  explicit Pass(BackwardOptions options) : options_(options), grad_mode_(options.create_graph) {}
  Pass(const Pass&) = delete;
  Pass& operator=(const Pass&) = delete;

  ~Pass() {
    for (const Ref<Node>& node : waiting_) node->pending = Tensor();
    for (Suspended& one : suspended_) {
      one.node->pending = std::move(one.pending);
      one.node->pass.store(one.pass, std::memory_order_relaxed);
    }
  }

  // Only nodes from which one of `targets` can be reached take part; the others are not computed.
  void restrict_to(const std::unordered_set<Node*>& targets, const std::vector<Tensor>& outputs);

  void give(const Ref<Node>& node, Tensor&& gradient) {
    if (restricted_ && !useful_.contains(node.get())) return;
    if (Tensor* sum = gathered(*node)) {
      *sum = add_gradients(std::move(*sum), std::move(gradient));
    } else if (node->is_leaf()) {
      add_leaf(node, std::move(gradient));
    } else {
      wait(node, std::move(gradient));
    }
  }

  // A gradient that is not the first to arrive, from a derivative that can add to the sum itself.
  // False: that cannot be done here.
  bool add_in_place(const Ref<Node>& node, const Derivative& derivative, const Tensor& gradient) {
    if (options_.create_graph || !derivative.can_add()) return false;
    Tensor* sum = gathered(*node);
    if (sum == nullptr || !sum->sole_owner()) return false;
    derivative.add_into(*sum, gradient);
    return true;
  }

  struct Leaf {
    Ref<Node> node;
    Tensor gradient;
  };
  std::vector<Leaf>& leaves() { return leaves_; }  // their gradients are complete after run()

  // Calls arrived(node, gradient) for every other node once its gradient is complete.
  template <class Arrived>
  void run(const Arrived& arrived) {
    while (!waiting_.empty()) {
      std::pop_heap(waiting_.begin(), waiting_.end(), older);
      const Ref<Node> node = std::move(waiting_.back());
      waiting_.pop_back();
      Tensor gradient = std::move(node->pending);
      pass_on(*node, gradient, node);
      arrived(*node, std::move(gradient));
    }
  }

 private:
  static inline std::atomic<uint64_t> passes_{0};
  static bool older(const Ref<Node>& a, const Ref<Node>& b) { return a->number < b->number; }

  // What has reached a node in this pass so far; null when that is nothing.
  Tensor* gathered(Node& node) {
    const uint64_t youngest = node.pass.load(std::memory_order_relaxed);
    if (!node.is_leaf()) {
      return youngest == number_ && node.pending.defined() ? &node.pending : nullptr;
    }
    if (youngest < number_) return nullptr;
    const uint32_t place = node.place.load(std::memory_order_relaxed);
    if (place < leaves_.size() && leaves_[place].node.get() == &node) {
      return &leaves_[place].gradient;
    }
    for (Leaf& leaf : leaves_) {  // a pass of another thread, or within this one, was here since
      if (leaf.node.get() == &node) return &leaf.gradient;
    }
    return nullptr;
  }

  void add_leaf(const Ref<Node>& node, Tensor&& gradient) {
    leaves_.push_back({node, std::move(gradient)});
    node->place.store(static_cast<uint32_t>(leaves_.size() - 1), std::memory_order_relaxed);
    uint64_t youngest = node->pass.load(std::memory_order_relaxed);
    while (youngest < number_ && !node->pass.compare_exchange_weak(youngest, number_,
                                                                   std::memory_order_relaxed)) {
    }
  }

  // What can throw comes first: a node that has a gradient is always one that ~Pass() finds.
  void wait(const Ref<Node>& node, Tensor&& gradient) {
    if (node->pending.defined()) {  // a pass around this one is at work on the same graph
      suspended_.push_back({node, Tensor(), node->pass.load(std::memory_order_relaxed)});
      suspended_.back().pending = std::move(node->pending);
    }
    waiting_.push_back(node);
    node->pass.store(number_, std::memory_order_relaxed);
    node->pending = std::move(gradient);
    std::push_heap(waiting_.begin(), waiting_.end(), older);
  }

  void pass_on(Node& node, const Tensor& gradient, const Ref<Node>& reference) {
    check(!node.spent,
          "backward: the graph through {} was used by an earlier backward(), which freed it; compute "
          "it again, detach() what is carried over, or give that one {{.retain_graph = true}}",
          node.name);
    node.check_saved();
    Tensor output = node.output;
    if (output.defined() && options_.create_graph) {  // the output, as part of the graph
      output = output.detach();
      output.body().node = reference;
    }
    if (node.derivative_of_all) {
      give_all(node, gradient, output);
    } else {
      give_each(node, gradient, output);
    }
    if (!options_.retain_graph && !options_.create_graph) node.forget();
  }

  void give_each(Node& node, const Tensor& gradient, const Tensor& output) {
    for (size_t i = 0; i < node.edge_count; ++i) {
      const Edge& edge = node.edge(i);
      if (!edge.input || (restricted_ && !useful_.contains(edge.input.get()))) continue;
      if (add_in_place(edge.input, edge.derivative, gradient)) continue;
      give_checked(node, i, edge.derivative(gradient, output));
    }
  }

  void give_all(Node& node, const Tensor& gradient, const Tensor& output) {
    std::vector<Tensor> gradients = node.derivative_of_all(gradient, Needed(node), output);
    check(gradients.size() == node.edge_count,
          "backward of {}: its derivative returned {} gradients for {} inputs", node.name,
          gradients.size(), node.edge_count);
    for (size_t i = 0; i < node.edge_count; ++i) {
      if (node.edge(i).input) give_checked(node, i, std::move(gradients[i]));
    }
  }

  void give_checked(Node& node, size_t i, Tensor&& gradient) {
    const Ref<Node>& input = node.edge(i).input;
    check(gradient.defined(), "backward of {}: its derivative gave no gradient for input {}",
          node.name, i);
    check(gradient.shape() == input->shape && gradient.dtype() == input->dtype,
          "backward of {}: its derivative gave a gradient of shape {} {} for input {}, "
          "which has shape {} {}",
          node.name, gradient.shape(), gradient.dtype(), i, input->shape,
          input->dtype);
    give(input, std::move(gradient));
  }

  struct Suspended {
    Ref<Node> node;
    Tensor pending;
    uint64_t pass;
  };

  BackwardOptions options_;
  GradMode grad_mode_;
  uint64_t number_ = passes_.fetch_add(1, std::memory_order_relaxed) + 1;
  std::vector<Ref<Node>> waiting_;  // a heap: the youngest node on top
  std::vector<Suspended> suspended_;
  std::vector<Leaf> leaves_;
  bool restricted_ = false;
  std::unordered_set<Node*> useful_;
};

}  // namespace regrad

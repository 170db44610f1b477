// backward() and grad(): where a pass begins, and what becomes of the gradients it brings.
#include <unordered_map>

#include "autograd/pass.h"

namespace regrad {

void Pass::restrict_to(const std::unordered_set<Node*>& targets,
                       const std::vector<Tensor>& outputs) {
  restricted_ = true;
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

namespace {

Tensor seed_for(const char* op, const Tensor& output, const Tensor& gradient) {
  check(output.requires_grad(), "{}: the output of shape {} does not depend on anything that "
        "requires a gradient, or was computed under NoGrad", op, output.shape());
  if (!gradient.defined()) {
    check(output.numel() == 1, "{}: an output of shape {} is not one number; give the gradient to "
          "start from, or reduce it with sum() or mean()", op, output.shape());
    return ones(output.shape(), {.dtype = output.dtype(), .device = output.device()});
  }
  check(gradient.shape() == output.shape() && gradient.dtype() == output.dtype(),
        "{}: the gradient has shape {} {}, the output {} {}; they must be equal", op,
        gradient.shape(), gradient.dtype(), output.shape(), output.dtype());
  return gradient;
}

// A gradient that a user will see must be nobody else's, and laid out plainly.
Tensor own(const Tensor& g) {
  return g.requires_grad() || g.sole_owner() ? g.contiguous() : g.clone();
}

}  // namespace

void Tensor::backward(const Tensor& gradient, BackwardOptions options) const {
  Pass pass(options);
  pass.give(node(), seed_for("backward", *this, gradient));
  pass.run([](Node&, Tensor) {});
  const LeafLock lock;
  for (auto& [leaf, complete] : pass.leaves()) {  // all of them, or none if something threw
    if (leaf->abandoned) continue;
    complete = leaf->gradient.defined() ? add_gradients(leaf->gradient, std::move(complete))
                                        : own(complete);
  }
  for (auto& [leaf, complete] : pass.leaves()) {
    if (!leaf->abandoned) std::swap(leaf->gradient, complete);
  }
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
    pass.restrict_to(targets, outputs);
    for (size_t i = 0; i < outputs.size(); ++i) {
      const Tensor start = options.grad_outputs.empty() ? Tensor() : options.grad_outputs[i];
      pass.give(outputs[i].node(), seed_for("grad", outputs[i], start));
    }
    pass.run([&](Node& node, Tensor complete) {
      if (targets.contains(&node)) found[&node] = std::move(complete);
    });
    for (auto& [leaf, complete] : pass.leaves()) found[leaf.get()] = std::move(complete);
  }
  std::vector<Tensor> gradients;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const auto at = found.find(inputs[i].node().get());
    check(at != found.end() || options.allow_unused,
          "grad: the outputs do not depend on input {} of shape {}; "
          "with {{.allow_unused = true}} its gradient is undefined",
          i, inputs[i].shape());
    gradients.push_back(at == found.end() ? Tensor() : own(at->second));
  }
  return gradients;
}

}  // namespace regrad

#include "ops/transform.h"

#include <unordered_set>

#include "ops/dispatch.h"
#include "ops/ops.h"

namespace regrad {
namespace {

// Inputs with nodes of their own, at which a graph can be told to end.
std::vector<Tensor> with_own_nodes(const std::vector<Tensor>& inputs) {
  std::vector<Tensor> own;
  for (const Tensor& x : inputs) {
    own.push_back(
        x.defined() ? record("input", detached(x), {{x, [](const Tensor& g) { return g; }}}) : x);
  }
  return own;
}

// A tensor at the place of a node in the graph, without its numbers.
Tensor stand_in(const Ref<Node>& node, Device device) {
  const InsideOp guard;
  const Tensor zero = zeros({}, {.dtype = node->dtype, .device = device});
  Tensor x = detached(expand(zero, node->shape));
  x.body().node = node;
  return x;
}

// What f held: the nodes made before `first`, and leaves, that y was computed from beside `own`.
std::vector<Tensor> held_behind(const Tensor& y, const std::vector<Tensor>& own, uint64_t first) {
  std::unordered_set<const Node*> seen;
  for (const Tensor& x : own) {
    if (x.defined() && x.requires_grad()) seen.insert(x.node().get());
  }
  std::vector<Tensor> held;
  std::vector<Ref<Node>> waiting = {y.node()};
  while (!waiting.empty()) {
    const Ref<Node> node = std::move(waiting.back());
    waiting.pop_back();
    if (!seen.insert(node.get()).second) continue;
    if (node->is_leaf() || node->number < first) {
      held.push_back(stand_in(node, y.device()));
      continue;
    }
    for (const Edge& edge : *node) {
      if (edge.input) waiting.push_back(edge.input);
    }
  }
  return held;
}

// Whether all numbers are the same; NaN is itself.
bool same_numbers(const Tensor& a, const Tensor& b) {
  const InsideOp guard;
  return a.shape() == b.shape() && all((a == b) | ((a != a) & (b != b))).item<bool>();
}

// The gradients of what was passed to f, then of what f held, by calling f again.
struct Recompute {
  Function f;
  std::vector<Tensor> inputs, held;
  std::vector<Draw> draws;

  std::vector<Tensor> operator()(const Tensor& g, Needed needed, const Tensor& output) const {
    const bool recorded = GradMode::enabled();
    const InsideOp on(true);
    std::vector<Tensor> own = with_own_nodes(inputs), wanted, found(needed_count());
    Tensor y;
    {
      std::vector<Draw> again = draws;
      const DrawScope scope(again, true);
      y = f(own);
    }
    check(same_numbers(y, output),
          "checkpoint: f gave other numbers when backward() called it again; what it computes with "
          "must not change in between");
    own.insert(own.end(), held.begin(), held.end());
    for (size_t i = 0; i < own.size(); ++i) {
      if (needed[i]) wanted.push_back(own[i]);
    }
    std::vector<Tensor> gradients = grad({y}, wanted,
                                         {.grad_outputs = {g},
                                          .create_graph = recorded,
                                          .allow_unused = true,
                                          .retain_graph = true,
                                          .stop_at_inputs = true});
    size_t next = 0;
    for (size_t i = 0; i < own.size(); ++i) {
      if (!needed[i]) continue;
      found[i] = std::move(gradients[next++]);
      if (!found[i].defined()) found[i] = zeros_like(own[i]);
    }
    return found;
  }
  size_t needed_count() const { return inputs.size() + held.size(); }
};

// How output changes when each of `moved`, which it was computed from, moves along its direction.
Tensor tangent_of(const Tensor& output, const std::vector<Tensor>& moved,
                  const std::vector<Tensor>& along) {
  Tensor u = zeros_like(output).set_requires_grad(true);
  const std::vector<Tensor> pulled = grad(
      {output}, moved,
      {.grad_outputs = {u}, .create_graph = true, .allow_unused = true, .stop_at_inputs = true});
  std::vector<Tensor> outputs, directions;
  for (size_t i = 0; i < pulled.size(); ++i) {
    if (!pulled[i].defined() || !pulled[i].requires_grad()) continue;
    outputs.push_back(pulled[i]);
    directions.push_back(along[i]);
  }
  if (outputs.empty()) return zeros_like(output);
  const Tensor tangent = grad(
      outputs, {u}, {.grad_outputs = directions, .create_graph = true, .allow_unused = true})[0];
  return tangent.defined() ? tangent : zeros_like(output);
}

}  // namespace

Tensor checkpoint(const Function& f, const std::vector<Tensor>& inputs) {
  const std::vector<Tensor> own = with_own_nodes(inputs);
  const uint64_t first = Node::leaf(scalar(0))->number;  // later than all that is there
  std::vector<Draw> draws;
  Tensor y;
  {
    const DrawScope scope(draws, false);
    y = f(own);
  }
  if (!y.requires_grad()) return y;
  std::vector<Tensor> held = held_behind(y, own, first), all_inputs = inputs;
  all_inputs.insert(all_inputs.end(), held.begin(), held.end());
  return record("checkpoint", detached(y), all_inputs,
                Recompute{f, inputs, std::move(held), std::move(draws)});
}

Jvp jvp(const Function& f, const std::vector<Tensor>& inputs, const std::vector<Tensor>& tangents) {
  check(inputs.size() == tangents.size(), "jvp: {} inputs and {} tangents", inputs.size(),
        tangents.size());
  const GradMode on(true);
  const uint64_t first = Node::leaf(scalar(0))->number;
  std::vector<Tensor> moved, along, all_inputs = inputs;
  bool in_graph = false;
  for (size_t i = 0; i < inputs.size(); ++i) {
    check(inputs[i].shape() == tangents[i].shape() && inputs[i].dtype() == tangents[i].dtype(),
          "jvp: input {} is {} {}, its tangent {} {}", i, inputs[i].shape(), inputs[i].dtype(),
          tangents[i].shape(), tangents[i].dtype());
    if (!is_float(inputs[i].dtype())) continue;
    in_graph = in_graph || inputs[i].requires_grad() || tangents[i].requires_grad();
    const Tensor base =
        inputs[i].requires_grad() ? inputs[i] : detached(inputs[i]).set_requires_grad(true);
    all_inputs[i] = record("input", detached(base), {{base, [](const Tensor& g) { return g; }}});
    moved.push_back(all_inputs[i]);
    along.push_back(tangents[i]);
  }
  const Tensor output = f(all_inputs);
  if (moved.empty() || !output.requires_grad()) return {output, zeros_like(output)};
  const Tensor tangent = tangent_of(output, moved, along);
  in_graph = in_graph || !held_behind(output, all_inputs, first).empty();
  return in_graph ? Jvp{output, tangent} : Jvp{detached(output), detached(tangent)};
}

}  // namespace regrad

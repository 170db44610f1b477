// What a node does after it was recorded: checks, forgets, and goes.
#include "autograd/node.h"

#include "autograd/check.h"

namespace regrad {

std::string Node::called() const {
  if (!is_leaf()) return name;
  return parameter.empty() ? "leaf" : parameter;
}

void Node::check_saved() const {
  for (const Saved& one : saved) {
    check(one.storage->version() == one.version,
          "backward of {}: a tensor of shape {} that it computed with or from was written in place "
          "since (version {} then, {} now); write after backward(), or record a clone()",
          name, shape, one.version, one.storage->version());
  }
}

void Node::forget() {
  spent = true;
  derivative_of_all.reset();
  output = Tensor();
  saved.clear();
  for (Edge& edge : *this) {
    edge.derivative.reset();
    edge.input = Ref<Node>();
  }
}

// Freeing a node can free its inputs' nodes: those wait in a list, so that no chain of any length
// becomes a recursion.
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

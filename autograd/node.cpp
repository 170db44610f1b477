// What a node does after it was recorded: checks, forgets, and goes.
#include "autograd/node.h"

#include <pthread.h>

#include <algorithm>
#include <mutex>

#include "autograd/check.h"

namespace regrad {

std::string Node::called() const {
  if (!is_leaf()) return name;
  return parameter.empty() ? "leaf" : parameter;
}

namespace {

// The tensor under a view: the oldest in the graph with the view's storage; where that is not in the
// graph, the view without what expand() repeated.
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
    if (body->storage->version() == version) [[likely]] continue;
    fail("backward of {}: {}, which it computed with or from, was written in place since (version {} "
         "then, {} now); write after backward(), or record a clone()",
         name, written_tensor(*body), version, body->storage->version());
  }
}

namespace {

constinit std::mutex leaves_change;
constinit thread_local bool changing_leaves = false;

// A child of fork() is alone: nobody else could open the lock there.
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

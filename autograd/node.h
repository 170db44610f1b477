// Node: one step of the recorded computation, and record(), which every op ends with.
// A node knows its inputs' nodes and, for each, the derivative that carries a gradient back.
#pragma once

#include <initializer_list>
#include <span>

#include "autograd/closure.h"

namespace regrad {

struct Input {
  Tensor tensor;
  Derivative derivative;
};

// Says that `output` was computed from the inputs, and how gradients flow back to them. `name` must
// outlive the graph (a literal). Nothing is kept under NoGrad, or when no input needs a gradient.
Tensor record(const char* name, Tensor output, std::initializer_list<Input> inputs);
Tensor record(const char* name, Tensor output, const std::vector<Input>& inputs);
Tensor record(const char* name, Tensor output, const std::vector<Tensor>& inputs,
              DerivativeOfAll derivative);

struct Saved {  // what a closure holds on to, and its storage's version at that time
  Ref<TensorBody> body;
  uint32_t version;
};

struct Edge {
  Ref<Node> input;        // none: this input needs no gradient
  Derivative derivative;  // none: derivative_of_all serves every edge
};

class Node : public Counted {
 public:
  static Ref<Node> leaf(const Tensor& tensor);  // holds the gradient of a tensor that a user made
  // The node of an op's output: what record() makes.
  static Ref<Node> of(const char* name, const Tensor& output, std::span<const Input> inputs);
  static Ref<Node> of(const char* name, const Tensor& output, const std::vector<Tensor>& inputs,
                      const DerivativeOfAll& derivative);
  // Gives a reference back; the last one frees the node.
  void release() {
    if (drop()) destroy();
  }

  bool is_leaf() const { return name == nullptr; }  // not made by an op
  std::string called() const;  // "softmax"; a parameter's own name; "leaf"
  // One edge for each input of the op, in their order.
  Edge* begin() { return reinterpret_cast<Edge*>(this + 1); }
  Edge* end() { return begin() + edge_count; }
  const Edge* begin() const { return reinterpret_cast<const Edge*>(this + 1); }
  const Edge* end() const { return begin() + edge_count; }
  // The edge of input i.
  const Edge& edge(size_t i) const { return reinterpret_cast<const Edge*>(this + 1)[i]; }
  void check_saved() const;  // an Error if a saved tensor was written since
  void forget();             // drops closures and edges: what backward does without retain_graph
  void abandon();            // of a leaf: its tensor is gone, and with it who could ask for a gradient

  const char* const name;  // of the op; nullptr for a leaf
  uint64_t number;         // counts up at birth: an input's is smaller than its output's
  const Shape shape;       // of the tensor that this node made
  const DType dtype;
  const Storage* const storage;  // that tensor's: only to be compared with one that is alive
  bool spent = false;  // a backward pass has used this node and dropped its closures
  const size_t edge_count;
  Tensor output;  // outside the graph; kept only where a derivative wants it
  std::vector<Saved> saved;
  DerivativeOfAll derivative_of_all;
  Tensor gradient;        // of a leaf; changed under a LeafLock
  bool abandoned = false;
  std::string parameter;  // of a leaf: its dotted name
  Tensor pending;         // during a backward pass: the sum of what has arrived so far
  // The pass that `pending` belongs to. A leaf can be in the passes of many threads, so each pass keeps
  // its own sum, and this is the youngest that has one: at `place` in its list.
  std::atomic<uint64_t> pass{0};
  std::atomic<uint32_t> place{0};

 private:
  Node(const char* op, const Tensor& tensor, size_t edges) noexcept;
  ~Node();
  static Ref<Node> make(const char* op, const Tensor& tensor, size_t edges);
  void connect(Edge& edge, const Tensor& input);
  void keep(const Tensor& kept);
  void destroy();

  Node* next_dead_ = nullptr;
};

// Held while the gradients of leaves change, by one thread at a time; within one, another is nothing.
class LeafLock {
 public:
  LeafLock();  // waits for the thread that holds it
  ~LeafLock();
  LeafLock(const LeafLock&) = delete;
  LeafLock& operator=(const LeafLock&) = delete;

 private:
  const bool outermost_;
};

inline bool Needed::operator[](size_t input) const {
  return static_cast<bool>(node_.edge(input).input);
}

// What the engine asks of the ops (ops/arithmetic.cpp): the sum of two gradients, written into one
// that nobody else can see.
Tensor add_gradients(Tensor sum, Tensor gradient);

}  // namespace regrad

// The graph. Every op ends with record() (or record_fused(), ops/dispatch.h, which calls it). It
// makes a Node: one step of the computation. A node has an Edge to each input, with the derivative
// that turns the gradient of the op's output into the gradient of that input. backward.cpp walks
// the edges. (On a first reading, take Closure for a std::function, read what is said above it, and
// go on at `using Derivative`.)
#pragma once

#include <initializer_list>
#include <memory>
#include <new>
#include <span>
#include <type_traits>

#include "autograd/tensor.h"

namespace regrad {

// Which inputs of an op want a gradient: needed[i].
class Needed {
 public:
  // Of the op that made this node.
  explicit Needed(const Node& node) : node_(node) {}
  bool operator[](size_t input) const;

 private:
  const Node& node_;
};

// A derivative, stored by value: inline where it is small, else in a block of its own.
//   Output. A derivative may take (g) or (g, output). exp's is g * output; one that captured the
//   output instead would keep itself alive: output -> node -> derivative -> output. So a node keeps
//   the output of an op whose derivative wants_output(), outside the graph, and the engine hands it
//   over. In place. A derivative with a member add_into(sum, g) can add its result to a gradient
//   that exists already: then a hundred slices of one tensor, or a weight used a hundred times,
//   take one buffer.
template <class Result, class... Args>
class Closure {
 public:
  template <class F>
  static constexpr bool takes_output =
      std::is_invocable_r_v<Result, const F&, Args..., const Tensor&>;

  Closure() = default;  // none
  // Stores f, callable as f(args...) or f(args..., output).
  template <class F>
  requires(!std::same_as<F, Closure>) &&
      (takes_output<F> || std::is_invocable_r_v<Result, const F&, Args...>)Closure(F f) {
    make<F>(inline_, std::move(f));
    vtable_ = &vtable_for<F>;
  }
  Closure(const Closure& other) { assign(other); }
  Closure& operator=(const Closure&) = delete;
  ~Closure() { reset(); }

  void assign(const Closure& other) {  // to an empty one, which stays empty if the copy throws
    if (other.vtable_ == nullptr) return;
    other.vtable_->copy(inline_, other.inline_);
    vtable_ = other.vtable_;
  }
  void reset() {  // frees what it holds; then it is none
    if (vtable_ != nullptr) std::exchange(vtable_, nullptr)->destroy(inline_);
  }
  explicit operator bool() const { return vtable_ != nullptr; }
  Result operator()(Args... args, const Tensor& output) const {
    return vtable_->call(inline_, args..., output);
  }
  // What its function takes, and whether it has add_into().
  bool wants_output() const { return vtable_ != nullptr && vtable_->wants_output; }
  bool can_add() const { return vtable_->add_into != nullptr; }
  // sum += its gradient for g, in place; only where can_add().
  void add_into(Tensor& sum, const Tensor& g) const { vtable_->add_into(inline_, sum, g); }

 private:
  static constexpr size_t inline_size = 48;
  template <class F>
  static constexpr bool fits = sizeof(F) <= inline_size && alignof(F) <= alignof(void*);
  template <class F>
  static const F& get(const void* place) {
    if constexpr (fits<F>)
      return *static_cast<const F*>(place);
    else
      return **static_cast<F* const*>(place);
  }
  template <class F, class From>
  static void make(void* place, From&& from) {
    if constexpr (fits<F>) {
      new (place) F(std::forward<From>(from));
    } else {
      void* block = allocate_block(sizeof(F));
      try {
        new (place) F*(new (block) F(std::forward<From>(from)));
      } catch (...) {
        free_block(block, sizeof(F));
        throw;
      }
    }
  }
  struct VTable {
    Result (*call)(const void*, Args..., const Tensor& output);
    void (*copy)(void*, const void*);
    void (*destroy)(void*);
    void (*add_into)(const void*, Tensor&, const Tensor&);
    bool wants_output;
  };
  template <class F>
  static constexpr auto adder() -> void (*)(const void*, Tensor&, const Tensor&) {
    if constexpr (requires(const F& f, Tensor& sum) { f.add_into(sum, sum); }) {
      return
          [](const void* place, Tensor& sum, const Tensor& g) { get<F>(place).add_into(sum, g); };
    } else {
      return nullptr;
    }
  }
  template <class F>
  static constexpr VTable vtable_for = {
      [](const void* place, Args... args, const Tensor& output) -> Result {
        if constexpr (takes_output<F>)
          return get<F>(place)(args..., output);
        else
          return get<F>(place)(args...);
      },
      [](void* to, const void* from) { make<F>(to, get<F>(from)); },
      [](void* place) {
        const F& f = get<F>(place);
        f.~F();
        if constexpr (!fits<F>) free_block(const_cast<F*>(&f), sizeof(F));
      },
      adder<F>(), takes_output<F>};

  const VTable* vtable_ = nullptr;
  alignas(void*) unsigned char inline_[inline_size];
};

// From the gradient of the output to the gradient of ONE input: (g) or (g, output).
using Derivative = Closure<Tensor, const Tensor&>;

// The gradients of all inputs by one call: (g, needed) or (g, needed, output), one for each.
using DerivativeOfAll = Closure<std::vector<Tensor>, const Tensor&, Needed>;

struct Input {
  Tensor tensor;
  Derivative derivative;
};

// Says that `output` was computed from the inputs, and how gradients flow back to them: by a
// derivative for each, or by one for all where one computation gives them all. `name` must outlive
// the graph (a literal). Returns the output; no node is made under NoGrad, or when no input
// requires a gradient.
Tensor record(const char* name, Tensor output, std::initializer_list<Input> inputs);
Tensor record(const char* name, Tensor output, const std::vector<Input>& inputs);
Tensor record(const char* name, Tensor output, const std::vector<Tensor>& inputs,
              DerivativeOfAll derivative);

// A tensor that a derivative has captured, and the version of its storage then. Every write in
// place adds 1 to the version; if the two differ in backward, the derivative would compute with
// numbers that the forward pass never saw.
struct Saved {
  Ref<TensorBody> body;
  uint32_t version;
};

// From a node to one of its inputs.
struct Edge {
  Ref<Node> input;        // none: this input requires no gradient, or the graph is freed
  Derivative derivative;  // none: there is no input, or derivative_of_all is used
};

class Node : public Counted {
 public:
  static uint64_t newest_number();              // of the node that this thread made last
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
  std::string called() const;                       // "softmax"; a parameter's own name; "leaf"
  // One edge for each input of the op, in their order.
  Edge* begin() { return reinterpret_cast<Edge*>(this + 1); }
  Edge* end() { return begin() + edge_count; }
  const Edge* begin() const { return reinterpret_cast<const Edge*>(this + 1); }
  const Edge* end() const { return begin() + edge_count; }
  // The edge of input i.
  const Edge& edge(size_t i) const { return reinterpret_cast<const Edge*>(this + 1)[i]; }
  void check_saved() const;  // an Error if a saved tensor was written since
  void release_saved();      // frees closures and edges, as backward() does without retain_graph
  void abandon();            // of a leaf whose tensor is gone: nobody can ask for its gradient

  const char* const name;  // of the op; nullptr for a leaf
  uint64_t number;         // counts up as nodes are made: an input's is less than its output's
  const Shape shape;       // of the tensor that this node made
  const DType dtype;
  const Storage* const storage;  // that tensor's, for comparing addresses only: it may be gone
  bool released =
      false;  // backward() has been here without retain_graph, and called release_saved()
  // Of a leaf: a softmax ignores what it is added to (note_shift), so that its gradient is what
  // rounding leaves of 0, unless it is used elsewhere too.
  std::atomic<bool> is_shift{false};
  std::atomic<bool> by_rows{false};  // of a leaf: an op took rows of it, as embedding() does
  const size_t edge_count;
  // What few nodes have; made when it is first asked for.
  struct Extras {
    std::vector<std::shared_ptr<GradientHook>> hooks;  // empty functions: removed
    bool retains_grad = false;  // not of a leaf: backward() adds to `gradient`, as to a leaf's
  };
  Extras& extras();  // makes them where there are none
  Extras* existing_extras() const { return extras_.load(std::memory_order_acquire); }  // or null
  Tensor output;  // outside the graph; kept only if a derivative wants_output()
  std::vector<Saved> saved;
  DerivativeOfAll derivative_of_all;
  Tensor gradient;  // of a leaf, or with retain_grad(): its .grad; changed under a LeafLock
  bool abandoned = false;
  std::string parameter;  // of a leaf: its dotted name
  Tensor pending;         // during a backward pass: the sum of the contributions so far
  // The pass that `pending` belongs to. Passes of several threads may meet at a leaf, so each pass
  // keeps its own sum for it; this is the latest pass that has one, and `place` is its index there.
  std::atomic<uint64_t> pass{0};
  std::atomic<uint32_t> place{0};
  // For audit(): the number of the youngest node that has it as input, and the op that used it last
  // without a node, under NoGrad or as detach() does.
  std::atomic<uint64_t> used_by{0};
  std::atomic<const char*> unrecorded_by{nullptr};

 private:
  Node(const char* op, const Tensor& tensor, size_t edges) noexcept;
  ~Node();
  static Ref<Node> make(const char* op, const Tensor& tensor, size_t edges);
  void connect(Edge& edge, const Tensor& input);
  void keep_output(const Tensor& tensor);
  void destroy();

  Node* next_dead_ = nullptr;
  std::atomic<Extras*> extras_{nullptr};
};

// Held by one thread at a time while the gradients of leaves change. The same thread may nest them.
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

// The sum of two gradients (ops/arithmetic.cpp), in place where one of them is held by nobody else.
Tensor add_gradients(Tensor sum, Tensor gradient);

}  // namespace regrad

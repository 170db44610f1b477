// Node: one step of the recorded computation, and record(), which every op ends with.
// A node knows its inputs' nodes and, for each, the derivative that carries a gradient back.
#pragma once

#include <cstring>
#include <initializer_list>
#include <new>
#include <type_traits>

#include "autograd/tensor.h"

namespace regrad {

// Which inputs of an op want a gradient: needed[i].
class Needed {
 public:
  explicit Needed(const Node& node) : node_(node) {}
  bool operator[](size_t input) const;

 private:
  const Node& node_;
};

// A function kept by value: small ones inline, others in a block of their own.
template <class Signature>
class Closure;

template <class R, class... Args>
class Closure<R(Args...)> {
 public:
  Closure() = default;
  template <class F>
    requires std::is_invocable_r_v<R, const F&, Args...> && (!std::same_as<F, Closure>)
  Closure(F f) : table_(&table_of<F>) {
    if constexpr (fits<F>) {
      new (inline_) F(std::move(f));
    } else {
      new (inline_) F*(new (allocate_block(sizeof(F))) F(std::move(f)));
    }
  }
  Closure(const Closure& other) : table_(other.table_) {
    if (table_ != nullptr) table_->copy(inline_, other.inline_);
  }
  Closure& operator=(const Closure&) = delete;
  ~Closure() { reset(); }

  void reset() {
    if (table_ != nullptr) std::exchange(table_, nullptr)->destroy(inline_);
  }
  explicit operator bool() const { return table_ != nullptr; }
  R operator()(Args... args) const { return table_->call(inline_, std::forward<Args>(args)...); }
  // Functions that can add their result into a sum, without making it first, have add_into().
  bool can_add() const { return table_->add_into != nullptr; }
  void add_into(Tensor& sum, const Tensor& g) const { table_->add_into(inline_, sum, g); }

 private:
  static constexpr size_t room = 48;
  template <class F>
  static constexpr bool fits = sizeof(F) <= room && alignof(F) <= alignof(void*);
  template <class F>
  static const F& get(const void* at) {
    if constexpr (fits<F>) return *static_cast<const F*>(at);
    else return **static_cast<F* const*>(at);
  }
  struct Table {
    R (*call)(const void*, Args...);
    void (*copy)(void*, const void*);
    void (*destroy)(void*);
    void (*add_into)(const void*, Tensor&, const Tensor&);
  };
  template <class F>
  static constexpr auto adder() -> void (*)(const void*, Tensor&, const Tensor&) {
    if constexpr (requires(const F& f, Tensor& sum) { f.add_into(sum, sum); }) {
      return [](const void* at, Tensor& sum, const Tensor& g) { get<F>(at).add_into(sum, g); };
    } else {
      return nullptr;
    }
  }
  template <class F>
  static constexpr Table table_of = {
      [](const void* at, Args... args) -> R { return get<F>(at)(std::forward<Args>(args)...); },
      [](void* to, const void* from) {
        if constexpr (fits<F>) new (to) F(get<F>(from));
        else new (to) F*(new (allocate_block(sizeof(F))) F(get<F>(from)));
      },
      [](void* at) {
        const F& f = get<F>(at);
        f.~F();
        if constexpr (!fits<F>) free_block(const_cast<F*>(&f), sizeof(F));
      },
      adder<F>()};

  const Table* table_ = nullptr;
  alignas(void*) unsigned char inline_[room];
};

// From the gradient of the output to the gradient of ONE input: (g) or (g, output). A function
// object with add_into(sum, g) is asked to add its gradient to a sum in place where that can be done:
// many slices of one tensor then cost no more than the tensor.
// The output is handed over by the engine: a closure that held it would keep itself alive.
class Derivative {
 public:
  Derivative() = default;
  template <class F>
    requires std::is_invocable_r_v<Tensor, const F&, const Tensor&>
  Derivative(F f) : closure_(OfGradient<F>{std::move(f)}) {}
  template <class F>
    requires std::is_invocable_r_v<Tensor, const F&, const Tensor&, const Tensor&>
  Derivative(F f) : closure_(std::move(f)), wants_output_(true) {}

  bool wants_output() const { return wants_output_; }
  void reset() { closure_.reset(); }
  explicit operator bool() const { return static_cast<bool>(closure_); }
  Tensor operator()(const Tensor& g, const Tensor& y) const { return closure_(g, y); }
  bool can_add() const { return closure_.can_add(); }
  void add_into(Tensor& sum, const Tensor& g) const { closure_.add_into(sum, g); }

 private:
  template <class F>
  struct OfGradient {
    F f;
    Tensor operator()(const Tensor& g, const Tensor&) const { return f(g); }
    void add_into(Tensor& sum, const Tensor& g) const
      requires requires { f.add_into(sum, g); }
    {
      f.add_into(sum, g);
    }
  };
  Closure<Tensor(const Tensor&, const Tensor&)> closure_;
  bool wants_output_ = false;
};

// The gradients of all inputs out of one pass: (g, needed) or (g, needed, output), one for each.
class DerivativeOfAll {
 public:
  DerivativeOfAll() = default;
  template <class F>
    requires std::is_invocable_r_v<std::vector<Tensor>, const F&, const Tensor&, Needed>
  DerivativeOfAll(F f)
      : closure_([f = std::move(f)](const Tensor& g, Needed needed, const Tensor&) {
          return f(g, needed);
        }) {}
  template <class F>
    requires std::is_invocable_r_v<std::vector<Tensor>, const F&, const Tensor&, Needed,
                                   const Tensor&>
  DerivativeOfAll(F f) : closure_(std::move(f)), wants_output_(true) {}

  bool wants_output() const { return wants_output_; }
  void reset() { closure_.reset(); }
  explicit operator bool() const { return static_cast<bool>(closure_); }
  std::vector<Tensor> operator()(const Tensor& g, Needed needed, const Tensor& y) const {
    return closure_(g, needed, y);
  }

 private:
  Closure<std::vector<Tensor>(const Tensor&, Needed, const Tensor&)> closure_;
  bool wants_output_ = false;
};

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

struct Saved {  // a storage that a closure holds on to, and its version at that time
  Ref<Storage> storage;
  uint32_t version;
};

struct Edge {
  Ref<Node> input;        // none: this input needs no gradient
  Derivative derivative;  // none: derivative_of_all serves every edge
};

class Node : public Counted {
 public:
  static Ref<Node> leaf(const Tensor& tensor);  // holds the gradient of a tensor that a user made
  static Ref<Node> of(const char* name, const Tensor& output, const Input* inputs, size_t count);
  static Ref<Node> of(const char* name, const Tensor& output, const std::vector<Tensor>& inputs,
                      const DerivativeOfAll& derivative);
  void release() {
    if (drop()) destroy();
  }

  bool is_leaf() const { return name == nullptr; }
  std::string called() const;  // "softmax"; a parameter's own name; "leaf"
  Edge* begin() { return reinterpret_cast<Edge*>(this + 1); }
  Edge* end() { return begin() + edge_count; }
  const Edge& edge(size_t i) const { return reinterpret_cast<const Edge*>(this + 1)[i]; }
  void check_saved() const;  // an Error if a saved tensor was written since
  void forget();             // drops closures and edges: what backward does without retain_graph

  const char* const name;  // of the op; nullptr for a leaf
  uint64_t number;         // counts up at birth: an input's is smaller than its output's
  const Shape shape;       // of the tensor that this node made
  const DType dtype;
  bool spent = false;  // a backward pass has used this node and dropped its closures
  const size_t edge_count;
  Tensor output;  // outside the graph; kept only where a derivative wants it
  std::vector<Saved> saved;
  DerivativeOfAll derivative_of_all;
  Tensor gradient;        // of a leaf
  std::string parameter;  // of a leaf: its dotted name
  Tensor pending;         // during a backward pass: the sum of what has arrived so far
  uint64_t pass = 0;      // the pass that `pending` belongs to

 private:
  Node(const char* op, const Tensor& tensor, size_t edges);
  ~Node();
  static Ref<Node> make(const char* op, const Tensor& tensor, size_t edges);
  void connect(Edge& edge, const Tensor& input);
  void destroy();

  Node* next_dead_ = nullptr;
};

inline bool Needed::operator[](size_t input) const {
  return static_cast<bool>(node_.edge(input).input);
}

// What the engine asks of the ops (ops/accumulate.cpp): the sum of two gradients, written into the
// first when nobody else can see it.
Tensor add_gradients(Tensor sum, const Tensor& gradient);

}  // namespace regrad

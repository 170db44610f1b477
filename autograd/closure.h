// Derivatives as values: what an op gives to record(), and a node keeps.
#pragma once

#include <new>
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

// A function kept by value: small ones inline, others in a block of their own. It is called with what
// is given and the output of its node; it may take the output or leave it. A function object with
// add_into(sum, g) is asked to add its gradient to a sum in place where that can be done: many slices
// of one tensor then cost no more than the tensor, and a weight that many products share gathers its
// gradient within them.
// The output is handed over by the engine: a closure that held it would keep itself alive.
template <class Result, class... Given>
class Closure {
 public:
  template <class F>
  static constexpr bool takes_output =
      std::is_invocable_r_v<Result, const F&, Given..., const Tensor&>;

  Closure() = default;  // none
  // Keeps f, which is called as above.
  template <class F>
    requires(!std::same_as<F, Closure>) &&
            (takes_output<F> || std::is_invocable_r_v<Result, const F&, Given...>)
  Closure(F f) {
    make<F>(inline_, std::move(f));
    table_ = &table_of<F>;
  }
  Closure(const Closure& other) { assign(other); }
  Closure& operator=(const Closure&) = delete;
  ~Closure() { reset(); }

  void assign(const Closure& other) {  // to an empty one, which stays empty if the copy throws
    if (other.table_ == nullptr) return;
    other.table_->copy(inline_, other.inline_);
    table_ = other.table_;
  }
  void reset() {  // frees what it holds; then it is none
    if (table_ != nullptr) std::exchange(table_, nullptr)->destroy(inline_);
  }
  explicit operator bool() const { return table_ != nullptr; }
  Result operator()(Given... given, const Tensor& output) const {
    return table_->call(inline_, given..., output);
  }
  // What its function takes, and whether it has add_into().
  bool wants_output() const { return table_ != nullptr && table_->wants_output; }
  bool can_add() const { return table_->add_into != nullptr; }
  // sum += its gradient for g, in place; only where can_add().
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
  template <class F, class From>
  static void make(void* at, From&& from) {
    if constexpr (fits<F>) {
      new (at) F(std::forward<From>(from));
    } else {
      void* block = allocate_block(sizeof(F));
      try {
        new (at) F*(new (block) F(std::forward<From>(from)));
      } catch (...) {
        free_block(block, sizeof(F));
        throw;
      }
    }
  }
  struct Table {
    Result (*call)(const void*, Given..., const Tensor& output);
    void (*copy)(void*, const void*);
    void (*destroy)(void*);
    void (*add_into)(const void*, Tensor&, const Tensor&);
    bool wants_output;
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
      [](const void* at, Given... given, const Tensor& output) -> Result {
        if constexpr (takes_output<F>) return get<F>(at)(given..., output);
        else return get<F>(at)(given...);
      },
      [](void* to, const void* from) { make<F>(to, get<F>(from)); },
      [](void* at) {
        const F& f = get<F>(at);
        f.~F();
        if constexpr (!fits<F>) free_block(const_cast<F*>(&f), sizeof(F));
      },
      adder<F>(), takes_output<F>};

  const Table* table_ = nullptr;
  alignas(void*) unsigned char inline_[room];
};

// From the gradient of the output to the gradient of ONE input: (g) or (g, output).
using Derivative = Closure<Tensor, const Tensor&>;

// The gradients of all inputs out of one pass: (g, needed) or (g, needed, output), one for each.
using DerivativeOfAll = Closure<std::vector<Tensor>, const Tensor&, Needed>;

}  // namespace regrad

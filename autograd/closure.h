// Derivatives as values: what an op gives to record(), and a node keeps.
#pragma once

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
    requires std::is_invocable_r_v<R, const F&, Args...> && (!std::derived_from<F, Closure>)
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
  bool wants_output() const { return table_ != nullptr && table_->wants_output; }
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
      adder<F>(), !requires { typename F::WithoutOutput; }};

  const Table* table_ = nullptr;
  alignas(void*) unsigned char inline_[room];
};

// From the gradient of the output to the gradient of ONE input: (g) or (g, output). A function
// object with add_into(sum, g) is asked to add its gradient to a sum in place where that can be done:
// many slices of one tensor then cost no more than the tensor, and a weight that many products share
// gathers its gradient within them.
// The output is handed over by the engine: a closure that held it would keep itself alive.
class Derivative : public Closure<Tensor(const Tensor&, const Tensor&)> {
 public:
  using Closure::Closure;
  template <class F>
    requires std::is_invocable_r_v<Tensor, const F&, const Tensor&>
  Derivative(F f) : Closure(OfGradient<F>{std::move(f)}) {}

 private:
  template <class F>
  struct OfGradient {
    using WithoutOutput = void;
    F f;
    Tensor operator()(const Tensor& g, const Tensor&) const { return f(g); }
    void add_into(Tensor& sum, const Tensor& g) const
      requires requires { f.add_into(sum, g); }
    {
      f.add_into(sum, g);
    }
  };
};

// The gradients of all inputs out of one pass: (g, needed) or (g, needed, output), one for each.
class DerivativeOfAll : public Closure<std::vector<Tensor>(const Tensor&, Needed, const Tensor&)> {
 public:
  using Closure::Closure;
  template <class F>
    requires std::is_invocable_r_v<std::vector<Tensor>, const F&, const Tensor&, Needed>
  DerivativeOfAll(F f) : Closure(OfGradient<F>{std::move(f)}) {}

 private:
  template <class F>
  struct OfGradient {
    using WithoutOutput = void;
    F f;
    std::vector<Tensor> operator()(const Tensor& g, Needed needed, const Tensor&) const {
      return f(g, needed);
    }
  };
};

}  // namespace regrad

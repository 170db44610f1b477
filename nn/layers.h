// The basic layers. Names, first values and defaults are PyTorch's. A layer made without a
// generator draws its first values from default_generator(); see init.h.
#pragma once

#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "autograd/tensor.h"
#include "nn/init.h"
#include "nn/module.h"

namespace regrad::nn {

struct LinearOptions {
  bool bias = true;
};

// y = x weightᵀ + bias: [.., in] -> [.., out]. First values are uniform in ±1/sqrt(in).
struct Linear {
  Tensor weight;  // [out, in]
  Tensor bias;    // [out]; undefined without one

  // in and out are 0 or more.
  Linear(int64_t in, int64_t out, LinearOptions options = {},
         Generator& generator = default_generator());
  Tensor operator()(const Tensor& x) const;
  void visit(auto&& each) {
    each("weight", weight);
    each("bias", bias);
  }
};

struct EmbeddingOptions {
  int64_t padding_idx = -1;  // this index gives zeros and learns nothing; -1: none
};

// Row index[..] of the weight: int64 [..] -> [.., dim]. First values are N(0, 1).
struct Embedding {
  Tensor weight;  // [count, dim]
  int64_t padding_idx;

  // count and dim are 0 or more; padding_idx is below count.
  Embedding(int64_t count, int64_t dim, EmbeddingOptions options = {},
            Generator& generator = default_generator());
  Tensor operator()(const Tensor& index) const;
  void visit(auto&& each) { each("weight", weight); }
};

struct LayerNormOptions {
  double eps = 1e-5;
};

// (x - mean) / sqrt(variance + eps) weight + bias over the last dimension, of size dim.
struct LayerNorm {
  Tensor weight, bias;  // [dim]
  double eps;

  // weight 1 and bias 0 at first.
  explicit LayerNorm(int64_t dim, LayerNormOptions options = {});
  Tensor operator()(const Tensor& x) const;
  void visit(auto&& each) {
    each("weight", weight);
    each("bias", bias);
  }
};

// In training each element is zero with chance p, and divided by 1 - p otherwise; in evaluation it
// stays as it is. The generator moves on with each call: the one thing that a call changes.
struct Dropout {
  double p;
  bool training = true;
  mutable Generator generator;

  explicit Dropout(double chance = 0.5);    // an Error unless chance is in [0, 1]
  Dropout(double chance, Generator& seed);  // a stream of its own, forked from seed
  Tensor operator()(const Tensor& x) const;
  void visit(auto&& each) {
    each("training", training);
    each("generator", generator);
  }
};

// The same for whole channels of [n, c, ..]: each is kept or dropped as one.
struct Dropout2d {
  double p;
  bool training = true;
  mutable Generator generator;

  explicit Dropout2d(double chance = 0.5);    // an Error unless chance is in [0, 1]
  Dropout2d(double chance, Generator& seed);  // a stream of its own, forked from seed
  Tensor operator()(const Tensor& x) const;
  void visit(auto&& each) {
    each("training", training);
    each("generator", generator);
  }
};

// Functions in the shape of layers, for Sequential: relu(x), gelu(x), tanh(x), sigmoid(x), silu(x).
struct ReLU {
  Tensor operator()(const Tensor& x) const;
  void visit(auto&&) {}
};
struct GELU {
  Tensor operator()(const Tensor& x) const;
  void visit(auto&&) {}
};
struct Tanh {
  Tensor operator()(const Tensor& x) const;
  void visit(auto&&) {}
};
struct Sigmoid {
  Tensor operator()(const Tensor& x) const;
  void visit(auto&&) {}
};
struct SiLU {
  Tensor operator()(const Tensor& x) const;
  void visit(auto&&) {}
};
// x where x > 0, else slope x.
struct LeakyReLU {
  double slope = 0.01;
  Tensor operator()(const Tensor& x) const;
  void visit(auto&&) {}
};
// softmax(x, dim).
struct Softmax {
  int64_t dim;
  Tensor operator()(const Tensor& x) const;
  void visit(auto&&) {}
};
// flatten(x, start, end): all but the first dimension become one.
struct Flatten {
  int64_t start = 1, end = -1;
  Tensor operator()(const Tensor& x) const;
  void visit(auto&&) {}
};
// x itself.
struct Identity {
  Tensor operator()(const Tensor& x) const { return x; }
  void visit(auto&&) {}
};

// Modules and functions from a tensor to a tensor, one after the other: Sequential(Linear(2, 8),
// ReLU(), Linear(8, 1)). They are kept by value and called "0", "1", .. in names.
class Sequential {
 public:
  // These steps, in this order.
  template <class... Steps>
  requires(sizeof...(Steps) != 1 || (!std::is_same_v<std::remove_cvref_t<Steps>, Sequential> &&
                                     ...)) explicit Sequential(Steps&&... steps) {
    (add(std::forward<Steps>(steps)), ...);
  }
  // One more at the end.
  template <class Function>
  Sequential& add(Function function) {
    steps_.emplace_back(std::make_unique<Held<Function>>(std::move(function)));
    return *this;
  }
  Tensor operator()(const Tensor& x) const;
  size_t size() const { return steps_.size(); }  // how many there are
  void visit(auto&& each) { each("", steps_); }

 private:
  struct Holder {
    virtual ~Holder() = default;
    virtual Tensor call(const Tensor& x) const = 0;
    virtual void visit(Visitor& each) = 0;
    virtual std::unique_ptr<Holder> copy() const = 0;
  };
  template <class Function>
  struct Held final : Holder {
    explicit Held(Function f) : function(std::move(f)) {}
    Tensor call(const Tensor& x) const override { return function(x); }
    void visit(Visitor& each) override {
      if constexpr (Module<Function>) function.visit(each);
    }
    std::unique_ptr<Holder> copy() const override { return std::make_unique<Held>(function); }
    Function function;
  };
  struct Step {
    explicit Step(std::unique_ptr<Holder> step) : held(std::move(step)) {}
    Step(const Step& other) : held(other.held->copy()) {}
    Step& operator=(const Step& other) {
      held = other.held->copy();
      return *this;
    }
    Step(Step&&) noexcept = default;
    Step& operator=(Step&&) noexcept = default;
    ~Step() = default;
    void visit(Visitor& each) { held->visit(each); }
    std::unique_ptr<Holder> held;
  };

  std::vector<Step> steps_;
};

}  // namespace regrad::nn

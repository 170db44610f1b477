// Observer: an object that the engine calls with what it does, for as long as the object lives:
// every op that its thread computes, and every step of a backward pass. Derive from it to look into
// a computation. While nobody observes, each op costs one branch.
#pragma once

#include <utility>
#include <vector>

#include "autograd/tensor.h"

namespace regrad {

class Observer {
 public:
  // From now on this thread's ops are observed; also by the observers that exist already.
  Observer() : outer_(std::exchange(current_, this)) {}
  virtual ~Observer();
  Observer(const Observer&) = delete;
  Observer& operator=(const Observer&) = delete;

  struct Op {
    const char* name;
    const std::vector<Tensor>& inputs;  // an argument that was left out is undefined
    const Tensor& output;
    const char* unrecorded;  // why the output has no node; nullptr: it has one
  };
  // After an op was computed. An Error thrown here leaves the op as if it had never been called.
  virtual void computed(const Op&) {}
  // In a backward pass: the gradient of this node's output is complete; its derivatives run next.
  virtual void took(const Node&, const Tensor& /*gradient*/) {}
  // A derivative of the node gave a contribution to the gradient of its input, and their sum so
  // far.
  virtual void gave(const Node&, size_t /*input*/, const Tensor& /*addend*/,
                    const Tensor& /*sum*/) {}
  // The node's derivatives have run.
  virtual void finished(const Node&) {}

  static bool is_observing() { return current_ != nullptr; }  // whether this thread is observed
  // Calls event(observer) for each of them, the latest first. Meanwhile nobody observes: an
  // observer's own ops are not shown to it.
  template <class Event>
  static void notify(const Event& event) {
    const Pause pause;
    for (Observer* one = pause.current; one != nullptr; one = one->outer_) event(*one);
  }

 private:
  struct Pause {
    Observer* const current = std::exchange(current_, nullptr);
    ~Pause() { current_ = current; }
  };

  Observer* outer_;
  static inline constinit thread_local Observer* current_ = nullptr;
};

}  // namespace regrad

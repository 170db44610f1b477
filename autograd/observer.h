// Observer: an object that the engine calls with what it does, for as long as the object lives:
// every op that its thread computes, and every step of a backward pass. Derive from it to look into
// a computation. While nobody observes, each op costs one branch.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "autograd/tensor.h"

namespace regrad {

class Observer {
 public:
  // From now on this thread's ops are observed; also by the observers that exist already.
  Observer() : outer_(std::exchange(current_, this)) {}
  virtual ~Observer() { leave(); }
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
  // Memory for a tensor was allocated: an op that is being computed began at the latest now.
  virtual void allocated(const Storage&) {}
  // A function of regrad throws an Error with this text.
  virtual void failed(const std::string& /*text*/) {}
  // An op is about to write this tensor in place.
  virtual void written(const char* /*op*/, const Tensor&) {}

  // backward() or grad() begins.
  virtual void started(const Tensor& /*output*/) {}
  virtual void ended() {}  // it has: the gradients are where the caller finds them
  // In a backward pass: the gradient of this node's output is complete; its derivatives run next.
  virtual void took(const Node&, const Tensor& /*gradient*/) {}
  // A derivative of the node gave a contribution to the gradient of its input, and their sum so
  // far.
  virtual void gave(const Node&, size_t /*input*/, const Tensor& /*addend*/,
                    const Tensor& /*sum*/) {}
  // The node's derivatives have run.
  virtual void finished(const Node&) {}

  // For errors: where in the user's program the op of this node was called, as "at toy.cpp:14 in
  // main"; empty where the observer does not know.
  virtual std::string made_at(const Node&) const { return {}; }
  virtual std::string written_at(const Storage&) const { return {}; }  // where it was last written
  // What the first observer that knows says; for an error's text: "" or ", at toy.cpp:14 in main".
  static std::string where_made(const Node& node);
  static std::string where_written(const Storage& storage);  // likewise

  static bool is_observing() { return current_ != nullptr; }  // whether this thread is observed
  // Calls event(observer) for each of them, the latest first. What an observer computes meanwhile
  // is not shown to anybody.
  template <class Event>
  static void notify(const Event& event) {
    if (notifying_) return;
    const Notifying scope;
    for (Observer *one = current_, *next; one != nullptr; one = next) {
      next = one->outer_;
      event(*one);
    }
  }

 protected:
  void leave();  // is called with no event from now on; once it is enough

 private:
  static inline constinit thread_local Observer* current_ = nullptr;
  static inline constinit thread_local bool notifying_ = false;
  struct Notifying {
    Notifying() { notifying_ = true; }
    ~Notifying() { notifying_ = false; }
  };

  Observer* outer_;
};

}  // namespace regrad

// Hooks: functions that are called with a tensor's gradient (Tensor::register_hook).
#pragma once

#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

namespace regrad {

class Tensor;

// Takes a gradient, which it must not write in place; gives the one to go on with, or an undefined
// tensor: the same.
using GradientHook = std::function<Tensor(const Tensor& gradient)>;

// A hook that returns nothing, and so changes nothing.
template <class F>
concept WatchingHook = std::is_void_v<std::invoke_result_t<F&, const Tensor&>>;

// Of a hook that was registered. It may go before or after the tensor, and leaves the hook in
// place.
class HookHandle {
 public:
  HookHandle() = default;  // of no hook
  // Of this one.
  explicit HookHandle(const std::shared_ptr<GradientHook>& hook) : hook_(hook) {}
  // The hook is not called any more. A second call does nothing.
  void remove() {
    if (const std::shared_ptr<GradientHook> hook = hook_.lock()) *hook = nullptr;
  }

 private:
  std::weak_ptr<GradientHook> hook_;
};

}  // namespace regrad

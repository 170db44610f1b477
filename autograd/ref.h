// Ref and Counted: an object that counts the references to itself.
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

namespace regrad {

// An owning pointer to a T, which counts its own references with retain() and release().
template <class T>
class Ref {
 public:
  Ref() = default;
  explicit Ref(T* pointer) : pointer_(pointer) {}  // takes over the reference that pointer counts
  Ref(const Ref& other) : pointer_(other.pointer_) {
    if (pointer_ != nullptr) pointer_->retain();
  }
  Ref(Ref&& other) noexcept : pointer_(std::exchange(other.pointer_, nullptr)) {}
  Ref& operator=(Ref other) noexcept {
    std::swap(pointer_, other.pointer_);
    return *this;
  }
  ~Ref() {
    if (pointer_ != nullptr) pointer_->release();
  }

  // The pointer; null where it is empty.
  T* get() const { return pointer_; }
  T* operator->() const { return pointer_; }
  T& operator*() const { return *pointer_; }
  explicit operator bool() const { return pointer_ != nullptr; }

 private:
  T* pointer_ = nullptr;
};

// An object that counts its references, beginning with its maker's.
class Counted {
 public:
  // One more reference; then, whether there is only one.
  void retain() { references_.fetch_add(1, std::memory_order_relaxed); }
  bool unique() const { return is_held_by(1); }
  bool is_held_by(int32_t count) const {  // whether there are that many
    return references_.load(std::memory_order_acquire) == count;
  }

 protected:
  bool drop() {  // whether that was the last reference
    return references_.load(std::memory_order_acquire) == 1 ||
           references_.fetch_sub(1, std::memory_order_acq_rel) == 1;
  }

 private:
  std::atomic<int32_t> references_{1};
};

}  // namespace regrad

// Recorder: the observer behind Trace. It notes what its thread computes until a backward pass has
// ended, then writes the page and leaves, so that the program goes on at its own speed.
#pragma once

#include <deque>
#include <mutex>
#include <unordered_map>

#include "autograd/observer.h"
#include "autograd/trace/recording.h"

namespace regrad {

class Recorder : public Observer {
 public:
  // An Error where path cannot be written.
  Recorder(const std::string& path, int64_t step, bool by_environment);
  ~Recorder() override;  // writes what there is, if nothing has been written

  void computed(const Op& op) override;
  void failed(const std::string& text) override;
  void written(const char* op, const Tensor& x) override;
  void started(const Tensor& output) override;
  void ended() override;
  void took(const Node& node, const Tensor& gradient) override;
  void gave(const Node& node, size_t input, const Tensor& addend, const Tensor& sum) override;
  void finished(const Node& node) override;
  std::string made_at(const Node& node) const override;

  // Writes what has been recorded, the reason why it is incomplete on it; once. From any thread.
  void interrupt(const std::string& why) noexcept;
  // Whether this thread is in one of the functions above, and may hold what interrupt() waits for.
  static bool is_recording() { return depth_of_locks_ > 0; }

 private:
  static constinit thread_local int depth_of_locks_;
  class Lock {
   public:
    explicit Lock(const Recorder& recorder) : mutex_((++depth_of_locks_, recorder.mutex_)) {
      mutex_.lock();
    }
    ~Lock() {
      mutex_.unlock();
      --depth_of_locks_;
    }
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;

   private:
    std::recursive_mutex& mutex_;
  };
  static constexpr size_t max_ops = 20000;
  static constexpr int64_t max_held_bytes = int64_t{256} << 20;

  // What a tensor is known by: its node, or for tensors without one its body, which is held so that
  // its address is not used again.
  struct Key {
    const void* address;
    uint64_t number;
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct KeyHash {
    size_t operator()(const Key& key) const {
      return std::hash<const void*>()(key.address) ^ (key.number * 0x9e3779b97f4a7c15);
    }
  };
  static Key key_of(const Tensor& x);
  static Key key_of(const Node& node);

  int tensor_index(const Tensor& x);  // of one that was seen before, or a new one
  int tensor_index(const Node& node);
  int add_tensor(const Key& key, const Tensor& x, int op);
  void hold(const Tensor& x, const Key& key);
  void start_over();
  void write(const std::string& why) noexcept;

  const std::string given_path_, path_;  // the second absolute
  const int64_t wanted_step_;
  const bool by_environment_;
  const int process_;  // a child of fork() does not write its parent's page
  mutable std::recursive_mutex mutex_;
  Recording recording_;
  std::unordered_map<Key, int, KeyHash> tensors_;
  std::vector<const Storage*> storages_;  // of the recorded tensors, for comparing only
  struct Held {
    Tensor tensor;
    Key key;
  };
  std::deque<Held> held_;
  int64_t held_bytes_ = 0, passes_ = 0, depth_ = 0;
  bool in_derivative_ = false, is_written_ = false;
};

// Writes the pages of the recorders that exist when the program ends by an exception, SIGINT or
// SIGTERM.
void write_at_the_end(Recorder& recorder);
void forget(Recorder& recorder);  // one that is destroyed

}  // namespace regrad

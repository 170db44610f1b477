#include "ops/cpu/parallel.h"

#include <pthread.h>
#ifdef __linux__
#include <sched.h>
#endif

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <new>
#include <thread>
#include <vector>

namespace regrad {
namespace {

constexpr auto kSpinTime = std::chrono::microseconds(200);     // then a worker sleeps
constexpr auto kWakeInterval = std::chrono::microseconds(20);  // after a useless wake-up, ...
constexpr int kMaxDoublings = 6;                               // ... doubled up to 6 times
constexpr int64_t kMaxChunks = 0xffff;                         // that a ticket can count

thread_local bool inside_chunk = false;

void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#endif
}

int positive_from_environment(const char* name) {
  const char* text = std::getenv(name);
  const long value = text ? std::strtol(text, nullptr, 10) : 0;
  return value > 0 && value <= 4096 ? static_cast<int>(value) : 0;
}

int default_threads() {
  if (const int n = positive_from_environment("REGRAD_NUM_THREADS")) return n;
  if (const int n = positive_from_environment("OMP_NUM_THREADS")) return n;
  const unsigned hardware = std::thread::hardware_concurrency();
  return hardware > 0 ? static_cast<int>(hardware) : 1;
}

std::atomic<int>& requested_threads() {
  static std::atomic<int> count{default_threads()};
  return count;
}

// The chunks [first, last) of the current job that no thread has taken yet. The caller takes chunks
// from the front and the workers from the back: consecutive ops usually have the same chunks, so
// each thread tends to find in its cache what it wrote before.
struct alignas(8) Ticket {  // loaded and stored as one 64-bit word
  uint32_t job = 0;
  uint16_t first = 0, last = 0;
  int64_t remaining() const { return last - first; }
};
static_assert(std::atomic<Ticket>::is_always_lock_free);

// Runs one job at a time. A chunk is taken by one compare-exchange of the whole ticket, which
// includes the job's number: so a worker that wakes late cannot take a chunk of a job whose body it
// has not read.
class Pool {
 public:
  Pool* parent = nullptr;  // the parent's, in a child of fork()

  // False if another thread is using the pool.
  bool try_lock() { return !locked_.exchange(true, std::memory_order_acquire); }
  void unlock() { locked_.store(false, std::memory_order_release); }

  void stop() {
    {
      const std::scoped_lock lock(mutex_);
      stopping_.store(true);
    }
    awake_.notify_all();
    for (std::thread& worker : workers_) worker.join();
    workers_.clear();
    caller_cpu_ = -1;
    stopping_.store(false);
  }

  void run(int64_t first, int64_t chunks, void (*body)(void*, int64_t), void* context) {
    resize(static_cast<std::size_t>(requested_threads().load(std::memory_order_relaxed) - 1));
    move_workers_off_caller();
    // Safe to write: no chunk is left to take, so a worker that reads these cannot use them.
    body_.store(body, std::memory_order_relaxed);
    context_.store(context, std::memory_order_relaxed);
    first_.store(first, std::memory_order_relaxed);
    failed_.store(false, std::memory_order_relaxed);
    unfinished_.store(chunks, std::memory_order_relaxed);
    const uint32_t job = ticket_.load(std::memory_order_relaxed).job + 1;
    ticket_.store(Ticket{job, 0, static_cast<uint16_t>(chunks)});
    const bool woke = wake_if_useful();
    const bool helped = take_chunks(true) < chunks;
    if (woke) unhelped_jobs_ = helped ? 0 : std::min(unhelped_jobs_ + 1, kMaxDoublings);
    wait_for_taken_chunks();
    if (failed_.load(std::memory_order_relaxed)) {
      std::exception_ptr error = std::move(error_);
      error_ = nullptr;
      std::rethrow_exception(error);
    }
  }

 private:
  // Lets the workers run on every processor that the caller may use, except the caller's own. In a
  // virtual machine, idle processors can look busy to the kernel (KVM reports them as preempted
  // while they sleep); a worker would then be woken on the caller's processor, and wait there for
  // milliseconds while the others are idle.
  void move_workers_off_caller() {
#ifdef __linux__
    const int cpu = sched_getcpu();
    if (cpu == caller_cpu_) return;
    caller_cpu_ = cpu;
    cpu_set_t others;
    if (cpu < 0 || cpu >= CPU_SETSIZE || sched_getaffinity(0, sizeof(others), &others) != 0) return;
    CPU_CLR(static_cast<std::size_t>(cpu), &others);
    if (CPU_COUNT(&others) == 0) return;
    for (std::thread& worker : workers_) {
      pthread_setaffinity_np(worker.native_handle(), sizeof(others), &others);
    }
#endif
  }

  // If a woken worker comes too late to help, because its core is busy or the job is short, the
  // caller has paid for the wake-up in vain. After each such job in a row, the caller waits twice
  // as long before it wakes a worker again (exponential backoff). Workers that are awake still
  // help.
  bool wake_if_useful() {
    if (sleeping_.load() == 0) return false;
    const auto now = std::chrono::steady_clock::now();
    if (unhelped_jobs_ > 0 && now - woken_ < kWakeInterval * (1 << unhelped_jobs_)) return false;
    woken_ = now;
    wake();
    return true;
  }

  // Takes and runs chunks until none is left; returns how many it took.
  int64_t take_chunks(bool from_front) {
    int64_t taken = 0;
    inside_chunk = true;
    Ticket ticket = ticket_.load(std::memory_order_acquire);
    while (ticket.remaining() > 0) {
      auto* body = body_.load(std::memory_order_relaxed);
      void* context = context_.load(std::memory_order_relaxed);
      int64_t chunk = first_.load(std::memory_order_relaxed);
      Ticket next = ticket;
      chunk += from_front ? next.first++ : --next.last;
      if (!ticket_.compare_exchange_weak(ticket, next, std::memory_order_acq_rel,
                                         std::memory_order_acquire)) {
        continue;
      }
      if (!failed_.load(std::memory_order_relaxed)) run_chunk(body, context, chunk);
      ++taken;
      unfinished_.fetch_sub(1, std::memory_order_acq_rel);
      ticket = ticket_.load(std::memory_order_acquire);
    }
    inside_chunk = false;
    return taken;
  }

  void run_chunk(void (*body)(void*, int64_t), void* context, int64_t chunk) {
    try {
      body(context, chunk);
    } catch (...) {
      if (!failed_.exchange(true, std::memory_order_relaxed)) error_ = std::current_exception();
    }
  }

  void wait_for_taken_chunks() {
    for (int spins = 0; unfinished_.load(std::memory_order_acquire) > 0; ++spins) {
      // The thread that runs the last chunk may have been descheduled: give it this processor.
      if (spins < 1000) {
        pause();
      } else {
        std::this_thread::yield();
      }
    }
  }

  // A wake-up between a worker's last check and its sleep is lost. Then one job has one worker
  // less; taking the mutex here instead could make the caller wait for a descheduled thread.
  void wake() {
    const int sleeping = sleeping_.load();
    if (sleeping > 0) awake_.notify_one();
    if (sleeping > 1 && ticket_.load(std::memory_order_relaxed).remaining() > 2)
      awake_.notify_one();
  }

  bool has_work() const { return stopping_.load() || ticket_.load().remaining() > 0; }

  void work() {
    while (!stopping_.load()) {
      if (ticket_.load(std::memory_order_acquire).remaining() > 0) {
        wake();  // each woken worker wakes two more: the caller need not wake them all
        take_chunks(false);
      }
      const auto give_up = std::chrono::steady_clock::now() + kSpinTime;
      while (!has_work() && std::chrono::steady_clock::now() < give_up) pause();
      if (has_work()) continue;
      std::unique_lock lock(mutex_);
      sleeping_.fetch_add(1);
      awake_.wait(lock, [this] { return has_work(); });
      sleeping_.fetch_sub(1);
    }
  }

  void resize(std::size_t workers) {
    if (workers == size_) return;
    stop();
    size_ = workers;
    try {
      while (workers_.size() < workers) workers_.emplace_back([this] { work(); });
    } catch (const std::exception&) {
      // The system has no more threads, or no memory for them: continue with those that exist.
    }
  }

  // On separate cache lines, to avoid false sharing between the caller and the workers.
  alignas(64) std::atomic<Ticket> ticket_{Ticket{}};
  alignas(64) std::atomic<int64_t> unfinished_{0};
  alignas(64) std::atomic<void (*)(void*, int64_t)> body_{nullptr};
  std::atomic<void*> context_{nullptr};
  std::atomic<int64_t> first_{0};
  std::atomic<bool> failed_{false};
  std::exception_ptr error_;
  alignas(64) std::atomic<bool> locked_{false};
  std::atomic<bool> stopping_{false};
  std::atomic<int> sleeping_{0};
  std::mutex mutex_;
  std::condition_variable awake_;
  std::size_t size_ = 0;
  int unhelped_jobs_ = 0;  // this and the members below belong to the thread that holds the lock
  std::chrono::steady_clock::time_point woken_;
  int caller_cpu_ = -1;  // the processor that the workers do not use
  std::vector<std::thread> workers_;
};

// Pools are never destroyed: destructors of static objects may still compute with tensors.
constinit std::atomic<Pool*> the_pool{nullptr};

// In a child of fork() the workers do not exist, and a mutex that one of them held stays locked:
// the child abandons the parent's pool, and creates its own when it needs one.
void abandon_in_child() {
  static constinit Pool* abandoned = nullptr;  // keeps them reachable for leak checkers
  if (Pool* inherited = the_pool.exchange(nullptr)) {
    inherited->parent = abandoned;
    abandoned = inherited;
  }
}

// Ends the workers when the program ends or the library is unloaded. The pool stays locked after
// that, so that later ops run serially on the thread that calls them.
struct AtExit {
  AtExit() { pthread_atfork(nullptr, nullptr, abandon_in_child); }
  ~AtExit() {
    Pool* last = the_pool.load();
    if (last == nullptr) return;
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(1);
    while (!last->try_lock()) {  // another thread is in the middle of an op
      if (std::chrono::steady_clock::now() > give_up) return;
      std::this_thread::yield();
    }
    last->stop();
  }
};

// Null if there is no memory for a pool: a kernel that writes in place must not fail half-way.
Pool* pool() {
  if (Pool* existing = the_pool.load(std::memory_order_acquire)) [[likely]]
    return existing;
  static const AtExit at_exit;
  Pool* expected = nullptr;
  Pool* created = new (std::nothrow) Pool;
  if (created == nullptr || the_pool.compare_exchange_strong(expected, created)) return created;
  delete created;
  return expected;
}

// Locks the pool. `locked` is null if another thread is using it, or if there is none.
struct PoolLock {
  Pool* locked = nullptr;
  PoolLock() {
    Pool* const candidate = pool();
    if (candidate != nullptr && candidate->try_lock()) locked = candidate;
  }
  ~PoolLock() {
    if (locked != nullptr) locked->unlock();
  }
};

void run_serially(int64_t chunks, void (*body)(void*, int64_t), void* context) {
  for (int64_t chunk = 0; chunk < chunks; ++chunk) body(context, chunk);
}

}  // namespace

int num_threads() { return requested_threads().load(std::memory_order_relaxed); }

void set_num_threads(int count) {
  requested_threads().store(count > 0 ? count : default_threads(), std::memory_order_relaxed);
}

void run_chunks(int64_t chunks, void (*body)(void* context, int64_t chunk), void* context) {
  if (chunks <= 1 || inside_chunk || num_threads() == 1) return run_serially(chunks, body, context);
  const PoolLock owner;
  if (owner.locked == nullptr) return run_serially(chunks, body, context);
  for (int64_t first = 0; first < chunks; first += kMaxChunks) {
    const int64_t remaining = chunks - first;
    owner.locked->run(first, remaining < kMaxChunks ? remaining : kMaxChunks, body, context);
  }
}

}  // namespace regrad

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

constexpr auto kSpin = std::chrono::microseconds(200);  // then a worker sleeps
constexpr auto kRest = std::chrono::microseconds(20);  // between wake-ups that did not help, and
constexpr int kMostAlone = 6;                          // doubled so often at most
constexpr int64_t kMaxRound = 0xffff;                  // chunks that one ticket can count

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

std::atomic<int>& wanted_threads() {
  static std::atomic<int> count{default_threads()};
  return count;
}

// Which chunks of which job nobody has taken yet: [first, last). The caller takes them from the
// front and the workers from the back, so that of two ops in a row, whose chunks mostly lie alike,
// each finds in its own cache what it wrote.
struct alignas(8) Ticket {  // one word for the processor
  uint32_t job = 0;
  uint16_t first = 0, last = 0;
  int64_t left() const { return last - first; }
};
static_assert(std::atomic<Ticket>::is_always_lock_free);

// One job at a time. Taking a chunk is one compare-exchange on the whole ticket, so a worker that
// wakes late can never take a chunk of a job whose body it has not read.
class Pool {
 public:
  Pool* before = nullptr;  // the parent's, in a child of fork()

  // False when another thread is using the pool.
  bool try_own() { return !owned_.exchange(true, std::memory_order_acquire); }
  void disown() { owned_.store(false, std::memory_order_release); }

  void stop() {
    {
      const std::scoped_lock lock(mutex_);
      stopping_.store(true);
    }
    awake_.notify_all();
    for (std::thread& worker : workers_) worker.join();
    workers_.clear();
    caller_at_ = -1;
    stopping_.store(false);
  }

  void run(int64_t first, int64_t chunks, void (*body)(void*, int64_t), void* context) {
    resize(static_cast<std::size_t>(wanted_threads().load(std::memory_order_relaxed) - 1));
    keep_workers_elsewhere();
    // Safe to write: no chunk is left to take, so no worker can act on what it reads here.
    body_.store(body, std::memory_order_relaxed);
    context_.store(context, std::memory_order_relaxed);
    first_.store(first, std::memory_order_relaxed);
    failed_.store(false, std::memory_order_relaxed);
    unfinished_.store(chunks, std::memory_order_relaxed);
    const uint32_t job = ticket_.load(std::memory_order_relaxed).job + 1;
    ticket_.store(Ticket{job, 0, static_cast<uint16_t>(chunks)});
    const bool woke = wake_if_worth_it();
    const bool helped = take_chunks(true) < chunks;
    if (woke) jobs_alone_ = helped ? 0 : std::min(jobs_alone_ + 1, kMostAlone);
    wait_for_taken_chunks();
    if (failed_.load(std::memory_order_relaxed)) {
      std::exception_ptr error = std::move(error_);
      error_ = nullptr;
      std::rethrow_exception(error);
    }
  }

 private:
  // The workers may run wherever the caller may, but not where it is. Where idle processors look busy
  // to the kernel (a virtual machine's, which KVM calls preempted while they sleep), a worker would be
  // woken onto the caller's processor, and wait there for milliseconds while the others do nothing.
  void keep_workers_elsewhere() {
#ifdef __linux__
    const int at = sched_getcpu();
    if (at == caller_at_) return;
    caller_at_ = at;
    cpu_set_t others;
    if (at < 0 || at >= CPU_SETSIZE || sched_getaffinity(0, sizeof(others), &others) != 0) return;
    CPU_CLR(static_cast<std::size_t>(at), &others);
    if (CPU_COUNT(&others) == 0) return;
    for (std::thread& worker : workers_) {
      pthread_setaffinity_np(worker.native_handle(), sizeof(others), &others);
    }
#endif
  }

  // A worker that comes too late to help, because its core is busy or the job is short, costs the
  // caller its wake-up: after each such job in a row, twice as long goes by without one. Workers
  // that are awake may take part all the same.
  bool wake_if_worth_it() {
    if (sleeping_.load() == 0) return false;
    const auto now = std::chrono::steady_clock::now();
    if (jobs_alone_ > 0 && now - woken_ < kRest * (1 << jobs_alone_)) return false;
    woken_ = now;
    wake();
    return true;
  }

  int64_t take_chunks(bool from_front) {  // how many it took
    int64_t taken = 0;
    inside_chunk = true;
    Ticket ticket = ticket_.load(std::memory_order_acquire);
    while (ticket.left() > 0) {
      auto* body = body_.load(std::memory_order_relaxed);
      void* context = context_.load(std::memory_order_relaxed);
      int64_t chunk = first_.load(std::memory_order_relaxed);
      Ticket rest = ticket;
      chunk += from_front ? rest.first++ : --rest.last;
      if (!ticket_.compare_exchange_weak(ticket, rest, std::memory_order_acq_rel,
                                         std::memory_order_acquire)) {
        continue;
      }
      if (!failed_.load(std::memory_order_relaxed)) run_one(body, context, chunk);
      ++taken;
      unfinished_.fetch_sub(1, std::memory_order_acq_rel);
      ticket = ticket_.load(std::memory_order_acquire);
    }
    inside_chunk = false;
    return taken;
  }

  void run_one(void (*body)(void*, int64_t), void* context, int64_t chunk) {
    try {
      body(context, chunk);
    } catch (...) {
      if (!failed_.exchange(true, std::memory_order_relaxed)) error_ = std::current_exception();
    }
  }

  void wait_for_taken_chunks() {
    for (int spins = 0; unfinished_.load(std::memory_order_acquire) > 0; ++spins) {
      // The holder of the last chunk may have lost its processor: let it have this one.
      if (spins < 1000) {
        pause();
      } else {
        std::this_thread::yield();
      }
    }
  }

  // A wake-up that comes between a worker's last look and its sleep is lost. That costs one job
  // one worker; taking the mutex here instead could make the caller wait for a stopped thread.
  void wake() {
    const int sleeping = sleeping_.load();
    if (sleeping > 0) awake_.notify_one();
    if (sleeping > 1 && ticket_.load(std::memory_order_relaxed).left() > 2) awake_.notify_one();
  }

  bool has_work() const { return stopping_.load() || ticket_.load().left() > 0; }

  void work() {
    while (!stopping_.load()) {
      if (ticket_.load(std::memory_order_acquire).left() > 0) {
        wake();  // each woken worker wakes two more: the caller need not wake them all
        take_chunks(false);
      }
      const auto give_up = std::chrono::steady_clock::now() + kSpin;
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
      // The system gives no more threads, or no memory for them: go on with those there are.
    }
  }

  // On lines of their own: the caller's and the workers' writes would slow each other down.
  alignas(64) std::atomic<Ticket> ticket_{Ticket{}};
  alignas(64) std::atomic<int64_t> unfinished_{0};
  alignas(64) std::atomic<void (*)(void*, int64_t)> body_{nullptr};
  std::atomic<void*> context_{nullptr};
  std::atomic<int64_t> first_{0};
  std::atomic<bool> failed_{false};
  std::exception_ptr error_;
  alignas(64) std::atomic<bool> owned_{false};
  std::atomic<bool> stopping_{false};
  std::atomic<int> sleeping_{0};
  std::mutex mutex_;
  std::condition_variable awake_;
  std::size_t size_ = 0;
  int jobs_alone_ = 0;  // this and the next are the owner's
  std::chrono::steady_clock::time_point woken_;
  int caller_at_ = -1;  // the processor that the workers keep off
  std::vector<std::thread> workers_;
};

// Pools are never destroyed: tensors may be computed with as late as in destructors of static objects.
constinit std::atomic<Pool*> the_pool{nullptr};

// In a child of fork() the workers are not there, and a lock that one of them held stays shut: the
// child leaves the pool as it is, and makes one of its own when it needs one.
void leave_to_parent() {
  static constinit Pool* left = nullptr;  // still reachable: no leak
  if (Pool* parents = the_pool.exchange(nullptr)) {
    parents->before = left;
    left = parents;
  }
}

// At the end of the program, or of the library in it, the workers end. Nobody gives the pool back after
// that, so that whatever is still computed is computed by the thread that asks for it.
struct AtExit {
  AtExit() { pthread_atfork(nullptr, nullptr, leave_to_parent); }
  ~AtExit() {
    Pool* last = the_pool.load();
    if (last == nullptr) return;
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(1);
    while (!last->try_own()) {  // another thread is in the middle of an op
      if (std::chrono::steady_clock::now() > give_up) return;
      std::this_thread::yield();
    }
    last->stop();
  }
};

// Null when there is no memory for one: a kernel that writes in place must not stop half way for that.
Pool* pool() {
  if (Pool* made = the_pool.load(std::memory_order_acquire)) [[likely]] return made;
  static const AtExit at_exit;
  Pool* none = nullptr;
  Pool* mine = new (std::nothrow) Pool;
  if (mine == nullptr || the_pool.compare_exchange_strong(none, mine)) return mine;
  delete mine;
  return none;
}

struct Ownership {  // of the pool; none: another thread is using it, or there is none
  Pool* owned = nullptr;
  Ownership() {
    Pool* const one = pool();
    if (one != nullptr && one->try_own()) owned = one;
  }
  ~Ownership() {
    if (owned != nullptr) owned->disown();
  }
};

void run_serially(int64_t chunks, void (*body)(void*, int64_t), void* context) {
  for (int64_t chunk = 0; chunk < chunks; ++chunk) body(context, chunk);
}

}  // namespace

int num_threads() { return wanted_threads().load(std::memory_order_relaxed); }

void set_num_threads(int count) {
  wanted_threads().store(count > 0 ? count : default_threads(), std::memory_order_relaxed);
}

void run_chunks(int64_t chunks, void (*body)(void* context, int64_t chunk), void* context) {
  if (chunks <= 1 || inside_chunk || num_threads() == 1) return run_serially(chunks, body, context);
  const Ownership owner;
  if (owner.owned == nullptr) return run_serially(chunks, body, context);
  for (int64_t first = 0; first < chunks; first += kMaxRound) {
    const int64_t rest = chunks - first;
    owner.owned->run(first, rest < kMaxRound ? rest : kMaxRound, body, context);
  }
}

}  // namespace regrad

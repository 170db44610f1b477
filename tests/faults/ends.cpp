// Tensors at the ends of things: in destructors of static and of thread_local objects, and in a
// child of fork(). The program computes, forward and backward, wherever it can still be asked to.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "regrad.h"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define __SANITIZE_THREAD__
#endif
#endif
#ifdef __SANITIZE_THREAD__
static constexpr bool may_fork = false;  // this sanitizer knows no threads in children
#else
static constexpr bool may_fork = true;
#endif

static bool is_child = false;
// What the parent's other threads had is nobody's in a child.
extern "C" int __lsan_is_turned_off() { return is_child; }

namespace {

using namespace regrad;

void demand(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "ends: %s\n", what);
  std::_Exit(1);
}

// Large enough for the pool, the scratch buffers of products and reductions, and the free list.
void compute(const char* where) {
  Generator generator(3);
  const Tensor x = randn({256, 300}, generator),
               w = randn({200, 300}, generator, {.requires_grad = true});
  const Tensor y = linear(x, w);
  sum(softmax(y, 1) * y).backward();
  demand(std::isfinite(sum(w.grad() * w.grad()).item<float>()), where);
  const Tensor queries = randn({2, 64, 32}, generator, {.requires_grad = true});
  sum(scaled_dot_product_attention(queries, queries, queries)).backward();
  demand(queries.grad().defined(), where);
}

struct AtEnd {
  const char* where;
  Tensor kept = {};
  ~AtEnd() {
    compute(where);
    if (kept.defined()) demand(sum(kept).item<float>() == 4, where);
  }
};

// Made before anything of the library's, so destroyed after it; and one made when all has been
// used.
AtEnd first{"in the destructor of a static object"};

void in_threads() {
  for (int round = 0; round < 3; ++round) {
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
      threads.emplace_back([] {
        // Destroyed last and first of what the thread has.
        thread_local AtEnd early{"in the destructor of a thread_local object"};
        early.kept = ones({4});
        compute("in a thread");
        thread_local AtEnd late{"in the destructor of a later thread_local object"};
        late.kept = ones({4});
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
}

// A child ends by itself, and well: an alarm ends one that hangs.
void in_child(const char* where, const auto& body) {
  std::fflush(nullptr);
  const pid_t child = fork();
  demand(child >= 0, "fork");
  if (child == 0) {
    is_child = true;
    alarm(60);
    body();
    std::exit(0);  // with destructors: the workers of the parent are not waited for
  }
  int status = 0;
  demand(waitpid(child, &status, 0) == child, "waitpid");
  demand(WIFEXITED(status) && WEXITSTATUS(status) == 0, where);
}

void forks() {
  in_child("a child that computes nothing", [] {});
  in_child("a child that computes", [] { compute("in a child"); });
  in_child("a child with more threads, and a child of its own", [] {
    set_num_threads(5);
    compute("in a child");
    in_child("a child of a child", [] { compute("in a child of a child"); });
    in_threads();
  });
  compute("in the parent, after its children");
  // While other threads are in the middle of ops and passes.
  std::atomic<bool> stop{false};
  std::vector<std::thread> busy;
  for (int i = 0; i < 2; ++i) {
    busy.emplace_back([&] {
      while (!stop) compute("in a busy thread");
    });
  }
  for (int i = 0; i < 10; ++i) in_child("a child of a busy parent", [] { compute("in a child"); });
  stop = true;
  for (std::thread& thread : busy) thread.join();
}

}  // namespace

int main() {
  set_num_threads(3);
  compute("in main");
  static AtEnd last{"in the destructor of a static object made late"};
  first.kept = ones({4});
  last.kept = ones({4});
  in_threads();
  if (may_fork) forks();
  return 0;
}

// The thread pool of the kernels, and parallel_for(), the one way to use it.
// The caller takes chunks too and waits only for those that a worker has already taken, so that on
// a busy machine it waits for at most one chunk per worker. How work is cut into chunks must depend
// on the work alone, never on num_threads(), so that results have the same bits for any number of
// threads. Kernels of every instruction set include this header, so it includes nothing of the
// standard library that would compile to functions.
#pragma once

#include <cstdint>

namespace regrad {

// The number of threads that parallel_for uses, the caller included. At first REGRAD_NUM_THREADS,
// else OMP_NUM_THREADS, else the number of processors. Setting 0 or less returns to that default.
int num_threads();
void set_num_threads(int count);

// Calls body(context, i) for every i in [0, chunks), in any order and on any thread; serially if
// called from inside a chunk, or while another thread is using the pool. After an exception no
// further chunks are run, and the first exception is rethrown here.
void run_chunks(int64_t chunks, void (*body)(void* context, int64_t chunk), void* context);

// The same for a lambda: parallel_for(chunks, [&](int64_t chunk) { ... });
// Always inlined: the linker must not share a copy compiled for one instruction set with another.
template <class Body>
[[gnu::always_inline]] inline void parallel_for(int64_t chunks, Body&& body) {
  if (chunks <= 1) {
    if (chunks == 1) body(int64_t{0});
    return;
  }
  auto* context = &body;
  using Pointer = decltype(context);
  run_chunks(
      chunks, [](void* any, int64_t chunk) { (*static_cast<Pointer>(any))(chunk); }, context);
}

}  // namespace regrad

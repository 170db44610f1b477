// Threads for the kernels: one small pool and one way to use it, parallel_for().
// The caller works beside the pool and waits only for chunks that a worker has already taken, so
// a busy machine costs at most one chunk of time. What a chunk is must depend on the work alone,
// never on num_threads(): that is what makes results the same bits for any number of threads.
// Nothing from the standard library is included: kernels of every instruction set include this.
#pragma once

#include <cstdint>

namespace regrad {

// The number of threads that parallel_for uses, the caller included. At first REGRAD_NUM_THREADS,
// else OMP_NUM_THREADS, else the number of processors. Setting 0 or less returns to that default.
int num_threads();
void set_num_threads(int count);

// body(context, i) for every i in [0, chunks), in any order and on any thread. Serial when called
// from inside a chunk, or while another thread is using the pool. The first exception thrown by a
// chunk stops the handing out of further chunks and is rethrown here.
void run_chunks(int64_t chunks, void (*body)(void* context, int64_t chunk), void* context);

// The same for a lambda: parallel_for(chunks, [&](int64_t chunk) { ... });
// Always inlined, so that no function of one instruction set is shared with another.
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

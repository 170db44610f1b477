// The same bits for any number of threads.
#ifdef __linux__
#include <sched.h>
#endif

#include <atomic>
#include <chrono>
#include <thread>

#include "ops/cpu/parallel.h"
#include "tests/ops/case.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("ops");

struct Work {
  const char* name;
  Function op;
  std::vector<In> inputs;
};

std::vector<Work> large_works() {
  return {
      {"exp", OP(exp(x[0])), {in({200'003})}},
      {"mul", OP(x[0] * x[1]), {in({300, 301}), in({301})}},
      {"add, transposed", OP(transpose(x[0]) + x[1]), {in({301, 300}), in({300, 301})}},
      {"sum", OP(sum(x[0])), {in({1'000'003})}},
      {"sum along 0", OP(sum(x[0], 0)), {in({3001, 67})}},
      {"sum along 1", OP(sum(x[0], 1)), {in({67, 3001})}},
      {"mean along the middle", OP(mean(x[0], 1)), {in({5, 4001, 9})}},
      {"max", OP(max(x[0], 0)), {in({3001, 67})}},
      {"var", OP(var(x[0])), {in({300'007})}},
      {"logsumexp", OP(logsumexp(x[0], 0)), {in({2003, 37})}},
      {"matmul", OP(matmul(x[0], x[1])), {in({257, 300}), in({300, 129})}},
      {"matmul of a long inner size", OP(matmul(x[0], x[1])), {in({3, 20011}), in({20011, 2})}},
      {"matmul of a vector", OP(matmul(x[0], x[1])), {in({700, 801}), in({801})}},
      {"bmm", OP(bmm(x[0], x[1])), {in({13, 60, 70}), in({13, 70, 50})}},
      {"linear", OP(linear(x[0], x[1], x[2])), {in({512, 130}), in({140, 130}), in({140})}},
      {"softmax", OP(softmax(x[0], 1)), {in({300, 301})}},
      {"softmax of short rows", OP(softmax(x[0], 1)), {in({9001, 5})}},
      {"softmax along 0", OP(softmax(x[0], 0)), {in({301, 300})}},
      {"softmax along 0 of narrow rows", OP(softmax(x[0], 1)), {in({50, 300, 5})}},
      {"log_softmax", OP(log_softmax(x[0], 1)), {in({300, 301})}},
      {"layer_norm", OP(layer_norm(x[0], x[1], x[2])), {in({1000, 130}), in({130}), in({130})}},
      {"layer_norm of short rows",
       OP(layer_norm(x[0], x[1], x[2])),
       {in({9001, 5}), in({5}), in({5})}},
      {"cross_entropy", OP(cross_entropy(x[0], x[1])), {in({500, 301}), index_in({500}, 301)}},
      {"embedding", OP(embedding(x[0], x[1])), {in({50, 64}), index_in({5000}, 50)}},
      {"gather", OP(gather(x[0], 0, x[1])), {in({300, 64}), index_in({2000, 64}, 300)}},
      {"sort", OP(sort(x[0], 1).values), {in({500, 301})}},
      {"topk", OP(topk(x[0], 5, 0).values), {in({3001, 67})}},
      {"cumsum", OP(cumsum(x[0], 0)), {in({300'001})}},
      {"cumsum along 0", OP(cumsum(x[0], 0)), {in({301, 700})}},
      {"prod", OP(prod(x[0])), {in({1'000'003}, 0.999, 1.001)}},
      {"norm", OP(norm(x[0], 3, 1)), {in({300, 301}, 0.1, 2)}},
      {"scatter",
       OP(scatter(x[0], 0, x[2], x[1])),
       {in({300, 64}), in({2000, 64}), index_in({2000, 64}, 300)}},
      {"index_put",
       OP(index_put(x[0], {x[2]}, x[1], true)),
       {in({50, 64}), in({5000, 64}), index_in({5000}, 50)}},
      {"masked_select", OP(masked_select(x[0], x[1])), {in({300, 301}), mask_in({300, 301})}},
      {"mish", OP(mish(x[0])), {in({200'003})}},
      {"gru_step",
       OP(gru_step(x[0], x[1], x[2])),
       {in({130, 300}), in({130, 300}), in({130, 100})}},
      {"gru_sequence",
       OP(gru_sequence(x[0], x[1], {x[2], x[3], x[4], x[5]})),
       {in({3, 90, 60}), in({90, 80}), in({240, 60}, -0.1, 0.1), in({240, 80}, -0.1, 0.1),
        in({240}), in({240})}},
      {"lstm_sequence",
       OP(lstm_sequence(x[0], x[1], x[2], {x[3], x[4], x[5], x[6]})),
       {in({3, 70, 60}), in({70, 60}), in({70, 60}), in({240, 60}, -0.1, 0.1),
        in({240, 60}, -0.1, 0.1), in({240}), in({240})}},
      {"additive_scores",
       OP(additive_scores(x[0], x[1], x[2])),
       {in({30, 5, 90}), in({30, 40, 90}), in({90})}},
      {"attention",
       OP(scaled_dot_product_attention(x[0], x[1], x[2], x[3])),
       {in({4, 100, 32}), in({4, 120, 32}), in({4, 120, 48}), mask_in({4, 100, 120})}},
  };
}

TEST_CASE("the same bits for 1, 2, 3, 5 and 8 threads, forward and backward") {
  for (const Work& work : large_works()) {
    INFO(work.name);
    for (const DType dtype : {float32, float64}) {
      Tensors inputs, first;
      for (size_t k = 0; k < work.inputs.size(); ++k) {
        const DType own = work.inputs[k].dtype;
        inputs.push_back(to_tensor(numbers(work.inputs[k], static_cast<int64_t>(k)),
                                   is_float(own) ? dtype : own));
      }
      for (const int threads : {1, 2, 3, 5, 8}) {
        set_num_threads(threads);
        CHECK(num_threads() == threads);
        Tensors results = {work.op(inputs)};
        const Array g = numbers({Index(results[0].shape().begin(), results[0].shape().end())}, 7);
        for (const Tensor& one : gradients(work.op, inputs, to_tensor(g, dtype)))
          results.push_back(one);
        if (threads == 1) first = results;
        for (size_t k = 0; k < results.size(); ++k) {
          CHECK_MESSAGE(same_bits(results[k], first[k]), threads, " threads, result ", k);
        }
      }
      set_num_threads(0);
    }
  }
}

TEST_CASE("random numbers are the same for any number of threads") {
  Tensors first;
  for (const int threads : {1, 2, 3, 5, 8}) {
    set_num_threads(threads);
    Generator generator(9);
    const Tensors drawn = {rand({300'001}, generator), randn({300'001}, generator),
                           randn({100'003}, generator, {.dtype = float64})};
    if (threads == 1) first = drawn;
    for (size_t k = 0; k < drawn.size(); ++k) CHECK(same_bits(drawn[k], first[k]));
  }
  set_num_threads(0);
}

#ifdef __linux__
// A kernel that wakes a worker onto the caller's processor would leave it waiting there.
TEST_CASE("workers may run on every processor of the caller's but the one where it is") {
  cpu_set_t callers;
  REQUIRE(sched_getaffinity(0, sizeof(callers), &callers) == 0);
  if (CPU_COUNT(&callers) < 2) return;
  set_num_threads(2);
  const auto caller = std::this_thread::get_id();
  int seen = 0;
  for (int tries = 0; seen < 3 && tries < 2000; ++tries) {
    const int before = sched_getcpu();
    cpu_set_t workers;
    std::atomic<bool> helped = false;
    parallel_for(2, [&](int64_t) {
      if (std::this_thread::get_id() == caller) {  // time for the worker to take the other one
        const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(1);
        while (!helped && std::chrono::steady_clock::now() < until) std::this_thread::yield();
      } else if (sched_getaffinity(0, sizeof(workers), &workers) == 0) {
        helped = true;
      }
    });
    const int after = sched_getcpu();
    if (!helped || before != after) continue;
    ++seen;
    cpu_set_t expected = callers;
    CPU_CLR(static_cast<std::size_t>(before), &expected);
    CHECK(CPU_EQUAL(&workers, &expected));
  }
  CHECK(seen == 3);
  set_num_threads(0);
}
#endif

TEST_SUITE_END();

}  // namespace

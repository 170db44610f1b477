// Every allocation fails in turn, alone or with all that follow, in forward, backward, a step,
// saving and loading: each time an Error or std::bad_alloc, no memory lost, nothing half done, and
// the same once more without a fault. What asks for memory here is operator new and aligned_alloc;
// this program's own stand before the C++ and the C library's.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <new>
#include <thread>

#include "regrad.h"

extern "C" const char* __asan_default_options() { return "allocator_may_return_null=1"; }
extern "C" const char* __tsan_default_options() { return "allocator_may_return_null=1"; }

namespace {

std::atomic<int64_t> calls_left{-1};  // before the one that fails; -1: none does
std::atomic<int64_t> struck{0};
bool stays_empty = false;  // all that follow fail too

bool strikes() {
  if (calls_left.load(std::memory_order_relaxed) < 0) return false;
  const int64_t left = calls_left.fetch_sub(1);
  if (left > 0) return false;
  if (stays_empty) calls_left = 0;
  ++struck;
  return true;
}

void* memory(size_t bytes, size_t alignment) {
  if (strikes()) return nullptr;
  void* block = nullptr;
  return posix_memalign(&block, std::max(alignment, sizeof(void*)), bytes) == 0 ? block : nullptr;
}

void* memory_or_throw(size_t bytes, size_t alignment) {
  if (void* block = memory(bytes, alignment)) return block;
  throw std::bad_alloc();
}

}  // namespace

extern "C" void* aligned_alloc(size_t alignment, size_t bytes) noexcept {
  return memory(bytes, alignment);
}
void* operator new(size_t bytes) { return memory_or_throw(bytes, 16); }
void* operator new[](size_t bytes) { return memory_or_throw(bytes, 16); }
void* operator new(size_t bytes, std::align_val_t alignment) {
  return memory_or_throw(bytes, static_cast<size_t>(alignment));
}
void* operator new(size_t bytes, const std::nothrow_t&) noexcept { return memory(bytes, 16); }
void operator delete(void* block) noexcept { std::free(block); }
void operator delete[](void* block) noexcept { std::free(block); }
void operator delete(void* block, size_t) noexcept { std::free(block); }
void operator delete[](void* block, size_t) noexcept { std::free(block); }
void operator delete(void* block, std::align_val_t) noexcept { std::free(block); }
void operator delete(void* block, size_t, std::align_val_t) noexcept { std::free(block); }
void operator delete(void* block, const std::nothrow_t&) noexcept { std::free(block); }

namespace {

using namespace regrad;
using Numbers = std::vector<std::vector<float>>;

const char* current = "";
int64_t point = 0;

void demand(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "allocations: %s, allocation %ld failing%s: %s\n", current,
               static_cast<long>(point), stays_empty ? " and all after it" : "", what);
  std::_Exit(1);
}

// What is run under faults; `check(done)` afterwards, with none: is all as it was, or all done?
struct Part {
  const char* name;
  std::function<void()> body;
  std::function<void(bool done)> check = [](bool) {};
};

void strike_once(const Part& part) {
  struck = 0;
  const MemoryUse before = memory_use();
  calls_left = point;
  bool done = false;
  try {
    part.body();
    done = true;
  } catch (const Error&) {
  } catch (const std::bad_alloc&) {
  }
  calls_left = -1;
  const MemoryUse after = memory_use();
  if (!done) {
    demand(after.live_bytes == before.live_bytes && after.live_storages == before.live_storages,
           "memory is lost");
    demand(after.live_nodes == before.live_nodes, "nodes are lost");
  }
  part.check(done);
}

int64_t fail_each(const Part& part) {
  current = part.name;
  int64_t points = 0;
  for (const bool rest : {false, true}) {
    stays_empty = rest;
    for (point = 0;; ++point) {
      strike_once(part);
      if (struck == 0) break;
      // Large parts: their allocations are all alike from some point on.
      if (point > 1500) point += 6;
    }
    points += point;
  }
  point = -1;
  return points;
}

struct Net {
  nn::Embedding embedding{11, 8};
  nn::LSTM lstm{8, 6};
  nn::MultiheadAttention attention{6, 2};
  nn::LayerNorm norm{6};
  nn::Linear out{6, 11};
  nn::Dropout dropout{0.2};

  void visit(auto&& each) {
    each("embedding", embedding);
    each("lstm", lstm);
    each("attention", attention);
    each("norm", norm);
    each("out", out);
  }
  Tensor loss(const Tensor& words) const {
    const Tensor seen = lstm(embedding(words)).output;
    const Tensor mixed = norm(dropout(attention(seen, seen, seen).output) + seen);
    return cross_entropy(reshape(out(gelu(mixed)), {-1, 11}), reshape(words, {-1}));
  }
};

Numbers numbers_of(const std::vector<Tensor>& tensors) {
  Numbers all;
  for (const Tensor& x : tensors)
    all.push_back(x.defined() ? x.to_vector<float>() : std::vector<float>());
  return all;
}

Numbers gradients_of(const std::vector<Tensor>& tensors) {
  std::vector<Tensor> gradients;
  for (const Tensor& x : tensors) gradients.push_back(x.grad());
  return numbers_of(gradients);
}

// A function of one's own whose closure is large, and whose copies can fail.
Tensor own_op(const Tensor& x) {
  const std::vector<Tensor> many(3, x);
  const std::string text(100, 'x');
  Tensor y =
      record("own", x.detach() * 2, {{x, [many, text, x](const Tensor& g, const Tensor& out) {
                                        return g * 2 + (out - many[2] - x) * 0;
                                      }}});
  return record("own", y.detach() + 1, std::vector<Tensor>{y, x},
                [many, text](const Tensor& g, Needed, const Tensor&) {
                  return std::vector<Tensor>{g, g * many[0]};
                });
}

int64_t training_parts(const std::string& folder) {
  Net net;
  const std::vector<Tensor> parameters = nn::parameters(net);
  const Tensor words = tensor({1, 5, 3, 9, 10, 0, 2, 2}, {2, 4});
  Numbers before, aim;
  int64_t points = 0;

  points += fail_each({"forward", [&] { net.loss(words); }});

  Tensor loss;
  const auto untouched = [&](bool done) {
    const Numbers now = gradients_of(parameters);
    if (!done) demand(now == before, "gradients are half done");
    for (Tensor x : parameters) x.zero_grad();
  };
  before = gradients_of(parameters);
  points += fail_each({"forward and backward", [&] { net.loss(words).backward(); }, untouched});

  loss = net.loss(words);
  for (const bool create_graph : {false, true}) {  // through one graph, again and again
    points +=
        fail_each({create_graph ? "backward with create_graph" : "backward",
                   [&] { loss.backward({}, {.retain_graph = true, .create_graph = create_graph}); },
                   untouched});
  }
  points += fail_each({"gradients of gradients", [&] {
                         const Tensor x = ones({3, 4}, {.requires_grad = true});
                         const Tensor y = sum(softmax(own_op(x) * x, 1) * own_op(x * 3));
                         const Tensor first = grad({y}, {x}, {.create_graph = true})[0];
                         sum(first * first).backward();
                       }});

  loss.backward();
  const Numbers given = gradients_of(parameters);
  std::vector<Tensor> copies;
  for (const Tensor& x : parameters) copies.push_back(Tensor(x.detach().clone()));
  const auto restore = [&] {
    const NoGrad guard;
    for (size_t i = 0; i < copies.size(); ++i) Tensor(parameters[i]).copy_(copies[i]);
  };
  before = numbers_of(parameters);
  loss = {};
  points +=
      fail_each({"backward into gradients that are there", [&] { net.loss(words).backward(); },
                 [&](bool done) {
                   if (!done) demand(gradients_of(parameters) == given, "half done");
                   for (size_t i = 0; i < copies.size(); ++i) {
                     Tensor(parameters[i]).set_grad(tensor(given[i], parameters[i].shape()));
                   }
                 }});
  std::vector<Tensor> matrices;
  for (const Tensor& x : parameters) {
    if (x.rank() == 2) matrices.push_back(x);
  }
  const std::pair<const char*, std::function<void()>> steps[] = {
      {"a step", [&] { optim::AdamW(parameters).step(); }},
      {"a step of groups",
       [&] {
         optim::RMSprop({{.params = parameters, .momentum = 0.5}, {.params = {}}}).step();
       }},
      {"a step of Muon", [&] { optim::Muon(matrices).step(); }}};
  for (const auto& [what, step] : steps) {
    step();
    aim = numbers_of(parameters);
    restore();
    points +=
        fail_each({what, step, [&](bool done) {
                     const Numbers now = numbers_of(parameters);
                     demand(now == aim || (!done && now == before), "parameters are half done");
                     restore();
                   }});
  }

  const std::string path = folder + "/weights.safetensors";
  const auto old = nn::state_dict(net);
  nn::save_safetensors(path, old, {{"which", "old"}});
  const auto whole = [&](bool done) {
    const nn::Safetensors found = nn::load_safetensors(path);
    demand(found.tensors.size() == old.size(), "the file has lost tensors");
    demand(found.metadata.at("which") == (done ? "new" : "old") || !done,
           "the new file is not there");
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      demand(entry.path() == path, "a temporary file was left");
    }
    nn::save_safetensors(path, old, {{"which", "old"}});
  };
  points += fail_each({"saving",
                       [&] {
                         nn::save_safetensors(path, nn::state_dict(net), {{"which", "new"}});
                       },
                       whole});

  Net other;
  const std::vector<Tensor> others = nn::parameters(other);
  const Numbers others_before = numbers_of(others), saved = numbers_of(parameters);
  const Net untrained = nn::clone(other);
  points +=
      fail_each({"loading", [&] { nn::load_state_dict(other, nn::load_safetensors(path).tensors); },
                 [&](bool done) {
                   const Numbers now = numbers_of(others);
                   demand(now == (done ? saved : others_before), "half of it was loaded");
                   nn::load_state_dict(other, nn::state_dict(untrained));
                 }});
  demand(gradients_of(parameters) == given, "gradients have changed");
  return points;
}

// Large enough for the threads of the pool and their buffers.
int64_t parallel_parts() {
  Generator generator(1);
  const Tensor x = randn({180, 300}, generator),
               w = randn({200, 300}, generator, {.requires_grad = true});
  const Tensor q = randn({2, 150, 32}, generator, {.requires_grad = true});
  int64_t points = 0;
  for (const int threads : {1, 3}) {
    set_num_threads(threads);
    points += fail_each({"large products",
                         [&] {
                           std::exception_ptr error;
                           std::thread([&] {  // a new thread has no buffers yet
                             try {
                               const Tensor y = scaled_dot_product_attention(q, q, q);
                               (sum(softmax(linear(x, w), 0)) + sum(y * y)).backward();
                             } catch (...) {
                               error = std::current_exception();
                             }
                           })
                               .join();
                           if (error) std::rethrow_exception(error);
                         },
                         [&](bool) {
                           Tensor(w).zero_grad();
                           Tensor(q).zero_grad();
                         }});
  }
  set_num_threads(0);
  return points;
}

void names_what_it_could_not_have() {
  const auto said = [](const auto& body) {
    try {
      body();
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  current = "a tensor without room";
  const std::string zeros_said = said([] { zeros({int64_t{1} << 44}); });
  demand(zeros_said ==
             "out of memory: cannot allocate 64 TiB for a tensor of shape "
             "[17592186044416] float32",
         zeros_said.c_str());
  const std::string eye_said = said([] { eye(int64_t{1} << 21, {.dtype = float64}); });
  demand(
      eye_said.find("32 TiB for a tensor of shape [2097152, 2097152] float64") != std::string::npos,
      eye_said.c_str());
}

}  // namespace

int main() {
  setenv("REGRAD_FREE_LIST", "0", 1);  // every block is asked for
  std::string folder = (std::filesystem::temp_directory_path() / "regrad-XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) return 1;
  names_what_it_could_not_have();
  const MemoryUse before = memory_use();
  const int64_t points = training_parts(folder) + parallel_parts();
  const MemoryUse after = memory_use();
  current = "the end";
  demand(after.live_bytes == before.live_bytes && after.live_nodes == before.live_nodes,
         "memory is lost");
  std::filesystem::remove_all(folder);
  std::printf("%ld allocations failed\n", static_cast<long>(points));
  return points >= 2000 ? 0 : 1;  // fewer: the faults no longer reach the library
}

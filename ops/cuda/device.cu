// The device as the host sees it: one stream, memory, and what comes and goes between the two.
#include "ops/cuda/device.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "autograd/error.h"
#include "ops/cuda/launch.h"

namespace regrad::gpu {

void succeed(cudaError_t status, const char* what) {
  if (status != cudaSuccess) {
    throw Error(std::string("cuda: ") + what + ": " + cudaGetErrorString(status));
  }
}

cudaStream_t stream() {
  static const cudaStream_t only = [] {
    cudaStream_t made{};
    succeed(cudaStreamCreateWithFlags(&made, cudaStreamNonBlocking), "the stream");
    return made;
  }();
  return only;
}

namespace {

// Blocks that were freed wait for the next of their size. Nothing has to be waited for: all work is
// in one stream, so whoever gets a block next writes it after its last reader.
struct Cache {
  std::mutex mutex;
  std::multimap<int64_t, void*> free_blocks;
};

Cache& cache() {
  static Cache* const only = new Cache;  // tensors may be freed as late as at exit
  return *only;
}

// At least 512 bytes, and from there an eighth of a power of two: at most an eighth is wasted.
int64_t rounded(int64_t bytes) {
  int64_t step = 512;
  while (step * 16 <= bytes) step *= 2;
  return (bytes + step - 1) / step * step + (bytes == 0 ? step : 0);
}

void release_free_blocks(Cache& all) {
  for (const auto& [bytes, block] : all.free_blocks) cudaFreeAsync(block, stream());
  all.free_blocks.clear();
  cudaStreamSynchronize(stream());
}

}  // namespace

void* allocate(int64_t bytes) {
  const int64_t size = rounded(bytes);
  Cache& all = cache();
  const std::lock_guard lock(all.mutex);
  if (const auto found = all.free_blocks.find(size); found != all.free_blocks.end()) {
    void* const block = found->second;
    all.free_blocks.erase(found);
    return block;
  }
  void* block = nullptr;
  if (cudaMallocAsync(&block, static_cast<size_t>(size), stream()) != cudaSuccess) {
    cudaGetLastError();
    release_free_blocks(all);
    const std::string what = "a tensor of " + std::to_string(bytes) + " bytes";
    succeed(cudaMallocAsync(&block, static_cast<size_t>(size), stream()), what.c_str());
  }
  return block;
}

void release(void* block, int64_t bytes) {
  Cache& all = cache();
  const std::lock_guard lock(all.mutex);
  all.free_blocks.emplace(rounded(bytes), block);
}

namespace {

// Pinned memory through which small uploads go, so that the host need not wait for them: two
// halves by turns, each with the event after which it may be written again.
class Staging {
 public:
  void upload(char* to, const char* from, int64_t bytes) {
    const std::lock_guard lock(mutex_);
    while (bytes > 0) {
      const int64_t part = std::min(bytes, half);
      if (at_ + part > half) next_half();
      char* const here = memory_ + turn_ * half + at_;
      std::memcpy(here, from, static_cast<size_t>(part));
      succeed(cudaMemcpyAsync(to, here, static_cast<size_t>(part), cudaMemcpyHostToDevice,
                              stream()),
              "upload");
      at_ += (part + 63) / 64 * 64;
      to += part, from += part, bytes -= part;
    }
  }

  Staging() {
    succeed(cudaMallocHost(&memory_, 2 * static_cast<size_t>(half)), "pinned memory");
    for (cudaEvent_t& event : read_) {
      succeed(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "an event");
    }
  }

 private:
  static constexpr int64_t half = int64_t{8} << 20;

  void next_half() {
    succeed(cudaEventRecord(read_[turn_], stream()), "upload");
    turn_ = 1 - turn_;
    at_ = 0;
    if (used_both_) succeed(cudaEventSynchronize(read_[turn_]), "upload");
    used_both_ = true;
  }

  std::mutex mutex_;
  char* memory_ = nullptr;
  cudaEvent_t read_[2] = {};
  int turn_ = 0;
  int64_t at_ = 0;
  bool used_both_ = false;
};

// What was asked of bad_index() since the last download: a slot of device memory for each, where
// the first bad position arrives, or `nothing`.
struct Question {
  const char* op;
  int64_t size;
};

constexpr int64_t nothing = INT64_MAX;
constexpr size_t most_questions = 1024;

struct Questions {
  std::mutex mutex;
  std::vector<Question> asked;
  int64_t* slots = nullptr;    // on the device
  int64_t* answers = nullptr;  // pinned
};

Questions& questions() {
  static Questions* const only = new Questions;
  return *only;
}

__global__ void forget(int64_t* slot) { *slot = nothing; }

__global__ void find_bad(int64_t n, const int64_t* index, int64_t size, int64_t allowed,
                         bool is_allowed, int64_t* slot) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += step) {
    const bool fits = (index[i] >= 0 && index[i] < size) || (is_allowed && index[i] == allowed);
    if (!fits) {
      atomicMin(reinterpret_cast<unsigned long long*>(slot), static_cast<unsigned long long>(i));
    }
  }
}

// Takes the answers after the stream has come this far, and throws the first bad one.
void answer(Questions& all) {
  const std::vector<Question> asked = std::exchange(all.asked, {});
  for (size_t i = 0; i < asked.size(); ++i) {
    if (all.answers[i] == nothing) continue;
    throw Error(std::string(asked[i].op) + ": the index at position " +
                std::to_string(all.answers[i]) + " is out of range; it must be in [0, " +
                std::to_string(asked[i].size) + ")");
  }
}

void ask_for_answers(const Questions& all) {
  if (all.asked.empty()) return;
  succeed(cudaMemcpyAsync(all.answers, all.slots, all.asked.size() * sizeof(int64_t),
                          cudaMemcpyDeviceToHost, stream()),
          "download");
}

}  // namespace

int64_t bad_index(const char* op, int64_t n, const int64_t* index, int64_t size,
                  const int64_t* allowed) {
  if (n == 0) return -1;
  Questions& all = questions();
  const std::lock_guard lock(all.mutex);
  if (all.slots == nullptr) {
    all.slots = static_cast<int64_t*>(allocate(most_questions * sizeof(int64_t)));
    succeed(cudaMallocHost(&all.answers, most_questions * sizeof(int64_t)), "pinned memory");
  }
  if (all.asked.size() == most_questions) {
    ask_for_answers(all);
    succeed(cudaStreamSynchronize(stream()), "a check of indices");
    answer(all);
  }
  int64_t* const slot = all.slots + all.asked.size();
  all.asked.push_back({op, size});
  launch(forget, 1, 1, slot);
  const int64_t blocks = std::min((n + block_threads - 1) / block_threads, most_blocks);
  launch(find_bad, blocks, block_threads, n, index, size, allowed == nullptr ? 0 : *allowed,
         allowed != nullptr, slot);
  return -1;
}

void upload(void* to, const void* from, int64_t bytes) {
  static Staging* const staging = new Staging;
  staging->upload(static_cast<char*>(to), static_cast<const char*>(from), bytes);
}

void download(void* to, const void* from, int64_t bytes) {
  Questions& all = questions();
  const std::lock_guard lock(all.mutex);
  if (bytes > 0) {
    succeed(cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), cudaMemcpyDeviceToHost, stream()),
            "download");
  }
  ask_for_answers(all);
  succeed(cudaStreamSynchronize(stream()), "a kernel before this download");
  answer(all);
}

}  // namespace regrad::gpu

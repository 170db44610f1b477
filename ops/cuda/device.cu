// The device as the host sees it: one stream, memory, and what comes and goes between the two.
#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "autograd/error.h"
#include "ops/cuda/device.h"
#include "ops/cuda/team.h"

namespace regrad::gpu {

void check_cuda(cudaError_t status, const char* what) {
  if (status != cudaSuccess) {
    throw Error(std::string("cuda: ") + what + ": " + cudaGetErrorString(status));
  }
}

cudaStream_t stream() {
  static const cudaStream_t only = [] {
    cudaStream_t made{};
    check_cuda(cudaStreamCreateWithFlags(&made, cudaStreamNonBlocking), "the stream");
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

void* try_to_allocate(int64_t bytes) {
  const int64_t size = rounded(bytes);
  Cache& all = cache();
  const std::lock_guard lock(all.mutex);
  if (const auto found = all.free_blocks.find(size); found != all.free_blocks.end()) {
    void* const block = found->second;
    all.free_blocks.erase(found);
    return block;
  }
  void* block = nullptr;
  cudaError_t status = cudaMallocAsync(&block, static_cast<size_t>(size), stream());
  if (status != cudaSuccess) {
    cudaGetLastError();
    release_free_blocks(all);
    status = cudaMallocAsync(&block, static_cast<size_t>(size), stream());
  }
  if (status == cudaErrorMemoryAllocation) return cudaGetLastError(), nullptr;
  check_cuda(status, "memory");
  return block;
}

void* allocate(int64_t bytes) {
  void* const block = try_to_allocate(bytes);
  if (block == nullptr) {
    throw Error("cuda: out of memory: cannot allocate " + std::to_string(bytes) + " bytes");
  }
  return block;
}

void release(void* block, int64_t bytes) {
  Cache& all = cache();
  const std::lock_guard lock(all.mutex);
  try {
    all.free_blocks.emplace(rounded(bytes), block);
  } catch (const std::bad_alloc&) {  // of the host: then the block is not kept
    cudaFreeAsync(block, stream());
  }
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
      check_cuda(
          cudaMemcpyAsync(to, here, static_cast<size_t>(part), cudaMemcpyHostToDevice, stream()),
          "upload");
      at_ += (part + 63) / 64 * 64;
      to += part, from += part, bytes -= part;
    }
  }

  Staging() {
    check_cuda(cudaMallocHost(&memory_, 2 * static_cast<size_t>(half)), "pinned memory");
    for (cudaEvent_t& event : read_) {
      check_cuda(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "an event");
    }
  }

 private:
  static constexpr int64_t half = int64_t{8} << 20;

  void next_half() {
    check_cuda(cudaEventRecord(read_[turn_], stream()), "upload");
    turn_ = 1 - turn_;
    at_ = 0;
    if (used_both_) check_cuda(cudaEventSynchronize(read_[turn_]), "upload");
    used_both_ = true;
  }

  std::mutex mutex_;
  char* memory_ = nullptr;
  cudaEvent_t read_[2] = {};
  int turn_ = 0;
  int64_t at_ = 0;
  bool used_both_ = false;
};

// What was asked of bad_index() since the last download. Each question has places in the device's
// memory, one for each of its parts, where the part's first bad position and what stands there
// arrive.
struct Found {
  int64_t position, value;  // position: `nothing` where all are good
};

struct Question {
  const char* op;
  int64_t size;
  bool is_target;  // something besides [0, size) was allowed
  int64_t first, parts;
};

constexpr int64_t nothing = INT64_MAX, most_places = 4096, most_parts = 64, least_part = 1 << 16;

struct Questions {
  std::mutex mutex;
  std::vector<Question> asked;
  Found* places = nullptr;   // on the device
  Found* answers = nullptr;  // pinned
  int64_t used() const { return asked.empty() ? 0 : asked.back().first + asked.back().parts; }
};

Questions& questions() {
  static Questions* const only = new Questions;
  return *only;
}

struct Least {
  __device__ int64_t operator()(int64_t a, int64_t b) const { return a < b ? a : b; }
};

// A block for each part.
__global__ void find_bad(int64_t n, const int64_t* index, int64_t size, int64_t allowed,
                         bool is_allowed, int64_t part, Found* found) {
  const int64_t begin = blockIdx.x * part, end = begin + part < n ? begin + part : n;
  int64_t least = nothing;
  for (int64_t i = begin + threadIdx.x; i < end; i += block_threads) {
    const bool fits = (index[i] >= 0 && index[i] < size) || (is_allowed && index[i] == allowed);
    if (!fits && i < least) least = i;
  }
  least = Team<block_threads>::reduce(least, Least());
  if (threadIdx.x == 0) found[blockIdx.x] = {least, least == nothing ? 0 : index[least]};
}

[[noreturn]] void report(const Question& asked, const Found& found) {
  const std::string at = " " + std::to_string(found.value) + " at position " +
                         std::to_string(found.position) + " is out of range; ";
  const std::string size = std::to_string(asked.size);
  throw Error(asked.op + (asked.is_target ? ": target" + at + "there are " + size + " classes"
                                          : ": index" + at + "it must be in [0, " + size + ")"));
}

// Takes the answers after the stream has come this far, and throws the first bad one.
void answer(Questions& all) {
  for (const Question& asked : std::exchange(all.asked, {})) {
    for (int64_t part = 0; part < asked.parts; ++part) {
      const Found& found = all.answers[asked.first + part];
      if (found.position != nothing) report(asked, found);
    }
  }
}

void ask_for_answers(const Questions& all) {
  if (all.asked.empty()) return;
  check_cuda(
      cudaMemcpyAsync(all.answers, all.places, static_cast<size_t>(all.used()) * sizeof(Found),
                      cudaMemcpyDeviceToHost, stream()),
      "download");
}

}  // namespace

int64_t bad_index(const char* op, int64_t n, const int64_t* index, int64_t size,
                  const int64_t* allowed) {
  if (n == 0) return -1;
  Questions& all = questions();
  const std::lock_guard lock(all.mutex);
  if (all.places == nullptr) {
    constexpr int64_t bytes = most_places * static_cast<int64_t>(sizeof(Found));
    if (all.answers == nullptr) {
      check_cuda(cudaMallocHost(&all.answers, static_cast<size_t>(bytes)), "pinned memory");
    }
    all.places = static_cast<Found*>(allocate(bytes));
  }
  if (all.used() + most_parts > most_places) {
    ask_for_answers(all);
    check_cuda(cudaStreamSynchronize(stream()), "a check of indices");
    answer(all);
  }
  const int64_t part = std::max(least_part, (n + most_parts - 1) / most_parts);
  const int64_t parts = (n + part - 1) / part, first = all.used();
  all.asked.push_back({op, size, allowed != nullptr, first, parts});
  launch(find_bad, parts, block_threads, n, index, size, allowed == nullptr ? 0 : *allowed,
         allowed != nullptr, part, all.places + first);
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
    check_cuda(
        cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), cudaMemcpyDeviceToHost, stream()),
        "download");
  }
  ask_for_answers(all);
  check_cuda(cudaStreamSynchronize(stream()), "a kernel before this download");
  answer(all);
}

}  // namespace regrad::gpu

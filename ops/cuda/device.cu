// The host's side of the device: one stream, memory allocation, transfers, and checks of indices.
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
  static const cudaStream_t instance = [] {
    cudaStream_t created{};
    check_cuda(cudaStreamCreateWithFlags(&created, cudaStreamNonBlocking), "the stream");
    return created;
  }();
  return instance;
}

namespace {

// A caching allocator: freed blocks are reused for allocations of the same size. No synchronisation
// is needed, as all work is in one stream: the next owner writes a block after its last reader.
struct Cache {
  std::mutex mutex;
  std::multimap<int64_t, void*> free_blocks;
};

Cache& block_cache() {
  static Cache* const instance = new Cache;  // tensors may be freed as late as at exit
  return *instance;
}

// Sizes are rounded up to multiples of 512 bytes, or of an eighth of the largest power of two in
// them, so that at most an eighth is wasted.
int64_t rounded_size(int64_t bytes) {
  int64_t granularity = 512;
  while (granularity * 16 <= bytes) granularity *= 2;
  return (bytes + granularity - 1) / granularity * granularity + (bytes == 0 ? granularity : 0);
}

void release_free_blocks(Cache& cache) {
  for (const auto& [bytes, block] : cache.free_blocks) cudaFreeAsync(block, stream());
  cache.free_blocks.clear();
  cudaStreamSynchronize(stream());
}

}  // namespace

void* try_to_allocate(int64_t bytes) {
  const int64_t size = rounded_size(bytes);
  Cache& cache = block_cache();
  const std::lock_guard lock(cache.mutex);
  if (const auto match = cache.free_blocks.find(size); match != cache.free_blocks.end()) {
    void* const block = match->second;
    cache.free_blocks.erase(match);
    return block;
  }
  void* block = nullptr;
  cudaError_t status = cudaMallocAsync(&block, static_cast<size_t>(size), stream());
  if (status != cudaSuccess) {
    cudaGetLastError();
    release_free_blocks(cache);
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
  Cache& cache = block_cache();
  const std::lock_guard lock(cache.mutex);
  try {
    cache.free_blocks.emplace(rounded_size(bytes), block);
  } catch (const std::bad_alloc&) {  // no host memory: the block is not cached
    cudaFreeAsync(block, stream());
  }
}

namespace {

// A staging buffer of pinned memory for uploads, so that the host need not wait for them. Its two
// halves are used alternately; each has an event after which it may be overwritten.
class Staging {
 public:
  void upload(char* destination, const char* source, int64_t bytes) {
    const std::lock_guard lock(mutex_);
    while (bytes > 0) {
      const int64_t bytes_in_part = std::min(bytes, half);
      if (position_ + bytes_in_part > half) next_half();
      char* const staged = memory_ + half_index_ * half + position_;
      std::memcpy(staged, source, static_cast<size_t>(bytes_in_part));
      check_cuda(cudaMemcpyAsync(destination, staged, static_cast<size_t>(bytes_in_part),
                                 cudaMemcpyHostToDevice, stream()),
                 "upload");
      position_ += (bytes_in_part + 63) / 64 * 64;
      destination += bytes_in_part, source += bytes_in_part, bytes -= bytes_in_part;
    }
  }

  Staging() {
    check_cuda(cudaMallocHost(&memory_, 2 * static_cast<size_t>(half)), "pinned memory");
    for (cudaEvent_t& event : reads_done_) {
      check_cuda(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "an event");
    }
  }

 private:
  static constexpr int64_t half = int64_t{8} << 20;

  void next_half() {
    check_cuda(cudaEventRecord(reads_done_[half_index_], stream()), "upload");
    half_index_ = 1 - half_index_;
    position_ = 0;
    if (both_used_) check_cuda(cudaEventSynchronize(reads_done_[half_index_]), "upload");
    both_used_ = true;
  }

  std::mutex mutex_;
  char* memory_ = nullptr;
  cudaEvent_t reads_done_[2] = {};
  int half_index_ = 0;
  int64_t position_ = 0;
  bool both_used_ = false;
};

// The checks that bad_index() has enqueued since the last download. An index array is checked in
// parts; each part has a result in device memory: its first bad index and where that is.
struct BadIndex {
  int64_t position, value;  // position is no_position if all indices are good
};

struct IndexCheck {
  const char* op;
  int64_t size;
  bool is_target;        // an index outside [0, size) is allowed: the indices are targets of a loss
  int64_t first, parts;  // the range of its results
};

constexpr int64_t no_position = INT64_MAX, max_results = 4096, max_parts = 64,
                  min_part_size = 1 << 16;

struct PendingChecks {
  std::mutex mutex;
  std::vector<IndexCheck> pending;
  BadIndex* device_results = nullptr;
  BadIndex* host_results = nullptr;  // pinned memory
  int64_t used() const { return pending.empty() ? 0 : pending.back().first + pending.back().parts; }
};

PendingChecks& pending_checks() {
  static PendingChecks* const instance = new PendingChecks;
  return *instance;
}

struct Min {
  __device__ int64_t operator()(int64_t a, int64_t b) const { return a < b ? a : b; }
};

// A block checks one part.
__global__ void find_bad_index(int64_t n, const int64_t* index, int64_t size, int64_t allowed,
                               bool has_allowed, int64_t part_size, BadIndex* result) {
  const int64_t begin = blockIdx.x * part_size, end = begin + part_size < n ? begin + part_size : n;
  int64_t min_position = no_position;
  for (int64_t i = begin + threadIdx.x; i < end; i += block_threads) {
    const bool is_good = (index[i] >= 0 && index[i] < size) || (has_allowed && index[i] == allowed);
    if (!is_good && i < min_position) min_position = i;
  }
  min_position = Team<block_threads>::reduce(min_position, Min());
  if (threadIdx.x == 0)
    result[blockIdx.x] = {min_position, min_position == no_position ? 0 : index[min_position]};
}

[[noreturn]] void throw_bad_index(const IndexCheck& check, const BadIndex& result) {
  const std::string text = " " + std::to_string(result.value) + " at position " +
                           std::to_string(result.position) + " is out of range; ";
  const std::string size = std::to_string(check.size);
  throw Error(check.op + (check.is_target ? ": target" + text + "there are " + size + " classes"
                                          : ": index" + text + "it must be in [0, " + size + ")"));
}

// Throws the first error of the downloaded results, and clears the checks. The stream must have
// been synchronised.
void throw_errors(PendingChecks& checks) {
  for (const IndexCheck& check : std::exchange(checks.pending, {})) {
    for (int64_t part = 0; part < check.parts; ++part) {
      const BadIndex& result = checks.host_results[check.first + part];
      if (result.position != no_position) throw_bad_index(check, result);
    }
  }
}

void download_results(const PendingChecks& checks) {
  if (checks.pending.empty()) return;
  check_cuda(cudaMemcpyAsync(checks.host_results, checks.device_results,
                             static_cast<size_t>(checks.used()) * sizeof(BadIndex),
                             cudaMemcpyDeviceToHost, stream()),
             "download");
}

}  // namespace

int64_t bad_index(const char* op, int64_t n, const int64_t* index, int64_t size,
                  const int64_t* allowed) {
  if (n == 0) return -1;
  PendingChecks& checks = pending_checks();
  const std::lock_guard lock(checks.mutex);
  if (checks.device_results == nullptr) {
    constexpr int64_t bytes = max_results * static_cast<int64_t>(sizeof(BadIndex));
    if (checks.host_results == nullptr) {
      check_cuda(cudaMallocHost(&checks.host_results, static_cast<size_t>(bytes)), "pinned memory");
    }
    checks.device_results = static_cast<BadIndex*>(allocate(bytes));
  }
  if (checks.used() + max_parts > max_results) {
    download_results(checks);
    check_cuda(cudaStreamSynchronize(stream()), "a check of indices");
    throw_errors(checks);
  }
  const int64_t part_size = std::max(min_part_size, (n + max_parts - 1) / max_parts);
  const int64_t parts = (n + part_size - 1) / part_size, first = checks.used();
  checks.pending.push_back({op, size, allowed != nullptr, first, parts});
  launch(find_bad_index, parts, block_threads, n, index, size, allowed == nullptr ? 0 : *allowed,
         allowed != nullptr, part_size, checks.device_results + first);
  return -1;
}

void upload(void* destination, const void* source, int64_t bytes) {
  static Staging* const staging = new Staging;
  staging->upload(static_cast<char*>(destination), static_cast<const char*>(source), bytes);
}

void download(void* destination, const void* source, int64_t bytes) {
  PendingChecks& checks = pending_checks();
  const std::lock_guard lock(checks.mutex);
  if (bytes > 0) {
    check_cuda(cudaMemcpyAsync(destination, source, static_cast<size_t>(bytes),
                               cudaMemcpyDeviceToHost, stream()),
               "download");
  }
  download_results(checks);
  check_cuda(cudaStreamSynchronize(stream()), "a kernel before this download");
  throw_errors(checks);
}

}  // namespace regrad::gpu

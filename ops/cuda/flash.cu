// softmax(scale q kᵀ + bias) v and its derivatives without storing the scores: a block of threads
// processes a tile of queries and loops over tiles of keys in shared memory; in the backward pass
// it processes tiles of keys and loops over queries (Dao et al., "FlashAttention", 2022; Milakov
// and Gimelshein, "Online normalizer calculation for softmax", 2018).
//   With P the softmax and dP = g vᵀ:  dS = P (dP - delta), delta = sum(g out),
//   dq = scale dS k,  dk = scale dSᵀ q,  dv = Pᵀ g.
#include "ops/cuda/attention.h"
#include "ops/cuda/device.h"
#include "ops/cuda/team.h"
#include "ops/cuda/tile.h"

namespace regrad::gpu {
namespace {

using Call = AttentionCall<float>;
constexpr int tile_keys = 64, thread_keys = tile_keys / grid_side;

// e^x, where x may be any difference of two finite scores.
__device__ inline float exp_difference(float x) { return ::exp2f(x * 1.44269504f); }

template <class T>
__device__ T* batch_entry(const Call& call, const AttentionOperand<T>& x, int64_t batch) {
  return x.data == nullptr ? nullptr : x.data + batch_offset(call, x.batch, batch);
}

// The operands of one batch entry, and its masks.
struct Head {
  const Call& call;
  const float *q, *k, *v, *g, *bias;
  const bool* mask;
  float *out, *softmax, *dk, *dv;

  __device__ Head(const Call& call_, int64_t batch)
      : call(call_),
        q(batch_entry(call_, call_.q, batch)),
        k(batch_entry(call_, call_.k, batch)),
        v(batch_entry(call_, call_.v, batch)),
        g(batch_entry(call_, call_.g, batch)),
        bias(batch_entry(call_, call_.bias, batch)),
        mask(batch_entry(call_, call_.mask, batch)),
        out(batch_entry(call_, call_.out, batch)),
        softmax(batch_entry(call_, call_.softmax, batch)),
        dk(batch_entry(call_, call_.dk, batch)),
        dv(batch_entry(call_, call_.dv, batch)) {}

  __device__ bool visible(int64_t i, int64_t j) const {
    return i < call.queries && j < call.keys && (!call.causal || j <= i) &&
           (mask == nullptr || mask[i * call.mask.row + j * call.mask.column]);
  }
  // Turns the products of a tile, of queries from `first` on and keys from `key` on, into scores.
  template <int R>
  __device__ void mask_scores(int64_t first, int64_t key, Fragment<R, thread_keys>& tile) const {
    const bool inside = first + grid_side * R <= call.queries && key + tile_keys <= call.keys &&
                        (!call.causal || key + tile_keys <= first + 1);
    if (inside && mask == nullptr && bias == nullptr) return;
#pragma unroll
    for (int r = 0; r < R; ++r) {
      const int64_t i = first + thread_row() * R + r;
#pragma unroll
      for (int c = 0; c < thread_keys; ++c) {
        const int64_t j = key + strided_column(c);
        float& score = tile.values[r][c];
        if (!visible(i, j)) {
          score = -infinity<float>();
        } else if (bias != nullptr) {
          score += bias[i * call.bias.row + j * call.bias.column];
        }
      }
    }
  }
};

// One step of the online softmax for R rows: stores exp(score - maximum) in `probs`, and rescales
// the sums and the output to the new maximum.
template <int R, int C, class Weights>
__device__ void online_softmax(const Fragment<R, thread_keys>& scores, const Weights& probs,
                               float (&row_max)[R], float (&sum)[R], Fragment<R, C>& out) {
#pragma unroll
  for (int r = 0; r < R; ++r) {
    float new_max = row_max[r];
#pragma unroll
    for (int c = 0; c < thread_keys; ++c) new_max = v_max(new_max, scores.values[r][c]);
    new_max = reduce_row(new_max, Max());
    const float shift = softmax_shift(new_max), factor = exp_difference(row_max[r] - shift);
    row_max[r] = new_max;
    float total = 0;
#pragma unroll
    for (int c = 0; c < thread_keys; ++c) {
      const float prob = exp_difference(scores.values[r][c] - shift);
      probs.at(thread_row() * R + r, strided_column(c)) = prob;
      total += prob;
    }
    sum[r] = multiply_add(sum[r], factor, total);
#pragma unroll
    for (int c = 0; c < C; ++c) out.values[r][c] *= factor;
  }
}

// Queries [first, first + 16 R) of a batch entry; depth and width are at most D.
template <int R, int D>
struct Forward {
  static constexpr int rows = grid_side * R, C = D / grid_side;
  static constexpr int shared_floats =
      Shared<rows, D>::size + 2 * Shared<tile_keys, D>::size + Shared<rows, tile_keys>::size;

  __device__ static void run(const Head& head, int64_t first, float* memory) {
    const auto q = Shared<rows, D>::alloc(memory);
    const auto k = Shared<tile_keys, D>::alloc(memory), v = Shared<tile_keys, D>::alloc(memory);
    const auto probs = Shared<rows, tile_keys>::alloc(memory);
    const Call& call = head.call;
    q.load(head.q, call.q.row, first, call.queries, call.depth, call.scale);
    float row_max[R], sum[R] = {};
    for (float& value : row_max) value = -infinity<float>();
    Fragment<R, C> out;
    const int64_t end = call.causal && first + rows < call.keys ? first + rows : call.keys;
    for (int64_t key = 0; key < end; key += tile_keys) {
      __syncthreads();
      k.load(head.k, call.k.row, key, call.keys, call.depth);
      const bool v_finite = v.load(head.v, call.v.row, key, call.keys, call.width);
      const bool finite = __syncthreads_and(v_finite || !has_masked_keys(call));
      Fragment<R, thread_keys> scores;
      gemm_nt(scores, q, k);
      head.mask_scores(first, key, scores);
      online_softmax(scores, probs, row_max, sum, out);
      __syncwarp();  // a warp reads only the rows of probs that it wrote
      finite ? gemm_nn(out, probs, v) : gemm_nn<true>(out, probs, v);
    }
    write(head, first, row_max, sum, out);
  }

  __device__ static void write(const Head& head, int64_t first, const float (&row_max)[R],
                               const float (&sum)[R], const Fragment<R, C>& out) {
    const Call& call = head.call;
#pragma unroll
    for (int r = 0; r < R; ++r) {
      const float total = reduce_row(sum[r], Sum()), scale = total == 0 ? 0 : 1 / total;
      const int64_t i = first + thread_row() * R + r;
      if (i >= call.queries) continue;
#pragma unroll
      for (int c = 0; c < C; ++c) {
        const int column = grouped_column<C>(c);
        if (column < call.width) head.out[i * call.out.row + column] = out.values[r][c] * scale;
      }
      if (head.softmax != nullptr && thread_column() == 0) {
        head.softmax[i * call.softmax.row] = softmax_shift(row_max[r]);
        head.softmax[i * call.softmax.row + 1] = scale;
      }
    }
  }
};

// Blocks process the last queries first: with a causal mask, these have the most keys.
template <int R, int D>
__global__ void __launch_bounds__(block_threads, 2) forward(Call call, int64_t blocks) {
  const int64_t batch = blockIdx.x / blocks, block = blocks - 1 - blockIdx.x % blocks;
  Forward<R, D>::run(Head(call, batch), block * grid_side * R, shared_memory<float>());
}

// delta = sum(g out), for every query of every batch entry
template <int threads>
__global__ void delta_kernel(Call call, float* delta) {
  using Threads = Team<threads>;
  const int64_t rows = batch_count(call) * call.queries;
  for (int64_t row = Threads::first(); row < rows; row += Threads::step()) {
    const int64_t batch = row / call.queries, i = row % call.queries;
    const float* g = batch_entry(call, call.g, batch) + i * call.g.row;
    const float* out = batch_entry(call, call.out, batch) + i * call.out.row;
    double sum = 0;
    for (int64_t j = Threads::rank(); j < call.width; j += threads) {
      sum += static_cast<double>(g[j]) * static_cast<double>(out[j]);
    }
    sum = Threads::reduce(sum, Sum());
    if (Threads::rank() == 0) delta[row] = static_cast<float>(sum);
  }
}

// A block processes every `splits`-th tile of keys of a batch entry, in order, and accumulates
// their part of dq into its own buffer, one of [splits, batches, queries, D].
struct DqArgs {
  const float* delta;  // [batches, queries]
  float* dq;
  int64_t splits;
};

template <int D>
struct Backward {
  static constexpr int rows = 64, R = rows / grid_side, C = D / grid_side;
  static constexpr int shared_floats = 2 * Shared<rows, D>::size + 2 * Shared<tile_keys, D>::size +
                                       2 * Shared<rows, tile_keys>::size;
  Shared<rows, D> q, g;
  Shared<tile_keys, D> k, v;
  Shared<rows, tile_keys> probs, dscores;

  __device__ explicit Backward(float* memory)
      : q(Shared<rows, D>::alloc(memory)),
        g(Shared<rows, D>::alloc(memory)),
        k(Shared<tile_keys, D>::alloc(memory)),
        v(Shared<tile_keys, D>::alloc(memory)),
        probs(Shared<rows, tile_keys>::alloc(memory)),
        dscores(Shared<rows, tile_keys>::alloc(memory)) {}

  // Computes P and dS of a tile of queries and a tile of keys.
  __device__ void compute_dscores(const Head& head, int64_t first, int64_t key,
                                  const float* delta) const {
    const Call& call = head.call;
    float shift[R], factor[R], row_delta[R];
#pragma unroll
    for (int r = 0; r < R; ++r) {
      const int64_t i = first + thread_row() * R + r;
      const float* const saved = head.softmax + i * call.softmax.row;
      shift[r] = i < call.queries ? saved[0] : 0.f;
      factor[r] = i < call.queries ? saved[1] : 0.f;
      row_delta[r] = i < call.queries ? delta[i] : 0.f;
    }
    Fragment<R, thread_keys> scores, dprobs;
    gemm_nt(scores, q, k);
    gemm_nt(dprobs, g, v);
    head.mask_scores(first, key, scores);
#pragma unroll
    for (int r = 0; r < R; ++r) {
#pragma unroll
      for (int c = 0; c < thread_keys; ++c) {
        const float score = scores.values[r][c];
        const float prob =
            score == -infinity<float>() ? 0.f : exp_difference(score - shift[r]) * factor[r];
        probs.at(thread_row() * R + r, strided_column(c)) = prob;
        dscores.at(thread_row() * R + r, strided_column(c)) =
            prob == 0 ? 0.f : prob * (dprobs.values[r][c] - row_delta[r]);
      }
    }
  }

  // dq [queries, D] += dS k
  __device__ void add_to_dq(int64_t first, int64_t queries, float* dq, bool finite) const {
    constexpr int pack_width = C < 4 ? C : 4;
    using Floats = Pack<float, pack_width>;
    Fragment<R, C> tile;
    const auto for_each_pack = [&](const auto& body) {
#pragma unroll
      for (int r = 0; r < R; ++r) {
        const int64_t i = first + thread_row() * R + r;
#pragma unroll
        for (int c = 0; c < C; c += pack_width) {
          if (i < queries) {
            body(tile.values[r] + c, *reinterpret_cast<Floats*>(dq + i * D + grouped_column<C>(c)));
          }
        }
      }
    };
    for_each_pack([](float* registers, const Floats& memory) {
      const Floats loaded = memory;
#pragma unroll
      for (int c = 0; c < pack_width; ++c) registers[c] = loaded.values[c];
    });
    finite ? gemm_nn(tile, dscores, k) : gemm_nn<true>(tile, dscores, k);
    for_each_pack([](const float* registers, Floats& memory) {
      Floats sum;
#pragma unroll
      for (int c = 0; c < pack_width; ++c) sum.values[c] = registers[c];
      memory = sum;
    });
  }

  __device__ static void write(float* out, int64_t row_stride, int64_t key, int64_t keys,
                               int64_t width, const Fragment<4, C>& tile, float factor) {
#pragma unroll
    for (int r = 0; r < 4; ++r) {
      const int64_t j = key + thread_row() * 4 + r;
#pragma unroll
      for (int c = 0; c < C; ++c) {
        const int column = grouped_column<C>(c);
        if (j < keys && column < width) out[j * row_stride + column] = factor * tile.values[r][c];
      }
    }
  }

  __device__ void run(const Head& head, int64_t key, const float* delta, float* dq) const {
    const Call& call = head.call;
    const bool k_finite = k.load(head.k, call.k.row, key, call.keys, call.depth);
    v.load(head.v, call.v.row, key, call.keys, call.width);
    Fragment<4, C> dk, dv;
    for (int64_t first = call.causal ? key / rows * rows : 0; first < call.queries; first += rows) {
      const bool q_finite = q.load(head.q, call.q.row, first, call.queries, call.depth, call.scale);
      const bool g_finite = g.load(head.g, call.g.row, first, call.queries, call.width);
      const bool finite =
          __syncthreads_and((q_finite && g_finite && k_finite) || !has_masked_keys(call));
      compute_dscores(head, first, key, delta);
      __syncthreads();
      if (finite) {
        gemm_tn(dv, probs, g);
        gemm_tn(dk, dscores, q);
      } else {
        gemm_tn<true>(dv, probs, g);
        gemm_tn<true>(dk, dscores, q);
      }
      if (dq != nullptr) add_to_dq(first, call.queries, dq, finite);
      __syncthreads();
    }
    if (head.dk != nullptr) write(head.dk, call.dk.row, key, call.keys, call.depth, dk, 1);
    if (head.dv != nullptr) write(head.dv, call.dv.row, key, call.keys, call.width, dv, 1);
  }
};

template <int D>
__global__ void __launch_bounds__(block_threads, D == 128 ? 1 : 2) backward(Call call, DqArgs arg) {
  const Backward<D> block(shared_memory<float>());
  const int64_t batch = blockIdx.x / arg.splits, split = blockIdx.x % arg.splits;
  const int64_t batches = gridDim.x / arg.splits;
  float* const dq =
      arg.dq == nullptr ? nullptr : arg.dq + (split * batches + batch) * call.queries * D;
  const Head head(call, batch);
  for (int64_t key = split * tile_keys; key < call.keys; key += arg.splits * tile_keys) {
    block.run(head, key, arg.delta + batch * call.queries, dq);
  }
}

// dq = scale (the sum of the splits)
template <int D>
struct CombineSplits {
  Call call;
  DqArgs arg;
  int64_t batches;
  __device__ void operator()(int64_t i) const {
    const int64_t column = i % call.depth, row = i / call.depth;
    float sum = 0;
    for (int64_t split = 0; split < arg.splits; ++split) {
      sum += arg.dq[(split * batches * call.queries + row) * D + column];
    }
    float* const dq = batch_entry(call, call.dq, row / call.queries);
    dq[row % call.queries * call.dq.row + column] = call.scale * sum;
  }
};

template <int R, int D>
bool start_forward(const Call& call) {
  const int64_t blocks = (call.queries + grid_side * R - 1) / (grid_side * R);
  return launch_shared(forward<R, D>, batch_count(call) * blocks, block_threads,
                       Forward<R, D>::shared_floats * sizeof(float), call, blocks);
}

constexpr int64_t enough_blocks = 256;  // a constant, so that all GPUs give the same bits

template <int D>
bool start_forward(const Call& call) {
  if constexpr (D < 128) {
    constexpr int64_t rows = grid_side * 8;
    if (batch_count(call) * ((call.queries + rows - 1) / rows) >= enough_blocks / 2 &&
        start_forward<8, D>(call)) {
      return true;
    }
  }
  return start_forward<4, D>(call);
}

template <int D>
bool start_backward(const Call& call) {
  constexpr int64_t bytes = Backward<D>::shared_floats * sizeof(float);
  if (!fits_shared(bytes)) return false;
  const int64_t batches = batch_count(call), rows = batches * call.queries;
  const int64_t tiles = (call.keys + tile_keys - 1) / tile_keys;
  const int64_t splits = std::clamp<int64_t>(enough_blocks / batches, 1, tiles);
  const bool needs_dq = call.dq.data != nullptr;
  const Scratch<float> delta(rows), dq(needs_dq ? splits * rows * D : 0);
  const DqArgs out{delta.data(), needs_dq ? dq.data() : nullptr, splits};
  if (needs_dq) {
    check_cuda(cudaMemsetAsync(dq.data(), 0, static_cast<size_t>(splits * rows * D) * sizeof(float),
                               stream()),
               "attention");
  }
  launch_rows(rows, call.width, delta_kernel<warp_threads>, delta_kernel<block_threads>, call,
              delta.data());
  launch_shared(backward<D>, batches * splits, block_threads, bytes, call, out);
  if (needs_dq) for_each(rows * call.depth, CombineSplits<D>{call, out, batches});
  return true;
}

bool supported(const Call& call) {
  return std::min({call.queries, call.keys, call.depth, call.width, batch_count(call)}) > 0 &&
         std::max(call.depth, call.width) <= 128;
}

}  // namespace

bool flash_attention(const Call& call) {
  if (!supported(call)) return false;
  const int64_t max_width = std::max(call.depth, call.width);
  return max_width <= 32   ? start_forward<32>(call)
         : max_width <= 64 ? start_forward<64>(call)
                           : start_forward<128>(call);
}

bool flash_attention_backward(const Call& call) {
  if (!supported(call) || call.dbias.data != nullptr || call.softmax.data == nullptr) return false;
  const int64_t max_width = std::max(call.depth, call.width);
  return max_width <= 32   ? start_backward<32>(call)
         : max_width <= 64 ? start_backward<64>(call)
                           : start_backward<128>(call);
}

}  // namespace regrad::gpu

// softmax(scale q kᵀ + bias) v and its derivatives without ever storing the scores: a block of
// threads takes some queries, or for the derivative some keys, and goes through the others tile by
// tile in shared memory (Dao et al., "FlashAttention", 2022; Milakov and Gimelshein, "Online
// normalizer calculation for softmax", 2018). What it saves is what the cpu saves.
//   With P the weights and dP = g vᵀ:  dS = P (dP - sum(g out)),  dq = scale dS k,
//   dk = scale dSᵀ q,  dv = Pᵀ g.
#include "ops/cuda/attention.h"
#include "ops/cuda/device.h"
#include "ops/cuda/team.h"
#include "ops/cuda/tile.h"

namespace regrad::gpu {
namespace {

using Call = AttentionCall<float>;
constexpr int tile_keys = 64, key_columns = tile_keys / side;

// e^x for a difference of scores, each of which may be as large as a number gets.
__device__ inline float exp_of_difference(float x) { return ::exp2f(x * 1.44269504f); }

template <class T>
__device__ T* batch_entry(const Call& call, const AttentionOperand<T>& x, int64_t member) {
  return x.data == nullptr ? nullptr : x.data + batch_offset(call, x.batch, member);
}

// One member of the batch: its operands, and which of its scores count.
struct Head {
  const Call& call;
  const float *q, *k, *v, *g, *bias;
  const bool* mask;
  float *out, *softmax, *dk, *dv;

  __device__ Head(const Call& of, int64_t member)
      : call(of),
        q(batch_entry(of, of.q, member)),
        k(batch_entry(of, of.k, member)),
        v(batch_entry(of, of.v, member)),
        g(batch_entry(of, of.g, member)),
        bias(batch_entry(of, of.bias, member)),
        mask(batch_entry(of, of.mask, member)),
        out(batch_entry(of, of.out, member)),
        softmax(batch_entry(of, of.softmax, member)),
        dk(batch_entry(of, of.dk, member)),
        dv(batch_entry(of, of.dv, member)) {}

  __device__ bool allows(int64_t i, int64_t j) const {
    return i < call.queries && j < call.keys && (!call.causal || j <= i) &&
           (mask == nullptr || mask[i * call.mask.row + j * call.mask.column]);
  }
  // Products of the queries from `first` on and the keys from `key` on become scores.
  template <int R>
  __device__ void finish(int64_t first, int64_t key, Part<R, key_columns>& products) const {
    const bool all_count = first + side * R <= call.queries && key + tile_keys <= call.keys &&
                           (!call.causal || key + tile_keys <= first + 1);
    if (all_count && mask == nullptr && bias == nullptr) return;
#pragma unroll
    for (int r = 0; r < R; ++r) {
      const int64_t i = first + down() * R + r;
#pragma unroll
      for (int c = 0; c < key_columns; ++c) {
        const int64_t j = key + spread_column(c);
        float& score = products.values[r][c];
        if (!allows(i, j)) {
          score = -infinity<float>();
        } else if (bias != nullptr) {
          score += bias[i * call.bias.row + j * call.bias.column];
        }
      }
    }
  }
};

// R rows of scores become e^(score - greatest), in `weights`; what was summed before
// is scaled to the new greatest.
template <int R, int C, class Weights>
__device__ void weigh(const Part<R, key_columns>& scores, const Weights& weights, float (&most)[R],
                      float (&sum)[R], Part<R, C>& out) {
#pragma unroll
  for (int r = 0; r < R; ++r) {
    float greatest = most[r];
#pragma unroll
    for (int c = 0; c < key_columns; ++c) greatest = v_max(greatest, scores.values[r][c]);
    greatest = over_row(greatest, Max());
    const float shift = softmax_shift(greatest), factor = exp_of_difference(most[r] - shift);
    most[r] = greatest;
    float total = 0;
#pragma unroll
    for (int c = 0; c < key_columns; ++c) {
      const float weight = exp_of_difference(scores.values[r][c] - shift);
      weights.at(down() * R + r, spread_column(c)) = weight;
      total += weight;
    }
    sum[r] = multiply_add(sum[r], factor, total);
#pragma unroll
    for (int c = 0; c < C; ++c) out.values[r][c] *= factor;
  }
}

// Queries [first, first + 16 R) of a member; depth and width at most D.
template <int R, int D>
struct Forward {
  static constexpr int rows = side * R, C = D / side;
  static constexpr int shared_floats =
      Shared<rows, D>::size + 2 * Shared<tile_keys, D>::size + Shared<rows, tile_keys>::size;

  __device__ static void run(const Head& head, int64_t first, float* memory) {
    const auto q = Shared<rows, D>::take(memory);
    const auto k = Shared<tile_keys, D>::take(memory), v = Shared<tile_keys, D>::take(memory);
    const auto weights = Shared<rows, tile_keys>::take(memory);
    const Call& call = head.call;
    q.load(head.q, call.q.row, first, call.queries, call.depth, call.scale);
    float most[R], sum[R] = {};
    for (float& one : most) one = -infinity<float>();
    Part<R, C> out;
    const int64_t end = call.causal && first + rows < call.keys ? first + rows : call.keys;
    for (int64_t key = 0; key < end; key += tile_keys) {
      __syncthreads();
      k.load(head.k, call.k.row, key, call.keys, call.depth);
      const bool finite = v.load(head.v, call.v.row, key, call.keys, call.width);
      const bool plain = __syncthreads_and(finite || !has_masked_keys(call));
      Part<R, key_columns> scores;
      add_times_transposed(scores, q, k);
      head.finish(first, key, scores);
      weigh(scores, weights, most, sum, out);
      __syncwarp();  // the rows of weights that a warp reads are its own
      plain ? add_times(out, weights, v) : add_times<true>(out, weights, v);
    }
    write(head, first, most, sum, out);
  }

  __device__ static void write(const Head& head, int64_t first, const float (&most)[R],
                               const float (&sum)[R], const Part<R, C>& out) {
    const Call& call = head.call;
#pragma unroll
    for (int r = 0; r < R; ++r) {
      const float total = over_row(sum[r], Sum()), by = total == 0 ? 0 : 1 / total;
      const int64_t i = first + down() * R + r;
      if (i >= call.queries) continue;
#pragma unroll
      for (int c = 0; c < C; ++c) {
        const int column = grouped_column<C>(c);
        if (column < call.width) head.out[i * call.out.row + column] = out.values[r][c] * by;
      }
      if (head.softmax != nullptr && along() == 0) {
        head.softmax[i * call.softmax.row] = softmax_shift(most[r]);
        head.softmax[i * call.softmax.row + 1] = by;
      }
    }
  }
};

// The last queries first: with causal, they have the most to do.
template <int R, int D>
__global__ void __launch_bounds__(block_threads, 2) forward(Call call, int64_t blocks) {
  const int64_t member = blockIdx.x / blocks, block = blocks - 1 - blockIdx.x % blocks;
  Forward<R, D>::run(Head(call, member), block * side * R, shared_memory<float>());
}

// sum(g out) of every query of every member
template <int threads>
__global__ void agreement(Call call, float* sums) {
  using Threads = Team<threads>;
  const int64_t rows = batch_count(call) * call.queries;
  for (int64_t at = Threads::first(); at < rows; at += Threads::step()) {
    const int64_t member = at / call.queries, i = at % call.queries;
    const float* g = batch_entry(call, call.g, member) + i * call.g.row;
    const float* out = batch_entry(call, call.out, member) + i * call.out.row;
    double sum = 0;
    for (int64_t j = Threads::rank(); j < call.width; j += threads) {
      sum += static_cast<double>(g[j]) * static_cast<double>(out[j]);
    }
    sum = Threads::reduce(sum, Sum());
    if (Threads::rank() == 0) sums[at] = static_cast<float>(sum);
  }
}

// Every `splits`-th tile of a member's keys. What they give to dq, [splits, members, queries, D],
// is added up in the order of the tiles, by this block alone.
struct Slopes {
  const float* sums;  // sum(g out), [members, queries]
  float* dq;
  int64_t splits;
};

template <int D>
struct Backward {
  static constexpr int rows = 64, R = rows / side, C = D / side;
  static constexpr int shared_floats = 2 * Shared<rows, D>::size + 2 * Shared<tile_keys, D>::size +
                                       2 * Shared<rows, tile_keys>::size;
  Shared<rows, D> q, g;
  Shared<tile_keys, D> k, v;
  Shared<rows, tile_keys> weights, dscores;

  __device__ explicit Backward(float* memory)
      : q(Shared<rows, D>::take(memory)),
        g(Shared<rows, D>::take(memory)),
        k(Shared<tile_keys, D>::take(memory)),
        v(Shared<tile_keys, D>::take(memory)),
        weights(Shared<rows, tile_keys>::take(memory)),
        dscores(Shared<rows, tile_keys>::take(memory)) {}

  // P and dS of a tile of queries and one of keys.
  __device__ void compute_dscores(const Head& head, int64_t first, int64_t key,
                                  const float* sums) const {
    const Call& call = head.call;
    float shift[R], factor[R], mean[R];
#pragma unroll
    for (int r = 0; r < R; ++r) {
      const int64_t i = first + down() * R + r;
      const float* const saved = head.softmax + i * call.softmax.row;
      shift[r] = i < call.queries ? saved[0] : 0.f;
      factor[r] = i < call.queries ? saved[1] : 0.f;
      mean[r] = i < call.queries ? sums[i] : 0.f;
    }
    Part<R, key_columns> scores, dweights;
    add_times_transposed(scores, q, k);
    add_times_transposed(dweights, g, v);
    head.finish(first, key, scores);
#pragma unroll
    for (int r = 0; r < R; ++r) {
#pragma unroll
      for (int c = 0; c < key_columns; ++c) {
        const float score = scores.values[r][c];
        const float weight =
            score == -infinity<float>() ? 0.f : exp_of_difference(score - shift[r]) * factor[r];
        weights.at(down() * R + r, spread_column(c)) = weight;
        dscores.at(down() * R + r, spread_column(c)) =
            weight == 0 ? 0.f : weight * (dweights.values[r][c] - mean[r]);
      }
    }
  }

  // dq [queries, D] += dS k
  __device__ void add_to_dq(int64_t first, int64_t queries, float* dq, bool plain) const {
    constexpr int group = C < 4 ? C : 4;
    using Group = Pack<float, group>;
    Part<R, C> part;
    const auto each_group = [&](const auto& body) {
#pragma unroll
      for (int r = 0; r < R; ++r) {
        const int64_t i = first + down() * R + r;
#pragma unroll
        for (int c = 0; c < C; c += group) {
          if (i < queries) {
            body(part.values[r] + c, *reinterpret_cast<Group*>(dq + i * D + grouped_column<C>(c)));
          }
        }
      }
    };
    each_group([](float* own, const Group& stored) {
      const Group before = stored;
#pragma unroll
      for (int c = 0; c < group; ++c) own[c] = before.values[c];
    });
    plain ? add_times(part, dscores, k) : add_times<true>(part, dscores, k);
    each_group([](const float* own, Group& stored) {
      Group sum;
#pragma unroll
      for (int c = 0; c < group; ++c) sum.values[c] = own[c];
      stored = sum;
    });
  }

  __device__ static void write(float* to, int64_t row_step, int64_t key, int64_t keys,
                               int64_t width, const Part<4, C>& part, float factor) {
#pragma unroll
    for (int r = 0; r < 4; ++r) {
      const int64_t j = key + down() * 4 + r;
#pragma unroll
      for (int c = 0; c < C; ++c) {
        const int column = grouped_column<C>(c);
        if (j < keys && column < width) to[j * row_step + column] = factor * part.values[r][c];
      }
    }
  }

  __device__ void run(const Head& head, int64_t key, const float* sums, float* dq) const {
    const Call& call = head.call;
    const bool k_finite = k.load(head.k, call.k.row, key, call.keys, call.depth);
    v.load(head.v, call.v.row, key, call.keys, call.width);
    Part<4, C> dk, dv;
    for (int64_t first = call.causal ? key / rows * rows : 0; first < call.queries; first += rows) {
      const bool q_finite = q.load(head.q, call.q.row, first, call.queries, call.depth, call.scale);
      const bool g_finite = g.load(head.g, call.g.row, first, call.queries, call.width);
      const bool plain =
          __syncthreads_and((q_finite && g_finite && k_finite) || !has_masked_keys(call));
      compute_dscores(head, first, key, sums);
      __syncthreads();
      if (plain) {
        add_transposed_times(dv, weights, g);
        add_transposed_times(dk, dscores, q);
      } else {
        add_transposed_times<true>(dv, weights, g);
        add_transposed_times<true>(dk, dscores, q);
      }
      if (dq != nullptr) add_to_dq(first, call.queries, dq, plain);
      __syncthreads();
    }
    if (head.dk != nullptr) write(head.dk, call.dk.row, key, call.keys, call.depth, dk, 1);
    if (head.dv != nullptr) write(head.dv, call.dv.row, key, call.keys, call.width, dv, 1);
  }
};

template <int D>
__global__ void __launch_bounds__(block_threads, D == 128 ? 1 : 2) backward(Call call, Slopes to) {
  const Backward<D> block(shared_memory<float>());
  const int64_t member = blockIdx.x / to.splits, split = blockIdx.x % to.splits;
  const int64_t members = gridDim.x / to.splits;
  float* const dq =
      to.dq == nullptr ? nullptr : to.dq + (split * members + member) * call.queries * D;
  const Head head(call, member);
  for (int64_t key = split * tile_keys; key < call.keys; key += to.splits * tile_keys) {
    block.run(head, key, to.sums + member * call.queries, dq);
  }
}

// dq from what the splits give to it.
template <int D>
struct JoinSplits {
  Call call;
  Slopes from;
  int64_t members;
  __device__ void operator()(int64_t at) const {
    const int64_t column = at % call.depth, row = at / call.depth;
    float sum = 0;
    for (int64_t split = 0; split < from.splits; ++split) {
      sum += from.dq[(split * members * call.queries + row) * D + column];
    }
    float* const to = batch_entry(call, call.dq, row / call.queries);
    to[row % call.queries * call.dq.row + column] = call.scale * sum;
  }
};

template <int R, int D>
bool start_forward(const Call& call) {
  const int64_t blocks = (call.queries + side * R - 1) / (side * R);
  return launch_shared(forward<R, D>, batch_count(call) * blocks, block_threads,
                       Forward<R, D>::shared_floats * sizeof(float), call, blocks);
}

constexpr int64_t enough_blocks = 256;  // by sizes alone: the same bits on every GPU

template <int D>
bool start_forward(const Call& call) {
  if constexpr (D < 128) {
    constexpr int64_t rows = side * 8;
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
  const int64_t members = batch_count(call), rows = members * call.queries;
  const int64_t tiles = (call.keys + tile_keys - 1) / tile_keys;
  const int64_t splits = std::clamp<int64_t>(enough_blocks / members, 1, tiles);
  const bool wants_dq = call.dq.data != nullptr;
  const Scratch<float> sums(rows), dq(wants_dq ? splits * rows * D : 0);
  const Slopes to{sums.data(), wants_dq ? dq.data() : nullptr, splits};
  if (wants_dq) {
    check_cuda(cudaMemsetAsync(dq.data(), 0, static_cast<size_t>(splits * rows * D) * sizeof(float),
                               stream()),
               "attention");
  }
  launch_rows(rows, call.width, agreement<warp_threads>, agreement<block_threads>, call,
              sums.data());
  launch_shared(backward<D>, members * splits, block_threads, bytes, call, to);
  if (wants_dq) for_each(rows * call.depth, JoinSplits<D>{call, to, members});
  return true;
}

bool suits(const Call& call) {
  return std::min({call.queries, call.keys, call.depth, call.width, batch_count(call)}) > 0 &&
         std::max(call.depth, call.width) <= 128;
}

}  // namespace

bool flash_attention(const Call& call) {
  if (!suits(call)) return false;
  const int64_t widest = std::max(call.depth, call.width);
  return widest <= 32   ? start_forward<32>(call)
         : widest <= 64 ? start_forward<64>(call)
                        : start_forward<128>(call);
}

bool flash_attention_backward(const Call& call) {
  if (!suits(call) || call.dbias.data != nullptr || call.softmax.data == nullptr) return false;
  const int64_t widest = std::max(call.depth, call.width);
  return widest <= 32   ? start_backward<32>(call)
         : widest <= 64 ? start_backward<64>(call)
                        : start_backward<128>(call);
}

}  // namespace regrad::gpu

// softmax(scale q kᵀ + bias) v and its derivatives (shapes: ops/kernels/attention.h), for calls
// that flash.cu does not support. Queries are processed in tiles, so that only a bounded number of
// scores is stored at a time. Matrix products are cuBLASLt's; the kernels here are the steps
// between them.
//   With P the softmax and dP = g vᵀ:  dS = P (dP - sum(P dP)),  dq = scale dS k,
//   dk = scale dSᵀ q,  dv = Pᵀ g,  dbias = dS.
#include "ops/cuda/attention.h"
#include "ops/cuda/device.h"
#include "ops/cuda/families.h"
#include "ops/cuda/team.h"

namespace regrad::gpu {
namespace {

constexpr int64_t max_scores = int64_t{1} << 24;

// Queries [begin, begin + count) of every batch entry; scores are [batches, count, keys].
template <class T>
struct Tile {
  AttentionCall<T> call;
  int64_t batches, begin, count;
  T* scores;
};

// One query's row of scores, and its masks.
template <class T>
struct Query {
  T* scores;
  const T* bias;
  const bool* mask;
  int64_t bias_stride, mask_stride, visible_keys;  // later keys are causally masked
  T scale;

  __device__ Query(const Tile<T>& tile, int64_t row) {
    const AttentionCall<T>& call = tile.call;
    const int64_t batch = row / tile.count, i = tile.begin + row % tile.count;
    scores = tile.scores + row * call.keys;
    bias = call.bias.data == nullptr
               ? nullptr
               : call.bias.data + batch_offset(call, call.bias.batch, batch) + i * call.bias.row;
    mask = call.mask.data == nullptr
               ? nullptr
               : call.mask.data + batch_offset(call, call.mask.batch, batch) + i * call.mask.row;
    bias_stride = call.bias.column;
    mask_stride = call.mask.column;
    visible_keys = call.causal && i + 1 < call.keys ? i + 1 : call.keys;
    scale = call.scale;
  }
  __device__ bool is_visible(int64_t j) const {
    return j < visible_keys && (mask == nullptr || mask[j * mask_stride]);
  }
  __device__ T score(int64_t j) const {
    if (!is_visible(j)) return -infinity<T>();
    return bias == nullptr ? scale * scores[j]
                           : multiply_add(scale, scores[j], bias[j * bias_stride]);
  }
};

// Replaces the products q kᵀ by P, in place.
template <int threads, class T>
__global__ void softmax_kernel(Tile<T> tile) {
  using Threads = Team<threads>;
  const int rank = Threads::rank();
  const AttentionCall<T>& call = tile.call;
  for (int64_t row = Threads::first(); row < tile.batches * tile.count; row += Threads::step()) {
    const Query<T> query(tile, row);
    T row_max = -infinity<T>();
    for (int64_t j = rank; j < call.keys; j += threads) row_max = v_max(row_max, query.score(j));
    const T shift = softmax_shift(Threads::reduce(row_max, Max()));
    double sum = 0;
    for (int64_t j = rank; j < call.keys; j += threads) {
      const T e = v_exp(query.score(j) - shift);
      query.scores[j] = e;
      sum += static_cast<double>(e);
    }
    sum = Threads::reduce(sum, Sum());
    const T inverse_sum = sum == 0 ? T(0) : static_cast<T>(1 / sum);
    for (int64_t j = rank; j < call.keys; j += threads) query.scores[j] *= inverse_sum;
  }
}

// Given P and dP: replaces dP by dS, and P by scale dS.
template <int threads, class T>
__global__ void dscores_kernel(Tile<T> tile, T* dscores) {
  using Threads = Team<threads>;
  const int rank = Threads::rank();
  const int64_t keys = tile.call.keys;
  for (int64_t row = Threads::first(); row < tile.batches * tile.count; row += Threads::step()) {
    T* const probs = tile.scores + row * keys;
    T* const dscores_row = dscores + row * keys;
    double sum = 0;
    for (int64_t j = rank; j < keys; j += threads) {
      if (probs[j] != T(0))
        sum += static_cast<double>(probs[j]) * static_cast<double>(dscores_row[j]);
    }
    const T delta = static_cast<T>(Threads::reduce(sum, Sum()));
    for (int64_t j = rank; j < keys; j += threads) {
      dscores_row[j] = probs[j] == T(0) ? T(0) : probs[j] * (dscores_row[j] - delta);
      probs[j] = tile.call.scale * dscores_row[j];
    }
  }
}

// Accumulates dS into dbias, with a thread for each element of dbias: it sums over the batch
// entries, queries and keys over which the element is broadcast.
template <class T>
struct AddToDbias {
  Tile<T> tile;
  const T* dscores;
  __device__ void operator()(int64_t index) const {
    const AttentionCall<T>& call = tile.call;
    const bool sums_keys = call.dbias.column == 0, sums_queries = call.dbias.row == 0;
    const int64_t columns = sums_keys ? 1 : call.keys, rows = sums_queries ? 1 : tile.count;
    const int64_t column = index % columns, row = index / columns % rows,
                  group = index / columns / rows;
    double sum = 0;
    for (int64_t batch = group * call.shared; batch < (group + 1) * call.shared; ++batch) {
      for (int64_t i = row; i < (sums_queries ? tile.count : row + 1); ++i) {
        const T* dscores_row = dscores + (batch * tile.count + i) * call.keys;
        for (int64_t j = column; j < (sums_keys ? call.keys : column + 1); ++j) {
          sum += static_cast<double>(dscores_row[j]);
        }
      }
    }
    const int64_t offset = batch_offset(call, call.dbias.batch, group * call.shared) +
                           (tile.begin + row) * call.dbias.row + column * call.dbias.column;
    call.dbias.data[offset] += static_cast<T>(sum);
  }
};

// An operand of a matrix product, with its strides.
template <class T>
struct Matrix {
  T* data;
  int64_t row, column;
  int64_t batch[6] = {};
};

template <class T>
Matrix<T> rows_from(const AttentionOperand<T>& x, int64_t first) {
  Matrix<T> result{x.data + first * x.row, x.row, x.column};
  std::copy(x.batch, x.batch + 6, result.batch);
  return result;
}

template <class T>
Matrix<T> transposed(Matrix<T> x) {
  std::swap(x.row, x.column);
  return x;
}

// A contiguous array [batches, rows, columns] as an operand.
template <class T>
Matrix<T> contiguous_matrix(const AttentionCall<T>& call, T* data, int64_t rows, int64_t columns) {
  Matrix<T> result{data, columns, 1};
  int64_t stride = rows * columns;
  for (int d = call.batch_rank - 1; d >= 0; --d) {
    result.batch[d] = stride;
    stride *= call.batch_sizes[d];
  }
  return result;
}

template <class T>
Matrix<T> matrix_of(const Tile<T>& tile, T* scores) {
  return contiguous_matrix(tile.call, scores, tile.count, tile.call.keys);
}

// c = a b, or c += a b: [m, k] [k, n]
template <class T, class A, class B>
void multiply(const AttentionCall<T>& call, int64_t m, int64_t k, int64_t n, const Matrix<T>& c,
              const Matrix<A>& a, const Matrix<B>& b, bool accumulate = false) {
  Gemm<T> gemm_call;
  gemm_call.m = m, gemm_call.k = k, gemm_call.n = n;
  gemm_call.a = a.data, gemm_call.a_row = a.row, gemm_call.a_col = a.column;
  gemm_call.b = b.data, gemm_call.b_row = b.row, gemm_call.b_col = b.column;
  gemm_call.c = c.data, gemm_call.c_row = c.row, gemm_call.accumulate = accumulate;
  gemm_call.batch_rank = call.batch_rank;
  for (int d = 0; d < call.batch_rank; ++d) {
    gemm_call.batch_sizes[d] = call.batch_sizes[d];
    gemm_call.a_batch[d] = a.batch[d], gemm_call.b_batch[d] = b.batch[d];
    gemm_call.c_batch[d] = c.batch[d];
  }
  gemm(gemm_call);
}

template <class T>
__device__ inline bool is_finite(T x) {
  return x - x == T(0);
}

// Copies b [batches, k, n], with zeros instead of NaNs and infinities, and notes which batch
// entries have any.
template <class T, class B>
struct ReplaceNonFinite {
  AttentionCall<T> call;
  Matrix<B> b;
  int64_t k, n;
  T* finite_b;
  int* has_nonfinite;
  __device__ void operator()(int64_t i) const {
    const int64_t column = i % n, row = i / n % k, batch = i / n / k;
    const T x = b.data[batch_offset(call, b.batch, batch) + row * b.row + column * b.column];
    finite_b[i] = is_finite(x) ? x : T(0);
    if (!is_finite(x)) has_nonfinite[batch] = 1;
  }
};

// c [batches, m, n] += a b for the NaNs and infinities in b whose weight in a is not 0.
template <class T, class A, class B>
struct AddNonFinite {
  AttentionCall<T> call;
  Matrix<T> c;
  Matrix<A> a;
  Matrix<B> b;
  int64_t m, k, n;
  const int* has_nonfinite;
  __device__ void operator()(int64_t i) const {
    const int64_t column = i % n, row = i / n % m, batch = i / n / m;
    if (has_nonfinite[batch] == 0) return;
    T* const element =
        c.data + batch_offset(call, c.batch, batch) + row * c.row + column * c.column;
    const A* const a_row = a.data + batch_offset(call, a.batch, batch) + row * a.row;
    const B* const b_column = b.data + batch_offset(call, b.batch, batch) + column * b.column;
    for (int64_t p = 0; p < k; ++p) {
      const T weight = a_row[p * a.column], x = b_column[p * b.row];
      if (weight != T(0) && !is_finite(x)) *element += weight * x;
    }
  }
};

// The same as multiply() for weights a: a weight of 0 skips its factor, even if that is NaN or
// infinite.
template <class T, class A, class B>
void multiply_weights(const AttentionCall<T>& call, int64_t m, int64_t k, int64_t n,
                      const Matrix<T>& c, const Matrix<A>& a, const Matrix<B>& b,
                      bool accumulate = false) {
  if (!has_masked_keys(call)) return multiply(call, m, k, n, c, a, b, accumulate);
  const int64_t batches = batch_count(call);
  const Scratch<T> finite_b(batches * k * n);
  const Scratch<int> has_nonfinite(batches);
  check_cuda(cudaMemsetAsync(has_nonfinite.data(), 0, static_cast<size_t>(batches) * sizeof(int),
                             stream()),
             "attention");
  for_each(batches * k * n,
           ReplaceNonFinite<T, B>{call, b, k, n, finite_b.data(), has_nonfinite.data()});
  multiply(call, m, k, n, c, a, contiguous_matrix(call, finite_b.data(), k, n), accumulate);
  for_each(batches * m * n, AddNonFinite<T, A, B>{call, c, a, b, m, k, n, has_nonfinite.data()});
}

template <class T>
void compute_probs(const Tile<T>& tile) {
  const AttentionCall<T>& call = tile.call;
  multiply(call, tile.count, call.depth, call.keys, matrix_of(tile, tile.scores),
           rows_from(call.q, tile.begin), transposed(rows_from(call.k, 0)));
  launch_rows(tile.batches * tile.count, call.keys, softmax_kernel<warp_threads, T>,
              softmax_kernel<block_threads, T>, tile);
}

// Calls body(tile) for each tile of queries.
template <class T, class Body>
void for_each_tile(AttentionCall<T> call, const Body& body) {
  call.scale = call.depth == 0 ? T(0) : call.scale;  // it may be 1 / sqrt(0)
  const int64_t batches = batch_count(call);
  if (batches == 0) return;
  const int64_t max_queries = max_scores / std::max<int64_t>(1, batches * call.keys);
  const int64_t tile_queries = std::min(std::max<int64_t>(max_queries, 1), call.queries);
  const Scratch<T> scores(batches * tile_queries * call.keys);
  int64_t begin = 0;
  do {  // at least once: without queries, dk and dv must still be set to zeros
    body(
        Tile<T>{call, batches, begin, std::min(tile_queries, call.queries - begin), scores.data()});
    begin += tile_queries;
  } while (begin < call.queries);
}

template <class T>
void tile_backward(const Tile<T>& tile, T* dscores) {
  const AttentionCall<T>& call = tile.call;
  const bool accumulate = tile.begin > 0;  // onto the results of the tiles before
  const Matrix<T> probs = matrix_of(tile, tile.scores), dscores_row = matrix_of(tile, dscores);
  const auto g = rows_from(call.g, tile.begin);
  compute_probs(tile);
  if (call.dv.data != nullptr) {
    multiply_weights(call, call.keys, tile.count, call.width, rows_from(call.dv, 0),
                     transposed(probs), g, accumulate);
  }
  multiply(call, tile.count, call.width, call.keys, dscores_row, g,
           transposed(rows_from(call.v, 0)));
  launch_rows(tile.batches * tile.count, call.keys, dscores_kernel<warp_threads, T>,
              dscores_kernel<block_threads, T>, tile, dscores);
  if (call.dbias.data != nullptr) {
    const int64_t columns = call.dbias.column == 0 ? 1 : call.keys;
    const int64_t rows = call.dbias.row == 0 ? 1 : tile.count;
    for_each(tile.batches / call.shared * rows * columns, AddToDbias<T>{tile, dscores});
  }
  if (call.dq.data != nullptr) {
    multiply_weights(call, tile.count, call.keys, call.depth, rows_from(call.dq, tile.begin), probs,
                     rows_from(call.k, 0));
  }
  if (call.dk.data != nullptr) {
    multiply_weights(call, call.keys, tile.count, call.depth, rows_from(call.dk, 0),
                     transposed(probs), rows_from(call.q, tile.begin), accumulate);
  }
}

}  // namespace

template <class T>
void attention(const AttentionCall<T>& call) {
  if (flash_attention(call)) return;
  for_each_tile(call, [&](const Tile<T>& tile) {
    compute_probs(tile);
    multiply_weights(call, tile.count, call.keys, call.width, rows_from(call.out, tile.begin),
                     matrix_of(tile, tile.scores), rows_from(call.v, 0));
  });
}

template <class T>
void attention_backward(const AttentionCall<T>& call) {
  if (flash_attention_backward(call)) return;
  for_each_tile(call, [&](const Tile<T>& tile) {
    const Scratch<T> dscores(tile.batches * tile.count * call.keys);
    tile_backward(tile, dscores.data());
  });
}

template <class T>
AttentionKernels<T> attention_kernels() {
  return {
      .forward = attention<T>,
      .backward = attention_backward<T>,
  };
}

template AttentionKernels<float> attention_kernels();
template AttentionKernels<double> attention_kernels();

}  // namespace regrad::gpu

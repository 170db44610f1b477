// softmax(scale q kᵀ + bias) v and its derivatives (shapes: ops/kernels/attention.h), where flash.cu does
// not serve: for some queries at a time, so that of the scores only a part of a fixed size is ever
// stored. The products are the library's; here is what lies between them.
//   With P the weights and dP = g vᵀ:  dS = P (dP - sum(P dP)),  dq = scale dS k,
//   dk = scale dSᵀ q,  dv = Pᵀ g,  dbias = dS.
#include "ops/cuda/attention.h"
#include "ops/cuda/device.h"
#include "ops/cuda/families.h"
#include "ops/cuda/team.h"

namespace regrad::gpu {
namespace {

constexpr int64_t max_scores = int64_t{1} << 24;

// Queries [begin, begin + count) of every member of the batch; scores are [members, count, keys].
template <class T>
struct Tile {
  AttentionCall<T> call;
  int64_t members, begin, count;
  T* scores;
};

// One query's row of scores, and what may be attended to.
template <class T>
struct Query {
  T* scores;
  const T* bias;
  const bool* mask;
  int64_t bias_stride, mask_step, allowed;  // keys from `allowed` on are in the future
  T scale;

  __device__ Query(const Tile<T>& tile, int64_t row) {
    const AttentionCall<T>& call = tile.call;
    const int64_t member = row / tile.count, i = tile.begin + row % tile.count;
    scores = tile.scores + row * call.keys;
    bias = call.bias.data == nullptr
               ? nullptr
               : call.bias.data + batch_offset(call, call.bias.batch, member) + i * call.bias.row;
    mask = call.mask.data == nullptr
               ? nullptr
               : call.mask.data + batch_offset(call, call.mask.batch, member) + i * call.mask.row;
    bias_stride = call.bias.column;
    mask_step = call.mask.column;
    allowed = call.causal && i + 1 < call.keys ? i + 1 : call.keys;
    scale = call.scale;
  }
  __device__ bool allows(int64_t j) const {
    return j < allowed && (mask == nullptr || mask[j * mask_step]);
  }
  __device__ T score(int64_t j) const {
    if (!allows(j)) return -infinity<T>();
    return bias == nullptr ? scale * scores[j]
                           : multiply_add(scale, scores[j], bias[j * bias_stride]);
  }
};

// The products q kᵀ become weights in their place.
template <int threads, class T>
__global__ void to_weights(Tile<T> tile) {
  using Threads = Team<threads>;
  const int rank = Threads::rank();
  const AttentionCall<T>& call = tile.call;
  for (int64_t row = Threads::first(); row < tile.members * tile.count; row += Threads::step()) {
    const Query<T> query(tile, row);
    T greatest = -infinity<T>();
    for (int64_t j = rank; j < call.keys; j += threads) greatest = v_max(greatest, query.score(j));
    const T shift = softmax_shift(Threads::reduce(greatest, Max()));
    double sum = 0;
    for (int64_t j = rank; j < call.keys; j += threads) {
      const T power = v_exp(query.score(j) - shift);
      query.scores[j] = power;
      sum += static_cast<double>(power);
    }
    sum = Threads::reduce(sum, Sum());
    const T by = sum == 0 ? T(0) : static_cast<T>(1 / sum);
    for (int64_t j = rank; j < call.keys; j += threads) query.scores[j] *= by;
  }
}

// From the weights P and from dP: dS in the place of dP, scale dS in that of P.
template <int threads, class T>
__global__ void to_slopes(Tile<T> tile, T* dscores) {
  using Threads = Team<threads>;
  const int rank = Threads::rank();
  const int64_t keys = tile.call.keys;
  for (int64_t row = Threads::first(); row < tile.members * tile.count; row += Threads::step()) {
    T* const weight = tile.scores + row * keys;
    T* const slope = dscores + row * keys;
    double sum = 0;
    for (int64_t j = rank; j < keys; j += threads) {
      if (weight[j] != T(0)) sum += static_cast<double>(weight[j]) * static_cast<double>(slope[j]);
    }
    const T mean = static_cast<T>(Threads::reduce(sum, Sum()));
    for (int64_t j = rank; j < keys; j += threads) {
      slope[j] = weight[j] == T(0) ? T(0) : weight[j] * (slope[j] - mean);
      weight[j] = tile.call.scale * slope[j];
    }
  }
}

// Each number of dbias is one thread's: it adds what the members that share it, and the queries and
// keys along which it repeats, give.
template <class T>
struct AddToBias {
  Tile<T> tile;
  const T* dscores;
  __device__ void operator()(int64_t at) const {
    const AttentionCall<T>& call = tile.call;
    const bool of_all_keys = call.dbias.column == 0, of_all_queries = call.dbias.row == 0;
    const int64_t columns = of_all_keys ? 1 : call.keys, rows = of_all_queries ? 1 : tile.count;
    const int64_t column = at % columns, row = at / columns % rows, group = at / columns / rows;
    double sum = 0;
    for (int64_t member = group * call.shared; member < (group + 1) * call.shared; ++member) {
      for (int64_t i = row; i < (of_all_queries ? tile.count : row + 1); ++i) {
        const T* slope = dscores + (member * tile.count + i) * call.keys;
        for (int64_t j = column; j < (of_all_keys ? call.keys : column + 1); ++j) {
          sum += static_cast<double>(slope[j]);
        }
      }
    }
    const int64_t to = batch_offset(call, call.dbias.batch, group * call.shared) +
                       (tile.begin + row) * call.dbias.row + column * call.dbias.column;
    call.dbias.data[to] += static_cast<T>(sum);
  }
};

// An operand of a product: rows and columns by strides, from `first` on.
template <class T>
struct Matrix {
  T* data;
  int64_t row, column;
  int64_t batch[6] = {};
};

template <class T>
Matrix<T> rows_of(const AttentionOperand<T>& x, int64_t first) {
  Matrix<T> result{x.data + first * x.row, x.row, x.column};
  std::copy(x.batch, x.batch + 6, result.batch);
  return result;
}

template <class T>
Matrix<T> transposed(Matrix<T> x) {
  std::swap(x.row, x.column);
  return x;
}

// [members, rows, columns]
template <class T>
Matrix<T> contiguous_matrix(const AttentionCall<T>& call, T* data, int64_t rows, int64_t columns) {
  Matrix<T> result{data, columns, 1};
  int64_t step = rows * columns;
  for (int d = call.batch_rank - 1; d >= 0; --d) {
    result.batch[d] = step;
    step *= call.batch_sizes[d];
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
  Gemm<T> product;
  product.m = m, product.k = k, product.n = n;
  product.a = a.data, product.a_row = a.row, product.a_col = a.column;
  product.b = b.data, product.b_row = b.row, product.b_col = b.column;
  product.c = c.data, product.c_row = c.row, product.accumulate = accumulate;
  product.batch_rank = call.batch_rank;
  for (int d = 0; d < call.batch_rank; ++d) {
    product.batch_sizes[d] = call.batch_sizes[d];
    product.a_batch[d] = a.batch[d], product.b_batch[d] = b.batch[d];
    product.c_batch[d] = c.batch[d];
  }
  gemm(product);
}

template <class T>
__device__ inline bool is_finite(T x) {
  return x - x == T(0);
}

// Of b [members, k, n], the finite numbers, with zeros for the others; and which members have any.
template <class T, class B>
struct TakeFinite {
  AttentionCall<T> call;
  Matrix<B> b;
  int64_t k, n;
  T* finite;
  int* has_others;
  __device__ void operator()(int64_t at) const {
    const int64_t column = at % n, row = at / n % k, member = at / n / k;
    const T x = b.data[batch_offset(call, b.batch, member) + row * b.row + column * b.column];
    finite[at] = is_finite(x) ? x : T(0);
    if (!is_finite(x)) has_others[member] = 1;
  }
};

// c [members, m, n] += a b for what in b is not finite and has a weight that is not 0.
template <class T, class A, class B>
struct AddOthers {
  AttentionCall<T> call;
  Matrix<T> c;
  Matrix<A> a;
  Matrix<B> b;
  int64_t m, k, n;
  const int* has_others;
  __device__ void operator()(int64_t at) const {
    const int64_t column = at % n, row = at / n % m, member = at / n / m;
    if (has_others[member] == 0) return;
    T* const to = c.data + batch_offset(call, c.batch, member) + row * c.row + column * c.column;
    const A* const weights = a.data + batch_offset(call, a.batch, member) + row * a.row;
    const B* const from = b.data + batch_offset(call, b.batch, member) + column * b.column;
    for (int64_t p = 0; p < k; ++p) {
      const T weight = weights[p * a.column], x = from[p * b.row];
      if (weight != T(0) && !is_finite(x)) *to += weight * x;
    }
  }
};

// The same for weights a: one of 0 leaves out what it is multiplied with, even NaN and infinity.
template <class T, class A, class B>
void multiply_weights(const AttentionCall<T>& call, int64_t m, int64_t k, int64_t n,
                      const Matrix<T>& c, const Matrix<A>& a, const Matrix<B>& b,
                      bool accumulate = false) {
  if (!has_masked_keys(call)) return multiply(call, m, k, n, c, a, b, accumulate);
  const int64_t members = batch_count(call);
  const Scratch<T> finite(members * k * n);
  const Scratch<int> has_others(members);
  check_cuda(
      cudaMemsetAsync(has_others.data(), 0, static_cast<size_t>(members) * sizeof(int), stream()),
      "attention");
  for_each(members * k * n, TakeFinite<T, B>{call, b, k, n, finite.data(), has_others.data()});
  multiply(call, m, k, n, c, a, contiguous_matrix(call, finite.data(), k, n), accumulate);
  for_each(members * m * n, AddOthers<T, A, B>{call, c, a, b, m, k, n, has_others.data()});
}

template <class T>
void find_weights(const Tile<T>& tile) {
  const AttentionCall<T>& call = tile.call;
  multiply(call, tile.count, call.depth, call.keys, matrix_of(tile, tile.scores),
           rows_of(call.q, tile.begin), transposed(rows_of(call.k, 0)));
  launch_rows(tile.members * tile.count, call.keys, to_weights<warp_threads, T>,
              to_weights<block_threads, T>, tile);
}

// body(tile) for tile after tile of queries.
template <class T, class Body>
void each_tile(AttentionCall<T> call, const Body& body) {
  call.scale = call.depth == 0 ? T(0) : call.scale;  // 1 / sqrt(0) of nothing
  const int64_t members = batch_count(call);
  if (members == 0) return;
  const int64_t fit = max_scores / std::max<int64_t>(1, members * call.keys);
  const int64_t each = std::min(std::max<int64_t>(fit, 1), call.queries);
  const Scratch<T> scores(members * each * call.keys);
  int64_t begin = 0;
  do {  // once at least: without queries, the derivatives of the keys are zeros
    body(Tile<T>{call, members, begin, std::min(each, call.queries - begin), scores.data()});
    begin += each;
  } while (begin < call.queries);
}

template <class T>
void backward_of_tile(const Tile<T>& tile, T* dscores) {
  const AttentionCall<T>& call = tile.call;
  const bool adds = tile.begin > 0;  // to what the tiles before gave
  const Matrix<T> weight = matrix_of(tile, tile.scores), slope = matrix_of(tile, dscores);
  const auto g = rows_of(call.g, tile.begin);
  find_weights(tile);
  if (call.dv.data != nullptr) {
    multiply_weights(call, call.keys, tile.count, call.width, rows_of(call.dv, 0),
                     transposed(weight), g, adds);
  }
  multiply(call, tile.count, call.width, call.keys, slope, g, transposed(rows_of(call.v, 0)));
  launch_rows(tile.members * tile.count, call.keys, to_slopes<warp_threads, T>,
              to_slopes<block_threads, T>, tile, dscores);
  if (call.dbias.data != nullptr) {
    const int64_t columns = call.dbias.column == 0 ? 1 : call.keys;
    const int64_t rows = call.dbias.row == 0 ? 1 : tile.count;
    for_each(tile.members / call.shared * rows * columns, AddToBias<T>{tile, dscores});
  }
  if (call.dq.data != nullptr) {
    multiply_weights(call, tile.count, call.keys, call.depth, rows_of(call.dq, tile.begin), weight,
                     rows_of(call.k, 0));
  }
  if (call.dk.data != nullptr) {
    multiply_weights(call, call.keys, tile.count, call.depth, rows_of(call.dk, 0),
                     transposed(weight), rows_of(call.q, tile.begin), adds);
  }
}

}  // namespace

template <class T>
void attention(const AttentionCall<T>& call) {
  if (flash_attention(call)) return;
  each_tile(call, [&](const Tile<T>& tile) {
    find_weights(tile);
    multiply_weights(call, tile.count, call.keys, call.width, rows_of(call.out, tile.begin),
                     matrix_of(tile, tile.scores), rows_of(call.v, 0));
  });
}

template <class T>
void attention_backward(const AttentionCall<T>& call) {
  if (flash_attention_backward(call)) return;
  each_tile(call, [&](const Tile<T>& tile) {
    const Scratch<T> dscores(tile.members * tile.count * call.keys);
    backward_of_tile(tile, dscores.data());
  });
}

#define REGRAD_INSTANTIATE(T)                       \
  template void attention(const AttentionCall<T>&); \
  template void attention_backward(const AttentionCall<T>&);
REGRAD_INSTANTIATE(float)
REGRAD_INSTANTIATE(double)

}  // namespace regrad::gpu

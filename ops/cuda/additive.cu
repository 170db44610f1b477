// Additive attention scores, s[b, i, j] = Σ_h v_h tanh(q[b, i, h] + k[b, j, h]), and their
// gradients. The tanh is never stored: each kernel recomputes it.
#include "ops/cuda/device.h"
#include "ops/cuda/families.h"
#include "ops/cuda/team.h"

namespace regrad::gpu {
namespace {

// A warp for each score.
template <class T>
__global__ void scores_kernel(Additive<T> a, T* scores) {
  using Threads = Team<warp_threads>;
  for (int64_t index = Threads::first(); index < a.batch * a.queries * a.keys;
       index += Threads::step()) {
    const int64_t row = index / a.keys, key = row / a.queries * a.keys + index % a.keys;
    T sum(0);
    for (int64_t h = Threads::rank(); h < a.size; h += warp_threads) {
      sum = multiply_add(a.v[h], v_tanh(a.q[row * a.size + h] + a.k[key * a.size + h]), sum);
    }
    sum = Threads::reduce(sum, Sum());
    if (Threads::rank() == 0) scores[index] = sum;
  }
}

// dq_i = Σ_j g_ij v (1 - t²) with t = tanh(q_i + k_j), a thread for each element of dq; likewise
// dk_j = Σ_i g_ij v (1 - t²).
template <class T, bool is_query>
struct KeyOrQueryGradient {
  Additive<T> a;
  const T* g;
  T* out;
  __device__ void operator()(int64_t index) const {
    const int64_t h = index % a.size, row = index / a.size, rows = is_query ? a.queries : a.keys;
    const int64_t other_count = is_query ? a.keys : a.queries, b = row / rows, i = row % rows;
    const T x = (is_query ? a.q : a.k)[index];
    const T* other_x = (is_query ? a.k : a.q) + b * other_count * a.size + h;
    const T* g_row = g + b * a.queries * a.keys + (is_query ? i * a.keys : i);
    const int64_t g_stride = is_query ? 1 : a.keys;
    T sum(0);
    for (int64_t j = 0; j < other_count; ++j) {
      const T t = v_tanh(x + other_x[j * a.size]);
      sum = multiply_add(g_row[j * g_stride], (T(1) - t) * (T(1) + t), sum);
    }
    out[index] = sum * a.v[h];
  }
};

// dv_h = Σ_ij g_ij tanh(q_ih + k_jh), for a part of the rows of all queries.
template <class T>
struct PartialDv {
  Additive<T> a;
  const T* g;
  double* partial_sums;
  int64_t rows_per_part;  // queries
  __device__ void operator()(int64_t index) const {
    const int64_t h = index % a.size, begin = index / a.size * rows_per_part,
                  total_rows = a.batch * a.queries;
    double sum = 0;
    for (int64_t row = begin; row < begin + rows_per_part && row < total_rows; ++row) {
      const T x = a.q[row * a.size + h];
      const T* key = a.k + row / a.queries * a.keys * a.size + h;
      T row_sum(0);
      for (int64_t j = 0; j < a.keys; ++j) {
        row_sum = multiply_add(g[row * a.keys + j], v_tanh(x + key[j * a.size]), row_sum);
      }
      sum += static_cast<double>(row_sum);
    }
    partial_sums[index] = sum;
  }
};

template <class T>
struct CombineDv {
  int64_t parts, size;
  const double* partial_sums;
  T* dv;
  __device__ void operator()(int64_t h) const {
    double sum = 0;
    for (int64_t part = 0; part < parts; ++part) sum += partial_sums[part * size + h];
    dv[h] = static_cast<T>(sum);
  }
};

constexpr int64_t max_parts = 128;

}  // namespace

template <class T>
void additive_scores(const Additive<T>& a, T* scores) {
  const int64_t count = a.batch * a.queries * a.keys;
  // Rows of length 0 stand for short ones: a warp for each score, whatever the width.
  launch_rows(count, 0, scores_kernel<T>, scores_kernel<T>, a, scores);
}

template <class T>
void additive_scores_backward(const Additive<T>& a, const AdditiveGradients<T>& gradients) {
  for_each(a.batch * a.queries * a.size, KeyOrQueryGradient<T, true>{a, gradients.g, gradients.dq});
  for_each(a.batch * a.keys * a.size, KeyOrQueryGradient<T, false>{a, gradients.g, gradients.dk});
  const int64_t rows = a.batch * a.queries,
                rows_per_part = std::max<int64_t>(1, (rows + max_parts - 1) / max_parts);
  const int64_t parts = (rows + rows_per_part - 1) / rows_per_part;
  Scratch<double> partial_sums(parts * a.size);
  for_each(parts * a.size, PartialDv<T>{a, gradients.g, partial_sums.data(), rows_per_part});
  for_each(a.size, CombineDv<T>{parts, a.size, partial_sums.data(), gradients.dv});
}

template <class T>
AdditiveKernels<T> additive_kernels() {
  return {
      .scores = additive_scores<T>,
      .scores_backward = additive_scores_backward<T>,
  };
}

template AdditiveKernels<float> additive_kernels();
template AdditiveKernels<double> additive_kernels();

}  // namespace regrad::gpu

// Additive attention's scores, s[b, i, j] = Σ_h v_h tanh(q[b, i, h] + k[b, j, h]), and their
// gradients. A tanh lives in a register alone, and is computed again by each who needs it.
#include "ops/cuda/device.h"
#include "ops/cuda/families.h"
#include "ops/cuda/team.h"

namespace regrad::gpu {
namespace {

// A warp for each score.
template <class T>
__global__ void scores_of(Additive<T> a, T* scores) {
  using Threads = Team<warp_threads>;
  for (int64_t at = Threads::first(); at < a.batch * a.queries * a.keys; at += Threads::step()) {
    const int64_t row = at / a.keys, key = row / a.queries * a.keys + at % a.keys;
    T sum(0);
    for (int64_t h = Threads::rank(); h < a.size; h += warp_threads) {
      sum = multiply_add(a.v[h], v_tanh(a.q[row * a.size + h] + a.k[key * a.size + h]), sum);
    }
    sum = Threads::reduce(sum, Sum());
    if (Threads::rank() == 0) scores[at] = sum;
  }
}

// dq_i = Σ_j g_ij v (1 - t²), a thread for each number of a query; dk_j = Σ_i alike.
template <class T, bool of_query>
struct Gradient {
  Additive<T> a;
  const T* g;
  T* out;
  __device__ void operator()(int64_t at) const {
    const int64_t h = at % a.size, row = at / a.size, rows = of_query ? a.queries : a.keys;
    const int64_t others = of_query ? a.keys : a.queries, b = row / rows, i = row % rows;
    const T own = (of_query ? a.q : a.k)[at];
    const T* other = (of_query ? a.k : a.q) + b * others * a.size + h;
    const T* from = g + b * a.queries * a.keys + (of_query ? i * a.keys : i);
    const int64_t step = of_query ? 1 : a.keys;
    T sum(0);
    for (int64_t j = 0; j < others; ++j) {
      const T t = v_tanh(own + other[j * a.size]);
      sum = multiply_add(from[j * step], (T(1) - t) * (T(1) + t), sum);
    }
    out[at] = sum * a.v[h];
  }
};

// dv_h = Σ g_ij t_ij, for the queries of a part each.
template <class T>
struct PartOfV {
  Additive<T> a;
  const T* g;
  double* parts;
  int64_t each;  // queries
  __device__ void operator()(int64_t at) const {
    const int64_t h = at % a.size, begin = at / a.size * each, all = a.batch * a.queries;
    double sum = 0;
    for (int64_t row = begin; row < begin + each && row < all; ++row) {
      const T own = a.q[row * a.size + h];
      const T* key = a.k + row / a.queries * a.keys * a.size + h;
      T of_row(0);
      for (int64_t j = 0; j < a.keys; ++j) {
        of_row = multiply_add(g[row * a.keys + j], v_tanh(own + key[j * a.size]), of_row);
      }
      sum += static_cast<double>(of_row);
    }
    parts[at] = sum;
  }
};

template <class T>
struct WholeV {
  int64_t parts, size;
  const double* sums;
  T* dv;
  __device__ void operator()(int64_t h) const {
    double sum = 0;
    for (int64_t part = 0; part < parts; ++part) sum += sums[part * size + h];
    dv[h] = static_cast<T>(sum);
  }
};

constexpr int64_t most_parts = 128;

}  // namespace

template <class T>
void additive_scores(const Additive<T>& a, T* scores) {
  const int64_t count = a.batch * a.queries * a.keys;
  launch_rows(count, 0, scores_of<T>, scores_of<T>, a, scores);
}

template <class T>
void additive_scores_backward(const Additive<T>& a, const AdditiveGradients<T>& to) {
  for_each(a.batch * a.queries * a.size, Gradient<T, true>{a, to.g, to.dq});
  for_each(a.batch * a.keys * a.size, Gradient<T, false>{a, to.g, to.dk});
  const int64_t rows = a.batch * a.queries,
                each = std::max<int64_t>(1, (rows + most_parts - 1) / most_parts);
  const int64_t parts = (rows + each - 1) / each;
  Scratch<double> sums(parts * a.size);
  for_each(parts * a.size, PartOfV<T>{a, to.g, sums.data(), each});
  for_each(a.size, WholeV<T>{parts, a.size, sums.data(), to.dv});
}

#define REGRAD_INSTANTIATE(T)                            \
  template void additive_scores(const Additive<T>&, T*); \
  template void additive_scores_backward(const Additive<T>&, const AdditiveGradients<T>&);
REGRAD_INSTANTIATE(float)
REGRAD_INSTANTIATE(double)

}  // namespace regrad::gpu

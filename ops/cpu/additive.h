// Additive attention scores, s[b, i, j] = Σ_h v_h tanh(q[b, i, h] + k[b, j, h]), and their
// gradients. The tanh is never stored: the backward pass recomputes it, which costs less than
// writing and reading [batch, queries, keys, size] numbers.
#pragma once

#include "ops/cpu/chunks.h"
#include "ops/cpu/fold.h"
#include "ops/cpu/math_exp.h"
#include "ops/cpu/scratch.h"
#include "ops/kernels/table.h"

namespace regrad::simd {

template <class T, class Arch>
REGRAD_INLINE T additive_score(int64_t size, const T* q, const T* k, const T* v) {
  using V = Vec<T, Arch>;
  V sum0(T(0)), sum1(T(0));
  const auto add = [&](int64_t h, V sum) REGRAD_LAMBDA {
    const int64_t left = size - h;
    const V u = sigmoid_minus_2x<T, Arch>(load<T, Arch>(q + h, left) + load<T, Arch>(k + h, left));
    return multiply_add(load<T, Arch>(v + h, left), multiply_add(u, V(T(-2)), V(T(1))), sum);
  };
  int64_t h = 0;
  for (; h + 2 * lanes_of<T, Arch> <= size; h += 2 * lanes_of<T, Arch>) {
    sum0 = add(h, sum0);
    sum1 = add(h + lanes_of<T, Arch>, sum1);
  }
  for (; h < size; h += lanes_of<T, Arch>) sum0 = add(h, sum0);
  return sum_lanes(sum0 + sum1);
}

template <class T, class Arch>
void additive_scores(const Additive<T>& a, T* scores) {
  for_ranges(a.batch * a.queries, a.keys * a.size, [=](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const T* k = a.k + row / a.queries * a.keys * a.size;
      for (int64_t j = 0; j < a.keys; ++j) {
        scores[row * a.keys + j] =
            additive_score<T, Arch>(a.size, a.q + row * a.size, k + j * a.size, a.v);
      }
    }
  });
}

// Accumulates into dq, dk and dv the gradients that g, the gradient of one score, gives them.
template <class T, class Arch>
REGRAD_INLINE void additive_score_backward(int64_t size, T g, const T* q, const T* k, const T* v,
                                           T* dq, T* dk, T* dv) {
  using V = Vec<T, Arch>;
  const V dscore(g), factor(T(4) * g), one(T(1));
  for (int64_t h = 0; h < size; h += lanes_of<T, Arch>) {
    const int64_t left = size - h;
    const V u = sigmoid_minus_2x<T, Arch>(load<T, Arch>(q + h, left) + load<T, Arch>(k + h, left));
    const V dsum = factor * load<T, Arch>(v + h, left) * (u - u * u);
    const V t = multiply_add(u, V(T(-2)), one);
    store<T, Arch>(dq + h, left, load<T, Arch>(dq + h, left) + dsum);
    store<T, Arch>(dk + h, left, load<T, Arch>(dk + h, left) + dsum);
    store<T, Arch>(dv + h, left, multiply_add(dscore, t, load<T, Arch>(dv + h, left)));
  }
}

template <class T, class Arch>
void additive_scores_backward(const Additive<T>& a, const AdditiveGradients<T>& gradients) {
  const int64_t chunk_batches = chunk_size(a.batch, a.queries * a.keys * a.size);
  const int64_t chunks = ceil_div(a.batch, chunk_batches);
  T* const dv_parts = static_cast<T*>(
      scratch(Scratch::reduce, static_cast<std::size_t>(max(chunks * a.size, 1)) * sizeof(T)));
  parallel_for(chunks, [=](int64_t chunk) {
    T* const dv = dv_parts + chunk * a.size;
    for (int64_t h = 0; h < a.size; ++h) dv[h] = T(0);
    for (int64_t b = chunk * chunk_batches; b < min((chunk + 1) * chunk_batches, a.batch); ++b) {
      for (int64_t h = 0; h < a.queries * a.size; ++h)
        gradients.dq[b * a.queries * a.size + h] = T(0);
      for (int64_t key = b * a.keys; key < (b + 1) * a.keys; ++key) {
        T* const dk = gradients.dk + key * a.size;
        for (int64_t h = 0; h < a.size; ++h) dk[h] = T(0);
        for (int64_t i = b * a.queries; i < (b + 1) * a.queries; ++i) {
          additive_score_backward<T, Arch>(a.size, gradients.g[i * a.keys + key - b * a.keys],
                                           a.q + i * a.size, a.k + key * a.size, a.v,
                                           gradients.dq + i * a.size, dk, dv);
        }
      }
    }
  });
  for (int64_t h = 0; h < a.size; ++h) {
    T sum(0);
    for (int64_t chunk = 0; chunk < chunks; ++chunk) sum += dv_parts[chunk * a.size + h];
    gradients.dv[h] = sum;
  }
}

}  // namespace regrad::simd

// Additive attention's scores, s[b, i, j] = Σ_h v_h tanh(q[b, i, h] + k[b, j, h]), and their
// gradients. A tanh lives in registers alone: the backward pass computes it again, which costs less
// than writing and reading [batch, queries, keys, size] numbers.
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
  V even(T(0)), odd(T(0));
  const auto add = [&](int64_t h, V sum) REGRAD_LAMBDA {
    const int64_t left = size - h;
    const V u = sigmoid_minus_2x<T, Arch>(load<T, Arch>(q + h, left) + load<T, Arch>(k + h, left));
    return multiply_add(load<T, Arch>(v + h, left), multiply_add(u, V(T(-2)), V(T(1))), sum);
  };
  int64_t h = 0;
  for (; h + 2 * lanes_of<T, Arch> <= size; h += 2 * lanes_of<T, Arch>) {
    even = add(h, even);
    odd = add(h + lanes_of<T, Arch>, odd);
  }
  for (; h < size; h += lanes_of<T, Arch>) even = add(h, even);
  return sum_lanes(even + odd);
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

// What g, the gradient of one score, gives its query, its key and v: all three are added to.
template <class T, class Arch>
REGRAD_INLINE void additive_score_backward(int64_t size, T g, const T* q, const T* k, const T* v,
                                           T* dq, T* dk, T* dv) {
  using V = Vec<T, Arch>;
  const V score(g), four(T(4) * g), one(T(1));
  for (int64_t h = 0; h < size; h += lanes_of<T, Arch>) {
    const int64_t left = size - h;
    const V u = sigmoid_minus_2x<T, Arch>(load<T, Arch>(q + h, left) + load<T, Arch>(k + h, left));
    const V through = four * load<T, Arch>(v + h, left) * (u - u * u);
    const V tanh = multiply_add(u, V(T(-2)), one);
    store<T, Arch>(dq + h, left, load<T, Arch>(dq + h, left) + through);
    store<T, Arch>(dk + h, left, load<T, Arch>(dk + h, left) + through);
    store<T, Arch>(dv + h, left, multiply_add(score, tanh, load<T, Arch>(dv + h, left)));
  }
}

template <class T, class Arch>
void additive_scores_backward(const Additive<T>& a, const AdditiveGradients<T>& to) {
  const int64_t each = chunk_size(a.batch, a.queries * a.keys * a.size);
  const int64_t chunks = ceil_div(a.batch, each);
  T* const parts = static_cast<T*>(
      scratch(Scratch::reduce, static_cast<std::size_t>(max(chunks * a.size, 1)) * sizeof(T)));
  parallel_for(chunks, [=](int64_t chunk) {
    T* const dv = parts + chunk * a.size;
    for (int64_t h = 0; h < a.size; ++h) dv[h] = T(0);
    for (int64_t b = chunk * each; b < min((chunk + 1) * each, a.batch); ++b) {
      for (int64_t h = 0; h < a.queries * a.size; ++h) to.dq[b * a.queries * a.size + h] = T(0);
      for (int64_t at = b * a.keys; at < (b + 1) * a.keys; ++at) {
        T* const dk = to.dk + at * a.size;
        for (int64_t h = 0; h < a.size; ++h) dk[h] = T(0);
        for (int64_t i = b * a.queries; i < (b + 1) * a.queries; ++i) {
          additive_score_backward<T, Arch>(a.size, to.g[i * a.keys + at - b * a.keys],
                                           a.q + i * a.size, a.k + at * a.size, a.v,
                                           to.dq + i * a.size, dk, dv);
        }
      }
    }
  });
  for (int64_t h = 0; h < a.size; ++h) {
    T sum(0);
    for (int64_t chunk = 0; chunk < chunks; ++chunk) sum += parts[chunk * a.size + h];
    to.dv[h] = sum;
  }
}

}  // namespace regrad::simd

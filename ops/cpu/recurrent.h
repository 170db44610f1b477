// The pointwise part of recurrent cells, between their products: one pass forward, one backward.
// Gates lie side by side in a row: r, z, n of H each for the GRU; i, f, g, o for the LSTM.
#pragma once

#include "ops/cpu/vector.h"

namespace regrad::simd {

// out [rows, H]; saved [rows, 3H] takes r, z, n for the backward pass, or is null.
template <class T, class Arch>
void gru(int64_t rows, int64_t size, T* out, T* saved, const T* gates_x, const T* gates_h,
         const T* hidden) {
  using V = Vec<T, Arch>;
  for_ranges(rows, size * 16, [=](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const T* x = gates_x + row * 3 * size;
      const T* h = gates_h + row * 3 * size;
      T* keep = saved == nullptr ? nullptr : saved + row * 3 * size;
      for (int64_t j = 0; j < size; j += lanes_of<T, Arch>) {
        const int64_t left = size - j;
        const auto at = [&](const T* from, int64_t gate) {
          return load<T, Arch>(from + gate * size + j, left);
        };
        const V r = v_sigmoid(at(x, 0) + at(h, 0));
        const V z = v_sigmoid(at(x, 1) + at(h, 1));
        const V n = v_tanh(multiply_add(r, at(h, 2), at(x, 2)));
        const V before = load<T, Arch>(hidden + row * size + j, left);
        store<T, Arch>(out + row * size + j, left, multiply_add(z, before - n, n));
        if (keep == nullptr) continue;
        store<T, Arch>(keep + j, left, r);
        store<T, Arch>(keep + size + j, left, z);
        store<T, Arch>(keep + 2 * size + j, left, n);
      }
    }
  });
}

// From g, the gradient of out: dx and dh_gates [rows, 3H], dh [rows, H].
template <class T, class Arch>
void gru_backward(int64_t rows, int64_t size, T* dx, T* dh_gates, T* dh, const T* g,
                  const T* saved, const T* gates_h, const T* hidden) {
  using V = Vec<T, Arch>;
  for_ranges(rows, size * 8, [=](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t gates = row * 3 * size;
      for (int64_t j = 0; j < size; j += lanes_of<T, Arch>) {
        const int64_t left = size - j;
        const auto at = [&](const T* from, int64_t gate) {
          return load<T, Arch>(from + gates + gate * size + j, left);
        };
        const V one(T(1));
        const V r = at(saved, 0), z = at(saved, 1), n = at(saved, 2);
        const V before = load<T, Arch>(hidden + row * size + j, left);
        const V out = load<T, Arch>(g + row * size + j, left);
        const V dn = out * (one - z) * (one - n * n);
        const V dz = out * (before - n) * z * (one - z);
        const V dr = dn * at(gates_h, 2) * r * (one - r);
        const auto put = [&](T* to, int64_t gate, V value) {
          store<T, Arch>(to + gates + gate * size + j, left, value);
        };
        put(dx, 0, dr), put(dx, 1, dz), put(dx, 2, dn);
        put(dh_gates, 0, dr), put(dh_gates, 1, dz), put(dh_gates, 2, dn * r);
        store<T, Arch>(dh + row * size + j, left, out * z);
      }
    }
  });
}

// out [rows, 2H]: the new hidden state and the new cell; saved [rows, 5H] takes i, f, g, o and
// tanh(cell), or is null.
template <class T, class Arch>
void lstm(int64_t rows, int64_t size, T* out, T* saved, const T* gates, const T* cell) {
  using V = Vec<T, Arch>;
  for_ranges(rows, size * 20, [=](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      T* keep = saved == nullptr ? nullptr : saved + row * 5 * size;
      for (int64_t j = 0; j < size; j += lanes_of<T, Arch>) {
        const int64_t left = size - j;
        const auto at = [&](int64_t gate) {
          return load<T, Arch>(gates + (row * 4 + gate) * size + j, left);
        };
        const V i = v_sigmoid(at(0)), f = v_sigmoid(at(1)), o = v_sigmoid(at(3));
        const V g = v_tanh(at(2));
        const V next = multiply_add(f, load<T, Arch>(cell + row * size + j, left), i * g);
        const V bent = v_tanh(next);
        store<T, Arch>(out + row * 2 * size + j, left, o * bent);
        store<T, Arch>(out + (row * 2 + 1) * size + j, left, next);
        if (keep == nullptr) continue;
        store<T, Arch>(keep + j, left, i);
        store<T, Arch>(keep + size + j, left, f);
        store<T, Arch>(keep + 2 * size + j, left, g);
        store<T, Arch>(keep + 3 * size + j, left, o);
        store<T, Arch>(keep + 4 * size + j, left, bent);
      }
    }
  });
}

// From g [rows, 2H], the gradients of both halves of out: dgates [rows, 4H], dcell [rows, H].
template <class T, class Arch>
void lstm_backward(int64_t rows, int64_t size, T* dgates, T* dcell, const T* g, const T* saved,
                   const T* cell) {
  using V = Vec<T, Arch>;
  for_ranges(rows, size * 10, [=](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      for (int64_t j = 0; j < size; j += lanes_of<T, Arch>) {
        const int64_t left = size - j;
        const auto at = [&](int64_t part) {
          return load<T, Arch>(saved + (row * 5 + part) * size + j, left);
        };
        const V one(T(1));
        const V i = at(0), f = at(1), n = at(2), o = at(3), bent = at(4);
        const V dhidden = load<T, Arch>(g + row * 2 * size + j, left);
        const V dnext = multiply_add(dhidden * o, one - bent * bent,
                                   load<T, Arch>(g + (row * 2 + 1) * size + j, left));
        const V before = load<T, Arch>(cell + row * size + j, left);
        const auto put = [&](int64_t gate, V value) {
          store<T, Arch>(dgates + (row * 4 + gate) * size + j, left, value);
        };
        put(0, dnext * n * i * (one - i));
        put(1, dnext * before * f * (one - f));
        put(2, dnext * i * (one - n * n));
        put(3, dhidden * bent * o * (one - o));
        store<T, Arch>(dcell + row * size + j, left, dnext * f);
      }
    }
  });
}

}  // namespace regrad::simd

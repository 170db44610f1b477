// The pointwise part of recurrent cells, between their products: one pass forward, one backward.
// Gates lie side by side in a row: r, z, n of H each for the GRU; i, f, g, o for the LSTM.
// What is saved may be written over the gates it comes from: each element is read first.
#pragma once

#include "ops/cpu/chunks.h"
#include "ops/cpu/math.h"
#include "ops/kernels/table.h"

namespace regrad::simd {

REGRAD_INLINE bool row_active(const bool* active, int64_t row) {
  return active == nullptr || active[row];
}

template <class T, class Arch>
REGRAD_INLINE void copy_row(int64_t size, T* out, const T* from) {
  for (int64_t j = 0; j < size; j += lanes_of<T, Arch>) {
    store<T, Arch>(out + j, size - j, load<T, Arch>(from + j, size - j));
  }
}

// out = a + b, where each may be null: then it is 0.
template <class T, class Arch>
REGRAD_INLINE Vec<T, Arch> sum_of(const T* a, const T* b, int64_t left) {
  const Vec<T, Arch> zero(T(0));
  return (a == nullptr ? zero : load<T, Arch>(a, left)) +
         (b == nullptr ? zero : load<T, Arch>(b, left));
}

template <class T, class Arch>
void gru(const GruStep<T>& s) {
  using V = Vec<T, Arch>;
  const int64_t size = s.size;
  for_ranges(s.rows, size * 16, [=](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const T* hidden = s.hidden + row * size;
      T* out = s.out + row * size;
      if (!row_active(s.active, row)) {
        copy_row<T, Arch>(size, out, hidden);
        continue;
      }
      const T* x = s.gates_x + row * s.gates_row;
      const T* h = s.gates_h + row * 3 * size;
      T* keep = s.saved == nullptr ? nullptr : s.saved + row * 4 * size;
      for (int64_t j = 0; j < size; j += lanes_of<T, Arch>) {
        const int64_t left = size - j;
        const auto at = [&](const T* from, int64_t gate)
                            REGRAD_LAMBDA { return load<T, Arch>(from + gate * size + j, left); };
        const V r = v_sigmoid(at(x, 0) + at(h, 0));
        const V z = v_sigmoid(at(x, 1) + at(h, 1));
        const V through = at(h, 2);
        const V n = v_tanh(multiply_add(r, through, at(x, 2)));
        const V before = load<T, Arch>(hidden + j, left);
        store<T, Arch>(out + j, left, multiply_add(z, before - n, n));
        if (keep == nullptr) continue;
        store<T, Arch>(keep + j, left, r);
        store<T, Arch>(keep + size + j, left, z);
        store<T, Arch>(keep + 2 * size + j, left, n);
        store<T, Arch>(keep + 3 * size + j, left, through);
      }
    }
  });
}

template <class T, class Arch>
REGRAD_INLINE void gru_row_backward(const GruStepBackward<T>& s, int64_t row) {
  using V = Vec<T, Arch>;
  const int64_t size = s.size;
  const T* saved = s.saved + row * 4 * size;
  const T* carry = s.carry == nullptr ? nullptr : s.carry + row * size;
  const bool active = row_active(s.active, row);
  const V zero(T(0)), one(T(1));
  for (int64_t j = 0; j < size; j += lanes_of<T, Arch>) {
    const int64_t left = size - j;
    const auto at = [&](int64_t part)
                        REGRAD_LAMBDA { return load<T, Arch>(saved + part * size + j, left); };
    const auto put = [&](T* to, int64_t gate, V value) REGRAD_LAMBDA {
      store<T, Arch>(to + (row * 3 + gate) * size + j, left, value);
    };
    const V g = sum_of<T, Arch>(s.g + row * size + j, carry == nullptr ? nullptr : carry + j, left);
    if (!active) {
      for (int64_t gate = 0; gate < 3; ++gate) {
        put(s.dgates_x, gate, zero), put(s.dgates_h, gate, zero);
      }
      store<T, Arch>(s.dhidden + row * size + j, left, g);
      continue;
    }
    const V r = at(0), z = at(1), n = at(2);
    const V before = load<T, Arch>(s.hidden + row * size + j, left);
    const V dn = g * (one - z) * (one - n * n);
    const V dz = g * (before - n) * z * (one - z);
    const V dr = dn * at(3) * r * (one - r);
    put(s.dgates_x, 0, dr), put(s.dgates_x, 1, dz), put(s.dgates_x, 2, dn);
    put(s.dgates_h, 0, dr), put(s.dgates_h, 1, dz), put(s.dgates_h, 2, dn * r);
    store<T, Arch>(s.dhidden + row * size + j, left, g * z);
  }
}

template <class T, class Arch>
void gru_backward(const GruStepBackward<T>& s) {
  for_ranges(s.rows, s.size * 8, [=](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) gru_row_backward<T, Arch>(s, row);
  });
}

template <class T, class Arch>
void lstm(const LstmStep<T>& s) {
  using V = Vec<T, Arch>;
  const int64_t size = s.size;
  for_ranges(s.rows, size * 20, [=](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const T* cell = s.cell + row * size;
      T* out = s.out + row * s.out_row;
      T* out_cell = s.out_cell + row * s.out_row;
      if (!row_active(s.active, row)) {
        copy_row<T, Arch>(size, out, s.hidden + row * size);
        copy_row<T, Arch>(size, out_cell, cell);
        continue;
      }
      const T* gates = s.gates + row * s.gates_row;
      T* keep = s.saved == nullptr ? nullptr : s.saved + row * 5 * size;
      for (int64_t j = 0; j < size; j += lanes_of<T, Arch>) {
        const int64_t left = size - j;
        const auto at = [&](int64_t gate)
                            REGRAD_LAMBDA { return load<T, Arch>(gates + gate * size + j, left); };
        const V i = v_sigmoid(at(0)), f = v_sigmoid(at(1)), o = v_sigmoid(at(3));
        const V g = v_tanh(at(2));
        const V next = multiply_add(f, load<T, Arch>(cell + j, left), i * g);
        const V bent = v_tanh(next);
        store<T, Arch>(out + j, left, o * bent);
        store<T, Arch>(out_cell + j, left, next);
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

template <class T, class Arch>
REGRAD_INLINE void lstm_row_backward(const LstmStepBackward<T>& s, int64_t row) {
  using V = Vec<T, Arch>;
  const int64_t size = s.size;
  const bool active = row_active(s.active, row);
  const T* carry = s.carry == nullptr ? nullptr : s.carry + row * size;
  const T* carry_cell = s.carry_cell == nullptr ? nullptr : s.carry_cell + row * size;
  const V zero(T(0)), one(T(1));
  for (int64_t j = 0; j < size; j += lanes_of<T, Arch>) {
    const int64_t left = size - j;
    const auto put = [&](int64_t gate, V value) REGRAD_LAMBDA {
      store<T, Arch>(s.dgates + (row * 4 + gate) * size + j, left, value);
    };
    const V g = sum_of<T, Arch>(s.g + row * s.g_row + j, carry ? carry + j : nullptr, left);
    const V g_cell =
        sum_of<T, Arch>(s.g_cell + row * s.g_row + j, carry_cell ? carry_cell + j : nullptr, left);
    if (!active) {
      for (int64_t gate = 0; gate < 4; ++gate) put(gate, zero);
      store<T, Arch>(s.dhidden + row * size + j, left, g);
      store<T, Arch>(s.dcell + row * size + j, left, g_cell);
      continue;
    }
    const auto at = [&](int64_t part) REGRAD_LAMBDA {
      return load<T, Arch>(s.saved + (row * 5 + part) * size + j, left);
    };
    const V i = at(0), f = at(1), n = at(2), o = at(3), bent = at(4);
    const V dnext = multiply_add(g * o, one - bent * bent, g_cell);
    const V before = load<T, Arch>(s.cell + row * size + j, left);
    put(0, dnext * n * i * (one - i));
    put(1, dnext * before * f * (one - f));
    put(2, dnext * i * (one - n * n));
    put(3, g * bent * o * (one - o));
    store<T, Arch>(s.dcell + row * size + j, left, dnext * f);
    if (s.dhidden != nullptr) store<T, Arch>(s.dhidden + row * size + j, left, zero);
  }
}

template <class T, class Arch>
void lstm_backward(const LstmStepBackward<T>& s) {
  for_ranges(s.rows, s.size * 10, [=](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) lstm_row_backward<T, Arch>(s, row);
  });
}

}  // namespace regrad::simd

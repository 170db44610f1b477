// The pointwise part of recurrent cells, between their products: one pass forward, one backward.
// A row of gates is contiguous: r, z, n (H numbers each) for the GRU; i, f, g, o for the LSTM.
// `saved` may overlap the gates it is computed from: every element is read before it is written.
#pragma once

#include "ops/cpu/chunks.h"
#include "ops/cpu/math.h"
#include "ops/kernels/table.h"

namespace regrad::simd {

REGRAD_INLINE bool is_active(const bool* active, int64_t row) {
  return active == nullptr || active[row];
}

template <class T, class Arch>
REGRAD_INLINE void copy_row(int64_t size, T* out, const T* x) {
  for (int64_t j = 0; j < size; j += lanes_of<T, Arch>) {
    store<T, Arch>(out + j, size - j, load<T, Arch>(x + j, size - j));
  }
}

// a + b; a null pointer counts as zeros.
template <class T, class Arch>
REGRAD_INLINE Vec<T, Arch> load_sum(const T* a, const T* b, int64_t left) {
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
      if (!is_active(s.active, row)) {
        copy_row<T, Arch>(size, out, hidden);
        continue;
      }
      const T* x = s.gates_x + row * s.gates_stride;
      const T* h = s.gates_h + row * 3 * size;
      T* saved = s.saved == nullptr ? nullptr : s.saved + row * 4 * size;
      for (int64_t j = 0; j < size; j += lanes_of<T, Arch>) {
        const int64_t left = size - j;
        const auto load_part = [&](const T* gates, int64_t gate) REGRAD_LAMBDA {
          return load<T, Arch>(gates + gate * size + j, left);
        };
        const V r = v_sigmoid(load_part(x, 0) + load_part(h, 0));
        const V z = v_sigmoid(load_part(x, 1) + load_part(h, 1));
        const V hn = load_part(h, 2);
        const V n = v_tanh(multiply_add(r, hn, load_part(x, 2)));
        const V before = load<T, Arch>(hidden + j, left);
        store<T, Arch>(out + j, left, multiply_add(z, before - n, n));
        if (saved == nullptr) continue;
        store<T, Arch>(saved + j, left, r);
        store<T, Arch>(saved + size + j, left, z);
        store<T, Arch>(saved + 2 * size + j, left, n);
        store<T, Arch>(saved + 3 * size + j, left, hn);
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
  const bool active = is_active(s.active, row);
  const V zero(T(0)), one(T(1));
  for (int64_t j = 0; j < size; j += lanes_of<T, Arch>) {
    const int64_t left = size - j;
    const auto load_part = [&](int64_t part) REGRAD_LAMBDA {
      return load<T, Arch>(saved + part * size + j, left);
    };
    const auto store_gate = [&](T* gates, int64_t gate, V value) REGRAD_LAMBDA {
      store<T, Arch>(gates + (row * 3 + gate) * size + j, left, value);
    };
    const V g =
        load_sum<T, Arch>(s.g + row * size + j, carry == nullptr ? nullptr : carry + j, left);
    if (!active) {
      for (int64_t gate = 0; gate < 3; ++gate)
        store_gate(s.dgates_x, gate, zero), store_gate(s.dgates_h, gate, zero);
      store<T, Arch>(s.dhidden + row * size + j, left, g);
      continue;
    }
    const V r = load_part(0), z = load_part(1), n = load_part(2);
    const V before = load<T, Arch>(s.hidden + row * size + j, left);
    const V dn = g * (one - z) * (one - n * n);
    const V dz = g * (before - n) * z * (one - z);
    const V dr = dn * load_part(3) * r * (one - r);
    store_gate(s.dgates_x, 0, dr), store_gate(s.dgates_x, 1, dz), store_gate(s.dgates_x, 2, dn);
    store_gate(s.dgates_h, 0, dr), store_gate(s.dgates_h, 1, dz), store_gate(s.dgates_h, 2, dn * r);
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
      T* out = s.out + row * s.out_stride;
      T* out_cell = s.out_cell + row * s.out_stride;
      if (!is_active(s.active, row)) {
        copy_row<T, Arch>(size, out, s.hidden + row * size);
        copy_row<T, Arch>(size, out_cell, cell);
        continue;
      }
      const T* gates = s.gates + row * s.gates_stride;
      T* saved = s.saved == nullptr ? nullptr : s.saved + row * 5 * size;
      for (int64_t j = 0; j < size; j += lanes_of<T, Arch>) {
        const int64_t left = size - j;
        const auto load_part = [&](int64_t gate) REGRAD_LAMBDA {
          return load<T, Arch>(gates + gate * size + j, left);
        };
        const V i = v_sigmoid(load_part(0)), f = v_sigmoid(load_part(1)),
                o = v_sigmoid(load_part(3));
        const V g = v_tanh(load_part(2));
        const V c_next = multiply_add(f, load<T, Arch>(cell + j, left), i * g);
        const V tanh_c = v_tanh(c_next);
        store<T, Arch>(out + j, left, o * tanh_c);
        store<T, Arch>(out_cell + j, left, c_next);
        if (saved == nullptr) continue;
        store<T, Arch>(saved + j, left, i);
        store<T, Arch>(saved + size + j, left, f);
        store<T, Arch>(saved + 2 * size + j, left, g);
        store<T, Arch>(saved + 3 * size + j, left, o);
        store<T, Arch>(saved + 4 * size + j, left, tanh_c);
      }
    }
  });
}

template <class T, class Arch>
REGRAD_INLINE void lstm_row_backward(const LstmStepBackward<T>& s, int64_t row) {
  using V = Vec<T, Arch>;
  const int64_t size = s.size;
  const bool active = is_active(s.active, row);
  const T* carry = s.carry == nullptr ? nullptr : s.carry + row * size;
  const T* carry_cell = s.carry_cell == nullptr ? nullptr : s.carry_cell + row * size;
  const V zero(T(0)), one(T(1));
  for (int64_t j = 0; j < size; j += lanes_of<T, Arch>) {
    const int64_t left = size - j;
    const auto store_gate = [&](int64_t gate, V value) REGRAD_LAMBDA {
      store<T, Arch>(s.dgates + (row * 4 + gate) * size + j, left, value);
    };
    const V g = load_sum<T, Arch>(s.g + row * s.g_stride + j, carry ? carry + j : nullptr, left);
    const V g_cell = load_sum<T, Arch>(s.g_cell + row * s.g_stride + j,
                                       carry_cell ? carry_cell + j : nullptr, left);
    if (!active) {
      for (int64_t gate = 0; gate < 4; ++gate) store_gate(gate, zero);
      store<T, Arch>(s.dhidden + row * size + j, left, g);
      store<T, Arch>(s.dcell + row * size + j, left, g_cell);
      continue;
    }
    const auto load_part = [&](int64_t part) REGRAD_LAMBDA {
      return load<T, Arch>(s.saved + (row * 5 + part) * size + j, left);
    };
    const V i = load_part(0), f = load_part(1), n = load_part(2), o = load_part(3),
            tanh_c = load_part(4);
    const V dnext = multiply_add(g * o, one - tanh_c * tanh_c, g_cell);
    const V before = load<T, Arch>(s.cell + row * size + j, left);
    store_gate(0, dnext * n * i * (one - i));
    store_gate(1, dnext * before * f * (one - f));
    store_gate(2, dnext * i * (one - n * n));
    store_gate(3, g * tanh_c * o * (one - o));
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

// The pointwise part of recurrent cells (formulas and shapes: ops/kernels/recurrent.h): a thread for each
// number of the state. What is saved may lie over the gates it comes from: a thread reads its own
// first.
#include "ops/cuda/families.h"
#include "ops/cuda/launch.h"
#include "ops/cuda/numbers.h"

namespace regrad::gpu {
namespace {

__device__ inline bool row_active(const bool* active, int64_t row) {
  return active == nullptr || active[row];
}

template <class T>
struct Gru {
  GruStep<T> s;
  __device__ void operator()(int64_t i) const {
    const int64_t size = s.size, row = i / size, j = i % size;
    const T before = s.hidden[i];
    if (!row_active(s.active, row)) {
      s.out[i] = before;
      return;
    }
    const T* x = s.gates_x + row * s.gates_row + j;
    const T* h = s.gates_h + row * 3 * size + j;
    const T r = v_sigmoid(x[0] + h[0]), z = v_sigmoid(x[size] + h[size]);
    const T through = h[2 * size], n = v_tanh(multiply_add(r, through, x[2 * size]));
    s.out[i] = multiply_add(z, before - n, n);
    if (s.saved == nullptr) return;
    T* keep = s.saved + row * 4 * size + j;
    keep[0] = r, keep[size] = z, keep[2 * size] = n, keep[3 * size] = through;
  }
};

template <class T>
struct GruBackward {
  GruStepBackward<T> s;
  __device__ void put(T* to, int64_t row, int64_t j, T a, T b, T c) const {
    T* at = to + row * 3 * s.size + j;
    at[0] = a, at[s.size] = b, at[2 * s.size] = c;
  }
  __device__ void operator()(int64_t i) const {
    const int64_t size = s.size, row = i / size, j = i % size;
    const T g = s.g[i] + (s.carry == nullptr ? T(0) : s.carry[i]), one(1);
    if (!row_active(s.active, row)) {
      put(s.dgates_x, row, j, T(0), T(0), T(0));
      put(s.dgates_h, row, j, T(0), T(0), T(0));
      s.dhidden[i] = g;
      return;
    }
    const T* saved = s.saved + row * 4 * size + j;
    const T r = saved[0], z = saved[size], n = saved[2 * size];
    const T dn = g * (one - z) * (one - n * n);
    const T dz = g * (s.hidden[i] - n) * z * (one - z);
    const T dr = dn * saved[3 * size] * r * (one - r);
    put(s.dgates_x, row, j, dr, dz, dn);
    put(s.dgates_h, row, j, dr, dz, dn * r);
    s.dhidden[i] = g * z;
  }
};

template <class T>
struct Lstm {
  LstmStep<T> s;
  __device__ void operator()(int64_t at) const {
    const int64_t size = s.size, row = at / size, j = at % size;
    const T cell = s.cell[at];
    T* out = s.out + row * s.out_row + j;
    T* out_cell = s.out_cell + row * s.out_row + j;
    if (!row_active(s.active, row)) {
      *out = s.hidden[at];
      *out_cell = cell;
      return;
    }
    const T* gates = s.gates + row * s.gates_row + j;
    const T i = v_sigmoid(gates[0]), f = v_sigmoid(gates[size]), o = v_sigmoid(gates[3 * size]);
    const T g = v_tanh(gates[2 * size]);
    const T next = multiply_add(f, cell, i * g), bent = v_tanh(next);
    *out = o * bent;
    *out_cell = next;
    if (s.saved == nullptr) return;
    T* keep = s.saved + row * 5 * size + j;
    keep[0] = i, keep[size] = f, keep[2 * size] = g, keep[3 * size] = o, keep[4 * size] = bent;
  }
};

template <class T>
struct LstmBackward {
  LstmStepBackward<T> s;
  __device__ void operator()(int64_t at) const {
    const int64_t size = s.size, row = at / size, j = at % size;
    const T g = s.g[row * s.g_row + j] + (s.carry == nullptr ? T(0) : s.carry[at]), one(1);
    const T g_cell =
        s.g_cell[row * s.g_row + j] + (s.carry_cell == nullptr ? T(0) : s.carry_cell[at]);
    T* to = s.dgates + row * 4 * size + j;
    if (!row_active(s.active, row)) {
      to[0] = to[size] = to[2 * size] = to[3 * size] = T(0);
      s.dhidden[at] = g;
      s.dcell[at] = g_cell;
      return;
    }
    const T* saved = s.saved + row * 5 * size + j;
    const T i = saved[0], f = saved[size], n = saved[2 * size], o = saved[3 * size];
    const T bent = saved[4 * size];
    const T dnext = multiply_add(g * o, one - bent * bent, g_cell);
    to[0] = dnext * n * i * (one - i);
    to[size] = dnext * s.cell[at] * f * (one - f);
    to[2 * size] = dnext * i * (one - n * n);
    to[3 * size] = g * bent * o * (one - o);
    s.dcell[at] = dnext * f;
    if (s.dhidden != nullptr) s.dhidden[at] = T(0);
  }
};

}  // namespace

template <class T>
void gru(const GruStep<T>& step) {
  for_each(step.rows * step.size, Gru<T>{step});
}
template <class T>
void gru_backward(const GruStepBackward<T>& step) {
  for_each(step.rows * step.size, GruBackward<T>{step});
}
template <class T>
void lstm(const LstmStep<T>& step) {
  for_each(step.rows * step.size, Lstm<T>{step});
}
template <class T>
void lstm_backward(const LstmStepBackward<T>& step) {
  for_each(step.rows * step.size, LstmBackward<T>{step});
}

template <class T>
CellKernels<T> cell_kernels() {
  return {
      .gru = gru<T>,
      .gru_backward = gru_backward<T>,
      .lstm = lstm<T>,
      .lstm_backward = lstm_backward<T>,
  };
}

template CellKernels<float> cell_kernels();
template CellKernels<double> cell_kernels();

}  // namespace regrad::gpu

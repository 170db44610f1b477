// The pointwise part of recurrent cells, one thread per element of the state. Shapes:
// ops/kernels/recurrent.h; the formulas of the gates: ops/recurrent.cpp. `saved` may lie over the
// gates it is computed from (GRU: gates_x), with the same first element and row stride: a thread
// reads its elements before it writes them.
#include "ops/cuda/families.h"
#include "ops/cuda/launch.h"
#include "ops/cuda/numbers.h"

namespace regrad::gpu {
namespace {

__device__ inline bool is_active(const bool* active, int64_t row) {
  return active == nullptr || active[row];
}

template <class T>
struct Gru {
  GruStep<T> s;
  __device__ void operator()(int64_t i) const {
    const int64_t size = s.size, row = i / size, j = i % size;
    const T before = s.hidden[i];
    if (!is_active(s.active, row)) {
      s.out[i] = before;
      return;
    }
    const T* x = s.gates_x + row * s.gates_stride + j;
    const T* h = s.gates_h + row * 3 * size + j;
    const T r = v_sigmoid(x[0] + h[0]), z = v_sigmoid(x[size] + h[size]);
    const T hn = h[2 * size], n = v_tanh(multiply_add(r, hn, x[2 * size]));
    s.out[i] = multiply_add(z, before - n, n);
    if (s.saved == nullptr) return;
    T* saved = s.saved + row * 4 * size + j;
    saved[0] = r, saved[size] = z, saved[2 * size] = n, saved[3 * size] = hn;
  }
};

template <class T>
struct GruBackward {
  GruStepBackward<T> s;
  __device__ void store_gates(T* gates, int64_t row, int64_t j, T a, T b, T c) const {
    T* destination = gates + row * 3 * s.size + j;
    destination[0] = a, destination[s.size] = b, destination[2 * s.size] = c;
  }
  __device__ void operator()(int64_t i) const {
    const int64_t size = s.size, row = i / size, j = i % size;
    const T g = s.g[i] + (s.carry == nullptr ? T(0) : s.carry[i]), one(1);
    if (!is_active(s.active, row)) {
      store_gates(s.dgates_x, row, j, T(0), T(0), T(0));
      store_gates(s.dgates_h, row, j, T(0), T(0), T(0));
      s.dhidden[i] = g;
      return;
    }
    const T* saved = s.saved + row * 4 * size + j;
    const T r = saved[0], z = saved[size], n = saved[2 * size];
    const T dn = g * (one - z) * (one - n * n);
    const T dz = g * (s.hidden[i] - n) * z * (one - z);
    const T dr = dn * saved[3 * size] * r * (one - r);
    store_gates(s.dgates_x, row, j, dr, dz, dn);
    store_gates(s.dgates_h, row, j, dr, dz, dn * r);
    s.dhidden[i] = g * z;
  }
};

template <class T>
struct Lstm {
  LstmStep<T> s;
  __device__ void operator()(int64_t index) const {
    const int64_t size = s.size, row = index / size, j = index % size;
    const T cell = s.cell[index];
    T* out = s.out + row * s.out_stride + j;
    T* out_cell = s.out_cell + row * s.out_stride + j;
    if (!is_active(s.active, row)) {
      *out = s.hidden[index];
      *out_cell = cell;
      return;
    }
    const T* gates = s.gates + row * s.gates_stride + j;
    const T i = v_sigmoid(gates[0]), f = v_sigmoid(gates[size]), o = v_sigmoid(gates[3 * size]);
    const T g = v_tanh(gates[2 * size]);
    const T c_next = multiply_add(f, cell, i * g), tanh_c = v_tanh(c_next);
    *out = o * tanh_c;
    *out_cell = c_next;
    if (s.saved == nullptr) return;
    T* saved = s.saved + row * 5 * size + j;
    saved[0] = i, saved[size] = f, saved[2 * size] = g, saved[3 * size] = o,
    saved[4 * size] = tanh_c;
  }
};

template <class T>
struct LstmBackward {
  LstmStepBackward<T> s;
  __device__ void operator()(int64_t index) const {
    const int64_t size = s.size, row = index / size, j = index % size;
    const T g = s.g[row * s.g_stride + j] + (s.carry == nullptr ? T(0) : s.carry[index]), one(1);
    const T g_cell =
        s.g_cell[row * s.g_stride + j] + (s.carry_cell == nullptr ? T(0) : s.carry_cell[index]);
    T* dgates = s.dgates + row * 4 * size + j;
    if (!is_active(s.active, row)) {
      dgates[0] = dgates[size] = dgates[2 * size] = dgates[3 * size] = T(0);
      s.dhidden[index] = g;
      s.dcell[index] = g_cell;
      return;
    }
    const T* saved = s.saved + row * 5 * size + j;
    const T i = saved[0], f = saved[size], n = saved[2 * size], o = saved[3 * size];
    const T tanh_c = saved[4 * size];
    const T dnext = multiply_add(g * o, one - tanh_c * tanh_c, g_cell);
    dgates[0] = dnext * n * i * (one - i);
    dgates[size] = dnext * s.cell[index] * f * (one - f);
    dgates[2 * size] = dnext * i * (one - n * n);
    dgates[3 * size] = g * tanh_c * o * (one - o);
    s.dcell[index] = dnext * f;
    if (s.dhidden != nullptr) s.dhidden[index] = T(0);
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

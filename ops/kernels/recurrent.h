// One step of a recurrent cell as every backend sees it: what follows the matrix products, as
// pointers and sizes. A step has `rows` sequences, one row each, with states of `size` numbers.
// Where `active` is given and false, the sequence has ended: its state is copied unchanged, and the
// gradient of its gates is 0.
#pragma once

#include <cstdint>

namespace regrad {

// h' = (1 - z) n + z h. gates_x and gates_h are the input's and the state's parts of the gates
// r, z, n before the activations (ops/recurrent.cpp).
template <class T>
struct GruStep {
  int64_t rows = 0, size = 0;
  const bool* active = nullptr;
  T* out = nullptr;            // [rows, size]
  T* saved = nullptr;          // [rows, 4 size]: r, z, n and gates_h's part of n; null: not saved
  const T* gates_x = nullptr;  // [rows, 3 size], rows gates_stride apart; may overlap saved
  int64_t gates_stride = 0;
  const T* gates_h = nullptr;  // [rows, 3 size]
  const T* hidden = nullptr;   // [rows, size]
};

// The gradients of gates_x (dx), gates_h and hidden, given that of h': g, plus `carry`, the
// gradient from the next step, if given.
template <class T>
struct GruStepBackward {
  int64_t rows = 0, size = 0;
  const bool* active = nullptr;
  T *dgates_x = nullptr, *dgates_h = nullptr;  // [rows, 3 size]
  T* dhidden = nullptr;                        // [rows, size]
  const T *g = nullptr, *carry = nullptr;      // [rows, size]; carry may be dhidden
  const T *saved = nullptr, *hidden = nullptr;
};

// c' = f c + i g,  h' = o tanh(c').
template <class T>
struct LstmStep {
  int64_t rows = 0, size = 0;
  const bool* active = nullptr;
  T *out = nullptr, *out_cell = nullptr;  // h' and c', [rows, size], rows out_stride apart
  int64_t out_stride = 0;
  T* saved = nullptr;        // [rows, 5 size]: i, f, g, o, tanh(c'); null: not saved
  const T* gates = nullptr;  // [rows, 4 size], rows gates_stride apart; may overlap saved
  int64_t gates_stride = 0;
  const T *hidden = nullptr, *cell = nullptr;  // [rows, size]; hidden is read only with `active`
};

// The gradients of gates and cell, given those of h' (g + carry) and c' (g_cell + carry_cell).
// dhidden, if given, gets the gradient of h' for a sequence that has ended, and 0 otherwise.
template <class T>
struct LstmStepBackward {
  int64_t rows = 0, size = 0;
  const bool* active = nullptr;
  T *dgates = nullptr, *dhidden = nullptr, *dcell = nullptr;
  const T *g = nullptr, *g_cell = nullptr;  // [rows, size], rows g_stride apart
  int64_t g_stride = 0;
  const T *carry = nullptr, *carry_cell = nullptr;  // [rows, size], or null; may be dhidden, dcell
  const T *saved = nullptr, *cell = nullptr;
};

}  // namespace regrad

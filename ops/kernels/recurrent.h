// One step of a recurrent cell as every backend sees it, between the cell's products: pointers and
// sizes. Each has `rows` sequences with states of `size`, one row each. Where `active` is given and
// false, a sequence has ended: its state goes on as it is, and its gates get no gradient.
#pragma once

#include <cstdint>

namespace regrad {

// h' = (1 - z) n + z h, from both halves of the gates r, z, n (ops/recurrent.cpp).
template <class T>
struct GruStep {
  int64_t rows = 0, size = 0;
  const bool* active = nullptr;
  T* out = nullptr;            // [rows, size]
  T* saved = nullptr;          // [rows, 4 size]: r, z, n and gates_h's n; null: nothing is kept
  const T* gates_x = nullptr;  // 3 size of each row, gates_row apart; saved may lie over them
  int64_t gates_row = 0;
  const T* gates_h = nullptr;  // [rows, 3 size]
  const T* hidden = nullptr;   // [rows, size]
};

// From g, and carry if given, which are added: the gradients of gates_x, gates_h and hidden.
template <class T>
struct GruStepBackward {
  int64_t rows = 0, size = 0;
  const bool* active = nullptr;
  T *dgates_x = nullptr, *dgates_h = nullptr;  // [rows, 3 size]
  T* dhidden = nullptr;                    // [rows, size]
  const T *g = nullptr, *carry = nullptr;  // [rows, size]; carry may be dhidden
  const T *saved = nullptr, *hidden = nullptr;
};

// c' = f c + i g,  h' = o tanh(c').
template <class T>
struct LstmStep {
  int64_t rows = 0, size = 0;
  const bool* active = nullptr;
  T *out = nullptr, *out_cell = nullptr;  // size of each row, out_row apart
  int64_t out_row = 0;
  T* saved = nullptr;        // [rows, 5 size]: i, f, g, o, tanh(c'); null: nothing is kept
  const T* gates = nullptr;  // 4 size of each row, gates_row apart; saved may lie over them
  int64_t gates_row = 0;
  const T *hidden = nullptr, *cell = nullptr;  // [rows, size]; hidden is read with `active` alone
};

// From g and carry, which are added, of both states: the gradients of gates and cell. dhidden, if
// given, gets what a sequence that has ended hands on, and 0 elsewhere.
template <class T>
struct LstmStepBackward {
  int64_t rows = 0, size = 0;
  const bool* active = nullptr;
  T *dgates = nullptr, *dhidden = nullptr, *dcell = nullptr;
  const T *g = nullptr, *g_cell = nullptr;  // size of each row, g_row apart
  int64_t g_row = 0;
  const T *carry = nullptr, *carry_cell = nullptr;  // [rows, size], or null; may be dhidden, dcell
  const T *saved = nullptr, *cell = nullptr;
};

}  // namespace regrad

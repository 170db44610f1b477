// Ops over sequences: recurrent steps, whole recurrent sequences, attention. A part of the
// catalogue: ops/ops.h says how the formulas are read.
#pragma once

#include <optional>

#include "autograd/graph.h"

namespace regrad {

// --- recurrent steps (recurrent.cpp): the pointwise part of a cell, between its matrix products,
// fused. The gates are given before their activations: W x + b and W h + b

// y = (1 - z) n + z hidden, r = σ(x_r + h_r), z = σ(x_z + h_z), n = tanh(x_n + r h_n); dgates_x =
// [R, Z, N] with N = g (1 - z) (1 - n²), Z = g (hidden - n) z (1 - z), R = N h_n r (1 - r),
// dgates_h = [R, Z, r N], dhidden = g z. gates_x = [x_r, x_z, x_n] and gates_h = [h_r, h_z, h_n]
// are [b, 3h], hidden [b, h] -> [b, h] (Cho et al., 2014).
Tensor gru_step(const Tensor& gates_x, const Tensor& gates_h, const Tensor& hidden);
// y = [h, c], h = o tanh(c), c = f cell + i n, i, f, o = σ(gates), n = tanh(gates); dgates =
// [C n i (1 - i), C cell f (1 - f), C i (1 - n²), g_h tanh(c) o (1 - o)] with C = g_c + g_h o (1 -
// tanh(c)²), g = [g_h, g_c], dcell = C f. gates in the order i, f, n, o (n is also called g),
// [b, 4h], cell [b, h] -> [b, 2h] (Hochreiter and Schmidhuber, 1997).
Tensor lstm_step(const Tensor& gates, const Tensor& cell);

// --- recurrent sequences (sequence.cpp): all time steps of one direction, with the matrix products
struct SequenceWeights {
  Tensor weight_ih, weight_hh;  // [G h, i], [G h, h]: G gates
  Tensor bias_ih, bias_hh;      // [G h], or undefined
};
struct SequenceOptions {
  Tensor lengths = {};   // int64 [b], each from 0 to t: what has ended keeps its state
  bool reverse = false;  // from the last step to the first
};
// y = gru_step(x · weight_ihᵀ + bias_ih, h · weight_hhᵀ + bias_hh, h) at each step, h = y of the
// step before, first hidden; dx = A · weight_ih with A, B = gru_step's dgates_x, dgates_h at each
// step, backwards, dhidden = what the first step gives its h, dweight_ih = Σ Aᵀ · x, dweight_hh =
// Σ Bᵀ · h, dbias_ih = Σ A, dbias_hh = Σ B. Σ over the steps, and for a bias the rows. x [t, b, i],
// hidden [b, h] -> [t, b, h].
Tensor gru_sequence(const Tensor& x, const Tensor& hidden, const SequenceWeights& weights,
                    const SequenceOptions& options = {});
// y = lstm_step(x · weight_ihᵀ + bias_ih + h · weight_hhᵀ + bias_hh, c) at each step, [h, c] = y of
// the step before, first [hidden, cell]; dx = A · weight_ih with A = lstm_step's dgates at each
// step, backwards, dhidden = what the first step gives its h, dcell = what it gives its c,
// dweight_ih = Σ Aᵀ · x, dweight_hh = Σ Aᵀ · h, dbias_ih = Σ A, dbias_hh = Σ A. Σ as above.
// -> [2, t, b, h], the hidden states, then the cell states.
Tensor lstm_sequence(const Tensor& x, const Tensor& hidden, const Tensor& cell,
                     const SequenceWeights& weights, const SequenceOptions& options = {});

// --- attention (attention.cpp)
struct AttentionOptions {
  bool causal = false;                         // query i attends to keys 0 .. i
  std::optional<double> scale = std::nullopt;  // 1 / sqrt(d) unless given
};
// y = P · v, P = softmax(scale q · kᵀ + mask); dq = scale S · k with S = P (D - Σ P D), D = g · vᵀ,
// dk = scale Sᵀ · q, dv = Pᵀ · g, dmask = S. Σ along a row (Vaswani et al., 2017, equation 1).
// q [.., t, d], k [.., s, d], v [.., s, e] -> [.., t, e].
// mask: bool, true = may attend, broadcast to [.., t, s]; or a float bias added to the scores. A
// query with nothing to attend to gives zeros, and a value with a weight of 0 contributes
// nothing, even if it is NaN. The scores are never stored: memory grows with t + s.
// The result's dimensions are laid out in memory in the same order as q's.
Tensor scaled_dot_product_attention(const Tensor& q, const Tensor& k, const Tensor& v,
                                    const Tensor& mask = {}, const AttentionOptions& options = {});
// y = Σ_h v t, t = tanh(query_i + key_j); dquery = Σ_j g v (1 - t²), dkey = Σ_i g v (1 - t²), dv =
// Σ_ij g t. Of each row i of query [.., m, h] and j of key [.., n, h], v [h] -> [.., m, n]
// (additive.cpp; Bahdanau et al., 2015).
Tensor additive_scores(const Tensor& query, const Tensor& key, const Tensor& v);
// y = |a_i - b_j|²; da = 2 Σ_j g (a_i - b_j), db = -2 Σ_i g (a_i - b_j). Of every pair of rows
// (distance.cpp): [.., m, h], [.., n, h] -> [.., m, n]. From the differences themselves: exact
// however far from 0 the rows are, and never below 0.
Tensor squared_distance(const Tensor& a, const Tensor& b);
// y = e^x / Σ e^x over what mask shows, else 0; dx = y (g - Σ g y). Σ along dim; mask: bool, true =
// may attend; a fully masked row gives zeros.
Tensor masked_softmax(const Tensor& x, const Tensor& mask, int64_t dim);

}  // namespace regrad

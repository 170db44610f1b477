// Recurrent layers and their cells. Names, gate order and formulas are PyTorch's; the layout is
// batch first. A sequence's padding never changes its result when lengths are given.
#pragma once

#include <string>
#include <vector>

#include "nn/layers.h"

namespace regrad::nn {

struct RecurrentOptions {
  int64_t layers = 1;
  bool bidirectional = false;
  double dropout = 0;  // between layers, in training
  bool bias = true;
  bool batch_first = true;  // [B, T, I]; otherwise input and output are [T, B, I]
  bool relu = false;        // RNN alone: max(x, 0) in place of tanh
};

// The parameters of one direction of one layer, or of a cell. G is the number of gates.
struct RecurrentWeights {
  Tensor weight_ih, weight_hh;  // [G H, I], [G H, H]
  Tensor bias_ih, bias_hh;      // [G H]; undefined without bias

  void visit(auto&& each, const std::string& suffix = "") {
    each("weight_ih" + suffix, weight_ih);
    each("weight_hh" + suffix, weight_hh);
    each("bias_ih" + suffix, bias_ih);
    each("bias_hh" + suffix, bias_hh);
  }
};

enum class Cell { rnn_tanh, rnn_relu, gru, lstm };

struct RecurrentOutput {
  Tensor output;  // [B, T, D H]: the last layer's states, D directions side by side; 0 in padding
  Tensor hidden;  // [L D, B, H]: each layer's and direction's state at the end of its sequence
};

struct LSTMState {
  Tensor hidden, cell;  // [L D, B, H] each; of a cell [B, H]
};

struct LSTMOutput {
  Tensor output, hidden, cell;                        // as RecurrentOutput; cell [L D, B, H]
  LSTMState state() const { return {hidden, cell}; }  // where a sequence that goes on begins
};

// What RNN, GRU and LSTM have in common.
class Recurrent {
 public:
  // Weights and biases are uniform in ±1/sqrt(H). An Error unless input_size is 0 or more, and
  // hidden_size and the number of layers above 0.
  Recurrent(Cell cell, int64_t input_size, int64_t hidden_size, const RecurrentOptions& options,
            Generator& generator);
  void visit(auto&& each) {
    for (size_t i = 0; i < weights_.size(); ++i) weights_[i].visit(each, suffix(i));
    each("dropout", dropout_);
  }
  // As they were given.
  int64_t input_size() const { return input_size_; }
  int64_t hidden_size() const { return hidden_size_; }
  const RecurrentOptions& options() const { return options_; }

 protected:
  LSTMOutput run(const char* op, const Tensor& input, const LSTMState& start,
                 const Tensor& lengths) const;

 private:
  std::string suffix(size_t i) const;  // "_l0", "_l0_reverse", "_l1", ..
  void check_arguments(const char* op, const Tensor& input, const LSTMState& start,
                       const Tensor& lengths) const;

  Cell cell_;
  int64_t input_size_, hidden_size_;
  RecurrentOptions options_;
  std::vector<RecurrentWeights> weights_;
  Dropout dropout_;
};

// The three are called with input [B, T, I]; hidden [L D, B, H], zeros where left out; and lengths
// int64 [B], each from 0 to T, T where left out.

// h' = tanh(W_ih x + b_ih + W_hh h + b_hh)
struct RNN : Recurrent {
  // As Recurrent.
  RNN(int64_t input_size, int64_t hidden_size, const RecurrentOptions& options = {},
      Generator& generator = default_generator());
  RecurrentOutput operator()(const Tensor& input, const Tensor& hidden = {},
                             const Tensor& lengths = {}) const;
};

// Cho et al., 2014, in the form with the reset gate after the product (gates in the order r, z, n):
//   r = σ(W_ir x + b_ir + W_hr h + b_hr)       z = σ(W_iz x + b_iz + W_hz h + b_hz)
//   n = tanh(W_in x + b_in + r (W_hn h + b_hn))      h' = (1 - z) n + z h
struct GRU : Recurrent {
  // As Recurrent.
  GRU(int64_t input_size, int64_t hidden_size, const RecurrentOptions& options = {},
      Generator& generator = default_generator());
  RecurrentOutput operator()(const Tensor& input, const Tensor& hidden = {},
                             const Tensor& lengths = {}) const;
};

// Hochreiter and Schmidhuber, 1997, with forget gates (gates in the order i, f, g, o):
//   i, f, o = σ(W_i x + b_i + W_h h + b_h)   g = tanh(..)   c' = f c + i g   h' = o tanh(c')
struct LSTM : Recurrent {
  // As Recurrent.
  LSTM(int64_t input_size, int64_t hidden_size, const RecurrentOptions& options = {},
       Generator& generator = default_generator());
  LSTMOutput operator()(const Tensor& input, const LSTMState& state = {},
                        const Tensor& lengths = {}) const;
};

struct CellOptions {
  bool bias = true;
  bool relu = false;  // RNNCell alone
};

// One step of an RNN: input [B, I], hidden [B, H] (zeros where left out) -> the next hidden [B, H].
struct RNNCell : RecurrentWeights {
  // I and H; first values as of Recurrent.
  RNNCell(int64_t input_size, int64_t hidden_size, CellOptions options = {},
          Generator& generator = default_generator());
  Tensor operator()(const Tensor& input, const Tensor& hidden = {}) const;
  bool relu;
};

// One step of a GRU, likewise.
struct GRUCell : RecurrentWeights {
  // I and H; first values as of Recurrent.
  GRUCell(int64_t input_size, int64_t hidden_size, CellOptions options = {},
          Generator& generator = default_generator());
  Tensor operator()(const Tensor& input, const Tensor& hidden = {}) const;
};

// One step of an LSTM: hidden and cell [B, H] (zeros where left out) -> the next ones.
struct LSTMCell : RecurrentWeights {
  // I and H; first values as of Recurrent.
  LSTMCell(int64_t input_size, int64_t hidden_size, CellOptions options = {},
           Generator& generator = default_generator());
  LSTMState operator()(const Tensor& input, const LSTMState& state = {}) const;
};

// An Error unless lengths are int64 [batch], each from 0 to steps.
void check_lengths(const char* op, const Tensor& lengths, int64_t batch, int64_t steps);

// x [T, ..] as T views [..].
std::vector<Tensor> unbind(const Tensor& x);

}  // namespace regrad::nn

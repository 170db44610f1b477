// Muon (Jordan et al., 2024): momentum, orthogonalised, for the matrices inside a model. Biases,
// gains, embeddings and output layers are for another optimiser, such as AdamW.
#pragma once

#include <array>
#include <optional>

#include "optim/optimizer.h"

namespace regrad::optim {

// How the rate follows the shape [rows, columns] of a parameter, by the factor
enum class MuonScale {
  original,         // sqrt(max(1, rows / columns))
  match_rms_adamw,  // 0.2 sqrt(max(rows, columns)): the size of AdamW's steps (Liu et al., 2025)
};

struct MuonOptions {
  double lr = 1e-3;
  double weight_decay = 0.1;
  double momentum = 0.95;
  bool nesterov = true;
  std::array<double, 3> ns_coefficients = {3.4445, -4.7750, 2.0315};
  double eps = 1e-7;
  int64_t ns_steps = 5;
  MuonScale adjust_lr = MuonScale::original;
};

// A parameter group: what is set here replaces the option that the constructor is given.
struct MuonGroup {
  std::vector<Tensor> params = {};
  std::optional<double> lr = {}, weight_decay = {}, momentum = {};
  std::optional<bool> nesterov = {};
  std::optional<std::array<double, 3>> ns_coefficients = {};
  std::optional<double> eps = {};
  std::optional<int64_t> ns_steps = {};
  std::optional<MuonScale> adjust_lr = {};
};

// m = μ m + (1 - μ) gradient;  u = m, or μ m + (1 - μ) gradient (Nesterov), with μ the momentum
// X = u / max(|u|, eps), |u| the Frobenius norm, transposed where rows > columns; then ns_steps
// times, which brings its singular values near 1 (a Newton-Schulz iteration, of degree 5):
//   A = X Xᵀ;  X = a X + (b A + c A²) X,  with (a, b, c) = ns_coefficients
// θ = (1 - lr weight_decay) θ - lr scale X,  with scale that of adjust_lr
// The products are of the parameter's dtype; PyTorch rounds X to bfloat16.
class Muon : public Optimizer {
 public:
  // An Error for a parameter that is not a matrix, unless momentum is in [0, 1], weight_decay and
  // eps are 0 or more, and ns_steps is in [0, 100).
  explicit Muon(std::vector<Tensor> parameters, MuonOptions options = {});
  explicit Muon(std::vector<MuonGroup> groups, MuonOptions options = {});
  void step() override;  // the formula above, for every parameter that has a gradient

 private:
  std::vector<MuonOptions> options_;  // of each group
};

}  // namespace regrad::optim

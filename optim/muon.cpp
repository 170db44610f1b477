#include "optim/muon.h"

#include <algorithm>
#include <cmath>

#include "autograd/check.h"
#include "ops/ops.h"
#include "ops/update.h"

namespace regrad::optim {
namespace {

MuonOptions merged(const MuonGroup& group, const MuonOptions& all) {
  const MuonOptions options = {
      .lr = group.lr.value_or(all.lr),
      .weight_decay = group.weight_decay.value_or(all.weight_decay),
      .momentum = group.momentum.value_or(all.momentum),
      .nesterov = group.nesterov.value_or(all.nesterov),
      .ns_coefficients = group.ns_coefficients.value_or(all.ns_coefficients),
      .eps = group.eps.value_or(all.eps),
      .ns_steps = group.ns_steps.value_or(all.ns_steps),
      .adjust_lr = group.adjust_lr.value_or(all.adjust_lr)};
  check(options.momentum >= 0 && options.momentum <= 1, "Muon: momentum must be in [0, 1], not {}",
        options.momentum);
  check(options.weight_decay >= 0 && options.eps >= 0,
        "Muon: weight_decay and eps must be 0 or more, not {} and {}", options.weight_decay,
        options.eps);
  check(options.ns_steps >= 0 && options.ns_steps < 100,
        "Muon: ns_steps must be in [0, 100), not {}", options.ns_steps);
  return options;
}

// The norm is summed in float64, where the squares of float32 numbers neither overflow nor vanish.
Tensor normalised(const Tensor& x, double eps) {
  const Tensor norm = sqrt(sum(square(x.to(float64))));
  return x / clamp(norm, eps, Number(std::numeric_limits<double>::infinity())).to(x.dtype());
}

Tensor orthogonalised(const Tensor& u, const MuonOptions& options) {
  const bool tall = u.size(0) > u.size(1);
  const auto [a, b, c] = options.ns_coefficients;
  Tensor x = normalised(tall ? transpose(u, 0, 1).contiguous() : u, options.eps);
  for (int64_t i = 0; i < options.ns_steps; ++i) {
    const Tensor gram = matmul(x, transpose(x, 0, 1));
    x = a * x + matmul(b * gram + c * matmul(gram, gram), x);
  }
  return tall ? transpose(x, 0, 1) : x;
}

double scale_of(const Tensor& parameter, MuonScale scale) {
  const auto rows = static_cast<double>(parameter.size(0)),
             columns = static_cast<double>(parameter.size(1));
  if (scale == MuonScale::match_rms_adamw) return 0.2 * std::sqrt(std::max(rows, columns));
  return std::sqrt(std::max(1.0, rows / std::max(columns, 1.0)));
}

// The momentum becomes a new tensor, so that an Error leaves the old one; the gradient becomes what
// plain descent follows.
void orthogonalise(ParameterUpdate& update, const MuonOptions& options) {
  const double momentum = options.momentum;
  const Tensor& g = update.gradient;
  const Tensor m = update.state[0] * momentum + g * (1 - momentum);
  const Tensor u = options.nesterov ? m * momentum + g * (1 - momentum) : m;
  update.state[0] = m;
  if (u.numel() == 0) return;
  update.gradient = orthogonalised(u, options) * scale_of(update.parameter, options.adjust_lr);
}

}  // namespace

Muon::Muon(std::vector<Tensor> parameters, MuonOptions options)
    : Muon(std::vector<MuonGroup>{{.params = std::move(parameters)}}, options) {}

Muon::Muon(std::vector<MuonGroup> groups, MuonOptions options)
    : Optimizer("Muon", groups_of(groups, options.lr), {"momentum"}) {
  for (const MuonGroup& group : groups) options_.push_back(merged(group, options));
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const Tensor& parameter = parameters_[i];
    check(parameter.rank() == 2,
          "Muon: parameter {} is {} {}; it must be a matrix, the others are "
          "for another optimiser, such as AdamW",
          i, parameter.name(), parameter.shape().str());
  }
}

void Muon::step() {
  const NoGrad guard;
  std::vector<ParameterUpdate> all = updates();
  std::vector<Tensor> momenta;
  std::vector<SgdFormula> formulas;
  for (const MuonOptions& of : options_) {
    const double rate = lr(static_cast<int64_t>(formulas.size()));
    formulas.push_back({rate, 0, 0, of.weight_decay, false});
  }
  for (ParameterUpdate& update : all) {
    orthogonalise(update, options_[update.group]);
    momenta.push_back(std::move(update.state[0]));  // not for the kernel: it has done its part
    update.state[0] = {};
  }
  sgd_update(all, formulas);
  for (size_t i = 0; i < all.size(); ++i) all[i].state[0] = std::move(momenta[i]);
  remember(all);
}

}  // namespace regrad::optim

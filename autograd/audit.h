// audit: which gradient a backward pass gave each parameter, and why it gave none. (For a module:
// audit(model, loss) in nn/audit.h.)
//   loss.backward();
//   std::cout << audit(model, loss).str();
//     ok      encoder.weight  |g| 3.1e+00  |g|/|w| 6.3
//     CUT     encoder.h0      |g| 0        its value reaches the loss, but its gradient stops at ..
//     NONE    head.bias       |g| 0        not used in this forward, ..
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "autograd/tensor.h"

namespace regrad {

struct AuditRow {
  std::string name;  // of the parameter
  // ok      it has a gradient
  // ZERO    its gradient is 0, up to rounding
  // CUT     its value reaches the loss, but its gradient was cut: by detach(), by NoGrad, or by
  //         grad() without create_graph
  // NONE    no path from the loss leads to it, or it is not a leaf
  // ROWS    only some of its rows have a gradient: it was indexed by row, as an embedding is
  // NAN     a NaN or an infinity in the gradient or the parameter
  // FROZEN  it does not require a gradient
  std::string verdict;
  std::string why;                       // a sentence; empty for ok
  double gradient_norm, parameter_norm;  // L2 norms; 0 without a gradient
  bool wrong;  // CUT, NONE, NAN, and ZERO unless it only shifts what a softmax ignores
};

struct Audit {
  std::vector<AuditRow> rows;  // in the order of the parameters
  // A line for each row.
  std::string str() const;
  // Only the rows that are wrong.
  Audit wrong() const;
};

// Call it after loss.backward() and before zero_grad(), or before backward(): then it computes the
// gradients itself and leaves every grad() as it was. Once backward() has freed the graph, it can
// say less about the reason of a ZERO. Errors: an undefined loss or parameter, a gradient of this
// pass that was cleared since, and, before backward(), a loss that is not one number.
//
// How CUT is told from NONE: each tensor knows which leaves it was computed from (Origin in
// origin.h), exactly for 128 leaves that are made one after the other. A value that goes through
// item() or to_vector(), or that only a comparison or argmax() reads, is not followed.
//
// How a ZERO up to rounding is told from a small gradient: where the graph is there, as explain()
// does. Otherwise the parameter must be a bias that is constant along the dimension of a softmax
// (note_shift in notes.h), and the norm of its gradient at most 1e-5 (float64: 1e-13) of the
// largest.
Audit audit(const std::vector<std::pair<std::string, Tensor>>& parameters, const Tensor& loss);

}  // namespace regrad

// audit: what a backward pass brought to each parameter, and where it brought nothing, why.
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
  // ZERO    its gradient is 0, or what rounding leaves of 0
  // CUT     its value reaches the loss, but a detach() or NoGrad cuts its gradient
  // NONE    nothing that was computed from it reaches the loss
  // ROWS    only some of its rows have a gradient: it is an embedding, or rows were taken of it
  // NAN     a NaN or an infinity in the gradient or the parameter
  // FROZEN  it does not require a gradient
  std::string verdict;
  std::string why;                       // a sentence; empty for ok
  double gradient_norm, parameter_norm;  // sqrt of the sum of squares; 0 without a gradient
  bool wrong;  // CUT, NONE, NAN, and ZERO unless a softmax ignores the parameter for every input
};

struct Audit {
  std::vector<AuditRow> rows;  // in the order of the parameters
  // A line for each row.
  std::string str() const;
  // The same with the rows only that are wrong.
  Audit wrong() const;
};

// After loss.backward(), and before zero_grad(); or before backward(), which it then does for
// itself, leaving every grad() as it was. Where backward() has freed the graph, a ZERO says less
// about its reason than where the graph is there. Errors: a gradient of this pass that was cleared
// since. (For a module: audit(model, loss) in nn/audit.h.)
//
// How CUT is told from NONE: each tensor knows which leaves it was computed from (Origin in
// origin.h), exactly for models of up to 128 parameters. A value that leaves the graph by item() or
// to_vector(), or that only a comparison or argmax() reads, is not followed.
//
// How what rounding leaves of 0 is told from a small gradient: the parameter must be added to what
// a softmax takes along a dimension in which it does not vary (note_shift in notes.h), and its
// gradient below 1e-5 (float64: 1e-13) of the largest one.
Audit audit(const std::vector<std::pair<std::string, Tensor>>& parameters, const Tensor& loss);

}  // namespace regrad

// The formula of an op and of its derivatives. formulas.py reads them from the comments of
// ops/ops.h and the headers that it includes, when the library is built.
#pragma once

#include <string>
#include <vector>

namespace regrad {

struct Formula {
  std::string text;                     // of the result; empty: the op is not known
  std::vector<std::string> parameters;  // of the inputs in order; the last for all that are left
  std::vector<std::string>
      derivatives;  // for each, given the gradient g of the result; empty: none
};

Formula formula_of(const std::string& op);

}  // namespace regrad

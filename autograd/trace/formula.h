// The formula of an op and of its derivatives, as the catalogue (ops/ops.h) gives them.
#pragma once

#include <string>
#include <vector>

namespace regrad {

struct Formula {
  std::string text;                      // of the result; empty: not in the catalogue
  std::vector<std::string> parameters;   // the names in it, in the order of the op's inputs
  std::vector<std::string> derivatives;  // the gradient of each; g is that of the result
};

Formula formula_of(const std::string& op);

}  // namespace regrad

#include "autograd/reasons.h"

#include <cmath>

namespace regrad {

bool ignores_shift(std::string_view op) {
  return op == "softmax" || op == "log_softmax" || op == "masked_softmax" ||
         op == "cross_entropy" || op == "scaled_dot_product_attention";
}

double norm(const Tensor& x) {
  double sum = 0;
  for (const double one : x.to_vector<double>()) sum += one * one;
  return std::sqrt(sum);
}

std::string reason_for_zero(const std::vector<std::string_view>& ops, bool is_sum, double before,
                            double after) {
  if (before == 0 || after > 1e-6 * before) return "";
  for (size_t i = 1; is_sum && i < ops.size(); ++i) {
    if (ignores_shift(ops[i])) {
      return std::string(ops[i]) + " ignores a shift: its gradients sum to 0";
    }
  }
  if (after != 0) return "";
  if (ops[0] == "relu") return "relu is closed: no input above 0";
  if (ops[0] == "clamp") return "clamp: every input is beyond its bounds";
  if (ops[0] == "where" || ops[0] == "masked_softmax") return "the mask excludes it";
  return "all its contributions are 0";
}

}  // namespace regrad

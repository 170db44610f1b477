#include "autograd/dtype.h"

#include "autograd/check.h"

namespace regrad {

size_t item_size(DType dtype) {
  constexpr size_t sizes[] = {sizeof(float), sizeof(double), sizeof(int64_t), sizeof(bool)};
  return sizes[static_cast<size_t>(dtype)];
}

const char* name(DType dtype) {
  constexpr const char* names[] = {"float32", "float64", "int64", "bool"};
  return names[static_cast<size_t>(dtype)];
}

}  // namespace regrad

fmt::format_context::iterator fmt::formatter<regrad::DType>::format(
    regrad::DType dtype, fmt::format_context& context) const {
  return fmt::formatter<std::string_view>::format(regrad::name(dtype), context);
}

// CRC-32C (Castagnoli, 1993): what TensorBoard's files use, and what finds a flipped bit in ours.
#pragma once

#include <cstdint>
#include <string_view>

#include "autograd/tensor.h"

namespace regrad::example {

uint32_t crc32c(std::string_view bytes, uint32_t before = 0);  // before: of the bytes before these
uint32_t crc32c(const Tensor& x);                              // of its elements, row-major

}  // namespace regrad::example

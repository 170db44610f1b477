// Selects the table of kernels for this processor.
#pragma once

#include "ops/kernels/table.h"

namespace regrad {

// Only these functions are exported: the kernels are hidden symbols of the library.
[[gnu::visibility("default")]] const Backend& table_sse2();
[[gnu::visibility("default")]] const Backend& table_avx2();
[[gnu::visibility("default")]] const Backend& table_avx512();

// The table of the best instruction set that the processor supports, or of the one that REGRAD_CPU
// names (sse2, avx2, avx512). Throws an Error if that is unknown or not supported. Chosen once.
const Backend& cpu_backend();

}  // namespace regrad

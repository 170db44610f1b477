// Which of the tables of kernels this processor runs.
#pragma once

#include "ops/kernels/table.h"

namespace regrad {

// The kernels themselves are hidden symbols of the library.
[[gnu::visibility("default")]] const Backend& table_sse2();
[[gnu::visibility("default")]] const Backend& table_avx2();
[[gnu::visibility("default")]] const Backend& table_avx512();

// The best that the processor has, or the one that REGRAD_CPU names (sse2, avx2, avx512); an Error
// when it does not know that name or lacks that instruction set. Chosen once.
const Backend& cpu_backend();

}  // namespace regrad

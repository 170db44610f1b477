// Which kernels run: the table of a device, and what the user may ask about it.
#pragma once

#include <string>

#include "autograd/dtype.h"

namespace regrad {

struct Backend;
const Backend& backend(Device device);  // its table of kernels; an Error when there is none

// The instruction set in use, the best that the processor has: "sse2", "avx2", "avx512". An Error
// where REGRAD_CPU names one that it lacks.
std::string cpu_features();
void set_num_threads(int n);  // for kernels, 0: as at first; results do not depend on it
int num_threads();            // at first REGRAD_NUM_THREADS, OMP_NUM_THREADS, or the cores

}  // namespace regrad

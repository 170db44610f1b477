// Which kernels run: the table of a device, and what the user may ask about it.
#pragma once

#include <string>

#include "autograd/device.h"

namespace regrad {

struct Backend;
const Backend& backend(Device device);  // its table of kernels; an Error when there is none

std::string cpu_features();     // the instruction set in use: "sse2", "avx2", "avx512"
void set_num_threads(int n);    // for kernels; results do not depend on it
int num_threads();              // REGRAD_NUM_THREADS, OMP_NUM_THREADS, or the cores

}  // namespace regrad

// The only file that knows which backends exist.
#include "ops/backend.h"

#include "autograd/check.h"
#include "ops/cpu/select.h"

namespace regrad {

const Backend& backend(Device device) {
  check(device == cpu, "this build has no CUDA backend");
  return cpu_backend();
}

bool cuda_is_available() { return false; }

Device cuda() { fail("cuda: this build has no CUDA backend; use cpu"); }

}  // namespace regrad

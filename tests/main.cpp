// REGRAD_CPU names the table of kernels to test; with REGRAD_DEVICE=cuda, tensors are made on the
// GPU. Where the machine lacks it, the program says so and ends with 77, which the test runner
// shows as skipped.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "ops/backend.h"

namespace {

bool machine_has(const std::string& table) {
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (table == "avx2") return avx2;
  return table != "avx512" ||
         (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
          __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"));
}

}  // namespace

int main(int count, char** arguments) {
  const char* table = std::getenv("REGRAD_CPU");
  if (table != nullptr && !machine_has(table)) {
    std::printf("skipped: this machine has no %s\n", table);
    return 77;
  }
  const char* device = std::getenv("REGRAD_DEVICE");
  if (device != nullptr && std::string(device) == "cuda") {
    if (!regrad::cuda_is_available()) {
      std::printf("skipped: this machine has no GPU\n");
      return 77;
    }
    regrad::set_default_device(regrad::cuda());
  }
  return doctest::Context(count, arguments).run();
}

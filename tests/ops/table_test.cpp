// REGRAD_CPU names the table of kernels that these tests run with. Where the machine lacks it, the
// program says so and ends with 77, which the test runner shows as skipped.
#include <cstdio>
#include <cstdlib>

#include "tests/ops/case.h"

using namespace regrad;

namespace {

std::string wanted_table() {
  const char* name = std::getenv("REGRAD_CPU");
  return name == nullptr ? "" : name;
}

bool machine_has(const std::string& table) {
  if (table == "avx512") {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
  }
  return table != "avx2" || (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"));
}

const bool checked = [] {
  if (!machine_has(wanted_table())) {
    std::printf("skipped: this machine has no %s\n", wanted_table().c_str());
    std::fflush(stdout);
    std::_Exit(77);
  }
  return true;
}();

TEST_SUITE_BEGIN("ops");

TEST_CASE("the table in use is the one that was asked for") {
  CHECK(checked);
  if (!wanted_table().empty()) CHECK(cpu_features() == wanted_table());
}

TEST_SUITE_END();

}  // namespace

#include "ops/cpu/select.h"

#include <cstdlib>
#include <string>

#include "autograd/check.h"
#include "ops/backend.h"

namespace regrad {
namespace {

struct Level {
  const char* name;
  bool present;
  const Backend& (*table)();
};

const Backend& choose() {
  __builtin_cpu_init();
  const bool has_avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                          __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const Level levels[] = {{"avx512", has_avx512 && has_avx2, table_avx512},
                          {"avx2", has_avx2, table_avx2},
                          {"sse2", true, table_sse2}};
  const char* variable = std::getenv("REGRAD_CPU");
  const std::string wanted = variable == nullptr ? "" : variable;
  std::string available;
  for (const Level& level : levels) {
    if (!level.present) continue;
    if (wanted.empty() || wanted == level.name) return level.table();
    available += available.empty() ? level.name : std::string(", ") + level.name;
  }
  fail("REGRAD_CPU={}: this processor has {}; name one of these, or unset it", wanted, available);
}

}  // namespace

const Backend& cpu_backend() {
  static const Backend& chosen = choose();
  return chosen;
}

std::string cpu_features() { return cpu_backend().name; }

}  // namespace regrad

// Runs doctest; skipped (exit code 77) when REGRAD_CPU asks for kernels that this machine lacks.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <cstdio>

#include "autograd/error.h"
#include "ops/backend.h"

int main(int argc, char** argv) {
  try {
    std::printf("kernels: %s\n", regrad::cpu_features().c_str());
  } catch (const regrad::Error& error) {
    std::printf("skipped: %s\n", error.what());
    return 77;
  }
  return doctest::Context(argc, argv).run();
}

// A fuzz target is one file NAME_fuzz.cpp that defines the two functions below. It links with
// clang's libFuzzer, or with driver.cpp, which needs no instrumentation and runs in the tests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

// Reads the bytes as the reader under test would. A regrad::Error is a fine answer; anything else
// that escapes, and std::abort() where a promise is broken, is a finding. Returns 0.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size);

namespace regrad::fuzz {

// Good inputs and bad ones that were found before: where the driver's mutations begin.
std::vector<std::string> seeds();

}  // namespace regrad::fuzz

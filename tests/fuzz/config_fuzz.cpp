// config.json: whatever is read can be written and read again, and says the same.
#include <cstdlib>

#include "autograd/error.h"
#include "examples/runs/run_directory.h"
#include "tests/fuzz/target.h"

using regrad::Error;
using namespace regrad::example;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  std::string again;
  try {
    again = config_text(read_config(std::string(data, data + size)));
  } catch (const Error&) {  // refused: as it should be
    return 0;
  }
  if (config_text(read_config(again)) != again) std::abort();
  return 0;
}

std::vector<std::string> regrad::fuzz::seeds() {
  Config other;
  other.options.data = "a/\"é.tsv";
  other.options.rate = 1e-9;
  other.options.seed = ~uint64_t{0};
  other.data = {12, "crc32c 00ff00ff"};
  std::string unsummed = config_text(other);  // so that mutations are read to the end
  unsummed.erase(unsummed.find(",\n  \"checksum\""),
                 std::string(",\n  \"checksum\": \"crc32c 00000000\"").size());
  return {unsummed, config_text({}), config_text(other), "{}", "[[[[[[[[", ""};
}

// config.json: whatever is read can be written and read again, and says the same.
#include <cstdlib>

#include "autograd/error.h"
#include "examples/attention/options.h"
#include "tests/fuzz/target.h"

using regrad::Error;
using namespace regrad::example;

namespace {

std::string again_from(const std::string& text) {
  Config config;
  read_config(text, settings_of(config));
  return config_text(settings_of(config));
}

// As with_defaults() leaves it: a number for each choice.
Config given() {
  Config config;
  TrainOptions& options = config.options;
  options.embedding = options.hidden = options.layers = options.steps = 1;
  options.lr = options.dropout = 0.1;
  return config;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  std::string again;
  try {
    again = again_from(std::string(data, data + size));
  } catch (const Error&) {  // refused: as it should be
    return 0;
  }
  if (again_from(again) != again) std::abort();
  return 0;
}

std::vector<std::string> regrad::fuzz::seeds() {
  Config first = given(), other = given();
  other.options.data = "a/\"é.tsv";
  other.options.lr = 1e-9;
  other.options.seed = ~uint64_t{0};
  other.data = {12, "crc32c 00ff00ff"};
  std::string unsummed = config_text(settings_of(other));  // so that mutations are read to the end
  unsummed.erase(unsummed.find(",\n  \"checksum\""),
                 std::string(",\n  \"checksum\": \"crc32c 00000000\"").size());
  return {
      unsummed, config_text(settings_of(first)), config_text(settings_of(other)), "{}", "[[[[[[[[",
      ""};
}

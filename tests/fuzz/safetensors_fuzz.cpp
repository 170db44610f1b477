// safetensors: a file that is read has tensors of no more bytes than it has itself, widened at most
// eightfold; any other is one Error.
#include "autograd/error.h"
#include "nn/checkpoint.h"
#include "tests/fuzz/file.h"
#include "tests/fuzz/target.h"

using namespace regrad;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  const fuzz::File file(data, size);
  try {
    std::size_t bytes = 0;
    for (const auto& [name, value] : nn::load_safetensors(file.path()).tensors) {
      bytes += static_cast<std::size_t>(value.numel()) * item_size(value.dtype());
    }
    if (bytes > 8 * size) std::abort();
  } catch (const Error&) {  // refused: as it should be
  }
  return 0;
}

std::vector<std::string> regrad::fuzz::seeds() {
  std::vector<std::string> all;
  for (const char* header :
       {R"({"a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]}})",
        R"({"__metadata__":{"x":"y"},"a":{"dtype":"I8","shape":[4],"data_offsets":[0,4]},)"
        R"("b":{"dtype":"F16","shape":[2],"data_offsets":[4,8]}})",
        R"({"a":{"dtype":"BF16","shape":[4],"data_offsets":[0,8]}})", "{}"}) {
    const std::string text = header;
    all.push_back(little_endian(text.size(), 8) + text + (text == "{}" ? "" : "12345678"));
  }
  return all;
}

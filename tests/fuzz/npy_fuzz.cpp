// npy: a file that is read has an array of no more bytes than it has itself, widened at most
// eightfold; any other is one Error.
#include "autograd/error.h"
#include "nn/checkpoint.h"
#include "tests/fuzz/file.h"
#include "tests/fuzz/target.h"

using namespace regrad;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  const fuzz::File file(data, size);
  try {
    const Tensor x = nn::load_npy(file.path());
    if (static_cast<std::size_t>(x.numel()) * item_size(x.dtype()) > 8 * size) std::abort();
  } catch (const Error&) {  // refused: as it should be
  }
  return 0;
}

std::vector<std::string> regrad::fuzz::seeds() {
  std::vector<std::string> all;
  for (const char* header : {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }\n",
                             "{'descr': '>i2', 'fortran_order': True, 'shape': (2, 2), }\n",
                             "{'descr': '|b1', 'fortran_order': False, 'shape': (8,), }\n"}) {
    const std::string text = header;
    all.push_back("\x93NUMPY" + std::string("\x01\0", 2) + little_endian(text.size(), 2) + text +
                  "12345678");
    all.push_back("\x93NUMPY" + std::string("\x02\0", 2) + little_endian(text.size(), 4) + text +
                  "12345678");
  }
  return all;
}

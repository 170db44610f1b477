// Tensors in files that other programs read: safetensors (named tensors) and npy (one array).
// Readers trust no byte: a malformed file is an Error that names it and says what is wrong, before
// memory for its tensors is allocated. Writers replace a file whole or leave it as it was; a
// symbolic link is followed, and what is no regular file is an Error.
#pragma once

#include <map>
#include <string>

#include "nn/module.h"

namespace regrad::nn {

using Metadata = std::map<std::string, std::string>;

struct Safetensors {
  NamedTensors tensors;  // in the order of their bytes
  Metadata metadata;
  bool verified = false;  // it carries a checksum of all its bytes, and that is right
};

struct SafetensorsOptions {
  bool checksum = false;  // of all bytes; other readers find it as metadata, "regrad.crc32c"
};

// Writes the bytes that the reference writer writes: the widest dtypes first, then by name, the
// header padded to a multiple of 8. Views are written out in full. An Error for names that are not
// UTF-8 or come twice.
void save_safetensors(const std::string& path, const NamedTensors& tensors,
                      const Metadata& metadata = {}, SafetensorsOptions options = {});

// F16 and BF16 become float32, integers int64; all on the cpu. An Error for other dtypes, and for a
// checksum that does not match the bytes.
Safetensors load_safetensors(const std::string& path);

// One array in NumPy's .npy, version 1.
void save_npy(const std::string& path, const Tensor& x);
// Reads versions 1 to 3, both byte orders, C and Fortran order, bool, integers (as int64) and
// floats, never arrays of objects. On the cpu.
Tensor load_npy(const std::string& path);

}  // namespace regrad::nn

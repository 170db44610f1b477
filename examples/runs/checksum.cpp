#include "examples/runs/checksum.h"

#include <fmt/format.h>

#include "nn/files.h"

namespace regrad::example {

FileChecksum checksum_of(const std::string& path) {
  if (path.empty()) return {};
  return nn::files::in_file(path, [&] {
    const nn::files::Input file(path);
    return FileChecksum{file.size(), fmt::format("crc32c {:08x}", file.sum(0, file.size()))};
  });
}

}  // namespace regrad::example

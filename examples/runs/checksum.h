// The data of a run by size and checksum, so that another file is not taken for it.
#pragma once

#include <cstdint>
#include <string>

namespace regrad::example {

struct FileChecksum {
  int64_t bytes = 0;
  std::string checksum;
  bool operator==(const FileChecksum&) const = default;
};
FileChecksum checksum_of(const std::string& path);  // of no file ("") zeros

}  // namespace regrad::example

// Scalars in the file that TensorBoard reads: records of length, checksum, data, checksum, whose
// data is a protobuf message, written by hand.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "nn/files.h"

namespace regrad::example {

using Scalars = std::vector<std::pair<std::string, double>>;

// One record as it stands in the file: 8 bytes of length, a masked CRC-32C of them, the data, and
// a masked CRC-32C of the data.
std::string event_record(const std::string& data);
// The message of one step. What is not finite is left out.
std::string scalar_event(double seconds, int64_t step, const Scalars& scalars);

class EventFile {
 public:
  explicit EventFile(const std::string& directory);  // a new events.out.tfevents.* there
  void add(int64_t step, const Scalars& scalars);

 private:
  void write(const std::string& data);

  std::string path_;
  nn::files::Log file_;
};

}  // namespace regrad::example

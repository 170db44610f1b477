// The header of a safetensors file: {"__metadata__": {"key": "value"}, "name": {"dtype": "F32",
// "shape": [2, 3], "data_offsets": [begin, end]}, ..}. It is read through a small window and
// refused at the first thing that does not belong; what is kept of it takes no more memory than its
// text.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "nn/checkpoint.h"
#include "nn/files.h"

namespace regrad::nn {

class SafetensorsHeader {
 public:
  static constexpr int64_t max_size = 100'000'000;  // bytes; the reference reader's limit
  static constexpr std::string_view sum_key = "regrad.crc32c";

  // The header is the `length` bytes from byte 8 of the file, and the tensors are all after it.
  SafetensorsHeader(const files::Input& file, int64_t length);

  struct Tensor {
    std::string name;
    Shape shape;
    files::Element element;
    int64_t begin;  // in the data
  };
  size_t size() const { return order_.size(); }  // how many tensors
  Tensor tensor(size_t i) const;                 // in the order of their bytes

  Metadata metadata;
  std::string sum;          // the checksum of the whole file, as the file has it
  int64_t sum_offset = -1;  // where in the file; -1: it has none

 private:
  friend class SafetensorsParser;
  struct Entry {
    uint64_t begin, end;
    uint32_t name_offset, name_size, sizes_offset;
    uint8_t rank, dtype;
  };
  std::string name(const Entry& entry) const;
  void check_names() const;
  void check_layout(uint64_t data_size);

  std::deque<Entry> entries_;
  std::deque<char> names_;
  std::deque<unsigned char> sizes_;  // seven bits a byte, the lowest first; the last below 128
  std::vector<uint32_t> order_;
};

}  // namespace regrad::nn

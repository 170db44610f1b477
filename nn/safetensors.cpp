// safetensors: 8 bytes of header length, a JSON header (safetensors_header.h), then the tensors
// without a gap.
#include <algorithm>
#include <bit>
#include <cstring>
#include <set>

#include "autograd/check.h"
#include "nn/checkpoint.h"
#include "nn/files.h"
#include "nn/json.h"
#include "nn/safetensors_header.h"

namespace regrad::nn {
namespace {

constexpr std::string_view no_sum = "00000000";  // stands for the sum while it is computed

std::string digits(uint32_t sum) { return fmt::format("{:08x}", sum); }

void verify(const files::Input& file, const SafetensorsHeader& header) {
  const auto size = static_cast<int64_t>(no_sum.size());
  uint32_t sum = file.sum(0, header.sum_offset);
  sum = files::crc32c(no_sum, sum);
  sum = file.sum(header.sum_offset + size, file.size(), sum);
  check(header.sum == digits(sum),
        "damaged: its checksum is {}, and that of its bytes is {} (or it was changed by a program "
        "that keeps the metadata \"{}\")",
        shortened(header.sum), digits(sum), SafetensorsHeader::sum_key);
}

Safetensors read(const std::string& path) {
  const files::Input file(path);
  check(file.size() >= 8, "has {} bytes; a safetensors file has 8 or more", file.size());
  uint64_t length = 0;
  file.read(0, &length, 8);
  check(length <= static_cast<uint64_t>(SafetensorsHeader::max_size),
        "announces a header of {} bytes, where at most {} are allowed; is it a safetensors file? "
        "(In Python, safetensors.torch.save_file writes one of a state_dict; torch.save does not.)",
        length, SafetensorsHeader::max_size);
  check(length <= static_cast<uint64_t>(file.size() - 8),
        "announces a header of {} bytes, and has {} after the first 8", length, file.size() - 8);
  const auto data = static_cast<int64_t>(8 + length);
  check(length > 0 && file.text(8, 1) == "{", "the header does not begin with {{");
  SafetensorsHeader header(file, static_cast<int64_t>(length));
  Safetensors result;
  result.verified = header.sum_offset >= 0;
  if (result.verified) verify(file, header);
  result.metadata = std::move(header.metadata);
  for (size_t i = 0; i < header.size(); ++i) {
    const SafetensorsHeader::Tensor x = header.tensor(i);
    result.tensors.emplace_back(x.name,
                                files::read_tensor(file, data + x.begin, x.shape, x.element));
  }
  return result;
}

struct Stored {
  const char* name;
  int order;  // the reference writer's: the widest first
};

Stored stored(DType dtype) {
  switch (dtype) {
    case DType::int64:
      return {"I64", 0};
    case DType::float64:
      return {"F64", 1};
    case DType::float32:
      return {"F32", 2};
    case DType::boolean:
      return {"BOOL", 3};
  }
  return {"", 4};
}

// In the order of the file. An Error for tensors that it cannot hold.
std::vector<const NamedTensors::value_type*> in_order(const NamedTensors& tensors) {
  std::vector<const NamedTensors::value_type*> sorted;
  for (const auto& entry : tensors) {
    check(entry.second.defined(), "tensor \"{}\" is undefined", shortened(entry.first));
    check(entry.first != "__metadata__", "no tensor may be called __metadata__");
    sorted.push_back(&entry);
  }
  std::sort(sorted.begin(), sorted.end(), [](const auto* a, const auto* b) {
    return std::make_pair(stored(a->second.dtype()).order, std::string_view(a->first)) <
           std::make_pair(stored(b->second.dtype()).order, std::string_view(b->first));
  });
  std::set<std::string_view> names;
  for (const auto* entry : sorted) {
    check(names.insert(entry->first).second, "two tensors are called \"{}\"",
          shortened(entry->first));
  }
  return sorted;
}

std::string header_of(const std::vector<const NamedTensors::value_type*>& sorted,
                      const Metadata& metadata) {
  std::string header;
  for (const auto& [key, value] : metadata) {
    header +=
        fmt::format("{}{}:{}", header.empty() ? "" : ",", json_string(key), json_string(value));
  }
  if (!metadata.empty()) header = fmt::format("\"__metadata__\":{{{}}}", header);
  int64_t begin = 0;
  for (const auto* entry : sorted) {
    const Tensor& x = entry->second;
    const int64_t end =
        checked_add(begin, checked_mul(x.numel(), static_cast<int64_t>(item_size(x.dtype()))));
    header +=
        fmt::format("{}{}:{{\"dtype\":\"{}\",\"shape\":[{}],\"data_offsets\":[{},{}]}}",
                    header.empty() ? "" : ",", json_string(entry->first), stored(x.dtype()).name,
                    fmt::join(x.shape().begin(), x.shape().end(), ","), begin, end);
    begin = end;
  }
  header = "{" + header + "}";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  check(header.size() <= static_cast<size_t>(SafetensorsHeader::max_size),
        "the names need a header of {} bytes; at most {} are allowed", header.size(),
        static_cast<size_t>(SafetensorsHeader::max_size));
  return header;
}

}  // namespace

void save_safetensors(const std::string& path, const NamedTensors& tensors,
                      const Metadata& metadata, SafetensorsOptions options) {
  files::in_file("save_safetensors: " + path, [&] {
    const std::string key(SafetensorsHeader::sum_key);
    check(!metadata.contains(key), "the metadata \"{}\" is the checksum's", key);
    const auto sorted = in_order(tensors);
    Metadata all = metadata;
    if (options.checksum) all.emplace(key, no_sum);
    const std::string header = header_of(sorted, all);
    const uint64_t length = header.size();
    files::Output file(path, options.checksum);
    file.write(&length, 8);
    file.write(header);
    for (const auto* entry : sorted) file.write(entry->second);
    if (options.checksum) {
      const std::string before = json_string(key) + ":\"";
      file.overwrite(static_cast<int64_t>(8 + header.find(before) + before.size()),
                     digits(file.sum()));
    }
    file.commit();
  });
}

Safetensors load_safetensors(const std::string& path) {
  return files::in_file("load_safetensors: " + path, [&] { return read(path); });
}

}  // namespace regrad::nn

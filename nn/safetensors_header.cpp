#include "nn/safetensors_header.h"

#include <algorithm>
#include <array>
#include <limits>

#include "autograd/check.h"
#include "nn/json.h"

namespace regrad::nn {
namespace {

using Kind = files::Element::Kind;

constexpr int64_t max_dtype = 64;         // bytes
constexpr size_t max_metadata = 100'000;  // entries; a checkpoint of this project has about 20

struct Named {
  std::string_view name;
  files::Element element;
};
constexpr std::array<Named, 13> dtypes = {{{"BOOL", {Kind::boolean, 1}},
                                           {"U8", {Kind::unsigned_integer, 1}},
                                           {"I8", {Kind::integer, 1}},
                                           {"U16", {Kind::unsigned_integer, 2}},
                                           {"I16", {Kind::integer, 2}},
                                           {"F16", {Kind::real, 2}},
                                           {"BF16", {Kind::bfloat16, 2}},
                                           {"U32", {Kind::unsigned_integer, 4}},
                                           {"I32", {Kind::integer, 4}},
                                           {"F32", {Kind::real, 4}},
                                           {"U64", {Kind::unsigned_integer, 8}},
                                           {"I64", {Kind::integer, 8}},
                                           {"F64", {Kind::real, 8}}}};

}  // namespace

// Reads the header once, and accepts the grammar of safetensors alone.
class SafetensorsParser {
 public:
  SafetensorsParser(const files::Input& file, int64_t length, SafetensorsHeader& header)
      : json_(file, 8, 8 + length), header_(header) {}

  void parse() {
    bool has_metadata = false;
    json_.members([&](const std::string& name) {
      if (name != "__metadata__") return entry(name);
      check(!std::exchange(has_metadata, true), "the header names \"{}\" twice", name);
      json_.members([&](const std::string& key) { metadata(key); });
    });
    json_.end();
  }

 private:
  void metadata(const std::string& key) {
    check(!header_.metadata.contains(key) && (key != header_.sum_key || header_.sum_offset < 0),
          "the header names \"{}\" twice", shortened(key));
    check(header_.metadata.size() < max_metadata, "the metadata has more than {} entries",
          max_metadata);
    std::string value = json_.string(SafetensorsHeader::max_size);
    if (key != header_.sum_key) {
      header_.metadata.emplace(key, std::move(value));
      return;
    }
    header_.sum = std::move(value);
    header_.sum_offset = json_.position() - 1 - static_cast<int64_t>(header_.sum.size());
  }

  void entry(const std::string& name) {
    SafetensorsHeader::Entry parsed{};
    Shape shape;
    uint64_t offsets[2];
    int count = 0;
    bool has_dtype = false, has_shape = false, has_offsets = false;
    json_.members([&](const std::string& field) {
      bool* seen = field == "dtype"          ? &has_dtype
                   : field == "shape"        ? &has_shape
                   : field == "data_offsets" ? &has_offsets
                                             : nullptr;
      if (seen == nullptr) json_.stop("a field of that name");
      check(!std::exchange(*seen, true), "the header names \"{}\" twice", field);
      if (seen == &has_dtype) {
        parsed.dtype = dtype(name);
      } else if (seen == &has_shape) {
        json_.numbers([&](uint64_t size) { add_size(name, shape, size); });
      } else {
        json_.numbers([&](uint64_t offset) {
          if (count == 2) wrong_offsets(name);
          offsets[count++] = offset;
        });
      }
    });
    check(has_dtype && has_shape && has_offsets, "tensor \"{}\" lacks dtype, shape or data_offsets",
          shortened(name));
    if (count != 2 || offsets[0] > offsets[1]) wrong_offsets(name);
    parsed.begin = offsets[0];
    parsed.end = offsets[1];
    keep(name, shape, parsed);
  }
  [[noreturn]] static void wrong_offsets(const std::string& name) {
    fail("tensor \"{}\" has data_offsets that are not [begin, end]", shortened(name));
  }
  static void add_size(const std::string& name, Shape& shape, uint64_t size) {
    check(shape.rank() < Shape::max_rank, "tensor \"{}\" has more than {} dimensions",
          shortened(name), Shape::max_rank);
    check(size <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max()),
          "tensor \"{}\" has a size of {}", shortened(name), size);
    shape.push_back(static_cast<int64_t>(size));
  }
  uint8_t dtype(const std::string& name) {
    const std::string given = json_.string(max_dtype);
    for (size_t i = 0; i < dtypes.size(); ++i) {
      if (dtypes[i].name == given) return static_cast<uint8_t>(i);
    }
    fail("tensor \"{}\" has the dtype {}, which is not supported", shortened(name),
         shortened(given));
  }
  void keep(const std::string& name, const Shape& shape, SafetensorsHeader::Entry& entry) {
    const int64_t bytes = checked_mul(shape.numel(), dtypes[entry.dtype].element.size);
    check(entry.end - entry.begin == static_cast<uint64_t>(bytes),
          "tensor \"{}\" needs {} bytes by its shape and dtype, and has {}", shortened(name), bytes,
          entry.end - entry.begin);
    entry.name_offset = static_cast<uint32_t>(header_.names_.size());
    entry.name_size = static_cast<uint32_t>(name.size());
    entry.sizes_offset = static_cast<uint32_t>(header_.sizes_.size());
    entry.rank = static_cast<uint8_t>(shape.rank());
    header_.names_.insert(header_.names_.end(), name.begin(), name.end());
    for (auto size : shape) {
      for (; size >= 128; size >>= 7) {
        header_.sizes_.push_back(static_cast<unsigned char>((size & 127) | 128));
      }
      header_.sizes_.push_back(static_cast<unsigned char>(size));
    }
    header_.entries_.push_back(entry);
  }

  JsonReader json_;
  SafetensorsHeader& header_;
};

SafetensorsHeader::SafetensorsHeader(const files::Input& file, int64_t length) {
  SafetensorsParser(file, length, *this).parse();
  check_names();
  check_layout(static_cast<uint64_t>(file.size() - 8 - length));
}

std::string SafetensorsHeader::name(const Entry& entry) const {
  const auto begin = names_.begin() + static_cast<std::ptrdiff_t>(entry.name_offset);
  return {begin, begin + static_cast<std::ptrdiff_t>(entry.name_size)};
}

void SafetensorsHeader::check_names() const {
  std::vector<std::pair<uint32_t, uint32_t>> sums;  // of each name, with its entry
  sums.reserve(entries_.size());
  for (const Entry& entry : entries_) {
    sums.emplace_back(files::crc32c(name(entry)), static_cast<uint32_t>(sums.size()));
  }
  const auto named = [&](const auto& one) { return name(entries_[one.second]); };
  std::sort(sums.begin(), sums.end(), [&](const auto& a, const auto& b) {
    return a.first != b.first ? a.first < b.first : named(a) < named(b);
  });
  for (size_t i = 1; i < sums.size(); ++i) {
    check(sums[i].first != sums[i - 1].first || named(sums[i]) != named(sums[i - 1]),
          "the header names \"{}\" twice", shortened(named(sums[i])));
  }
}

// The tensors must follow each other without a gap from the first byte of data to the last.
void SafetensorsHeader::check_layout(uint64_t data_size) {
  order_.reserve(entries_.size());
  for (size_t i = 0; i < entries_.size(); ++i) order_.push_back(static_cast<uint32_t>(i));
  std::sort(order_.begin(), order_.end(), [&](uint32_t a, uint32_t b) {
    const Entry &left = entries_[a], &right = entries_[b];
    if (left.begin != right.begin) return left.begin < right.begin;
    return left.end != right.end ? left.end < right.end : a < b;
  });
  uint64_t end = 0;
  for (const uint32_t i : order_) {
    const Entry& entry = entries_[i];
    check(entry.begin == end, "tensor \"{}\" begins at byte {} of the data, not at {}, {}",
          shortened(name(entry)), entry.begin, end, "where the one before it ends");
    end = entry.end;
  }
  check(end == data_size, "the tensors take {} bytes, the file has {} for them", end, data_size);
}

SafetensorsHeader::Tensor SafetensorsHeader::tensor(size_t i) const {
  const Entry& entry = entries_[order_[i]];
  Shape shape;
  auto byte = sizes_.begin() + static_cast<std::ptrdiff_t>(entry.sizes_offset);
  for (int d = 0; d < entry.rank; ++d) {
    uint64_t size = 0;
    for (int shift = 0;; shift += 7) {
      size |= static_cast<uint64_t>(*byte & 127) << shift;
      if (*byte++ < 128) break;
    }
    shape.push_back(static_cast<int64_t>(size));
  }
  return {name(entry), shape, dtypes[entry.dtype].element, static_cast<int64_t>(entry.begin)};
}

}  // namespace regrad::nn

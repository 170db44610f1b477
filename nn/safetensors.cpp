// safetensors: 8 bytes of header length, a JSON header, then the tensors without a gap:
//   {"__metadata__": {"key": "value"}, "name": {"dtype": "F32", "shape": [2, 3],
//    "data_offsets": [begin, end]}, ..}
#include <algorithm>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "autograd/check.h"
#include "nn/checkpoint.h"
#include "nn/files.h"

namespace regrad::nn {
namespace {

using files::printable;
using nlohmann::json;
using Kind = files::Element::Kind;

constexpr uint64_t header_limit = 100'000'000;  // the reference reader's

struct Entry {
  std::string name, dtype;
  std::vector<uint64_t> shape, offsets;
  bool has_dtype = false, has_shape = false, has_offsets = false;
};

// Takes the header event by event and stops at the first that does not belong: nothing nested,
// repeated or unknown is ever built in memory.
class HeaderReader : public json::json_sax_t {
 public:
  std::vector<Entry> entries;
  Metadata metadata;
  std::string error;

  bool null() override { return stop("null"); }
  bool boolean(bool) override { return stop("true or false"); }
  bool number_integer(number_integer_t) override { return stop("a negative number"); }
  bool number_float(number_float_t, const string_t&) override { return stop("a fraction"); }
  bool binary(binary_t&) override { return stop("binary data"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (place_ != Place::shape && place_ != Place::offsets) return stop("a number");
    (place_ == Place::shape ? entries.back().shape : entries.back().offsets).push_back(value);
    return true;
  }
  bool string(string_t& value) override {
    if (place_ == Place::metadata) {
      metadata[key_] = value;
    } else if (place_ == Place::entry && key_ == "dtype") {
      entries.back().dtype = value;
    } else {
      return stop("a string");
    }
    return true;
  }
  bool start_object(size_t) override {
    if (place_ == Place::outside) {
      place_ = Place::top;
    } else if (place_ == Place::top && key_ == "__metadata__") {
      place_ = Place::metadata;
    } else if (place_ == Place::top) {
      entries.emplace_back().name = key_;
      place_ = Place::entry;
    } else {
      return stop("an object");
    }
    return true;
  }
  bool end_object() override {
    if (place_ == Place::entry) {
      const Entry& entry = entries.back();
      if (!entry.has_dtype || !entry.has_shape || !entry.has_offsets) {
        return wrong(
            fmt::format("tensor \"{}\" lacks dtype, shape or data_offsets", printable(entry.name)));
      }
    }
    place_ = place_ == Place::top ? Place::outside : Place::top;
    return true;
  }
  bool start_array(size_t) override {
    if (place_ != Place::entry || key_ == "dtype") return stop("a list");
    place_ = key_ == "shape" ? Place::shape : Place::offsets;
    return true;
  }
  bool end_array() override {
    place_ = Place::entry;
    return true;
  }
  bool key(string_t& name) override {
    key_ = name;
    if (place_ == Place::top) return names_.insert(name).second || twice(name);
    if (place_ == Place::metadata) return !metadata.contains(name) || twice(name);
    Entry& entry = entries.back();
    bool* seen = name == "dtype"          ? &entry.has_dtype
                 : name == "shape"        ? &entry.has_shape
                 : name == "data_offsets" ? &entry.has_offsets
                                          : nullptr;
    if (seen == nullptr) return stop("a field of that name");
    return !std::exchange(*seen, true) || twice(name);
  }
  bool parse_error(size_t position, const std::string&, const json::exception&) override {
    return wrong(fmt::format("the header is not JSON at its byte {}", position));
  }

 private:
  enum class Place { outside, top, metadata, entry, shape, offsets };

  bool wrong(std::string text) {
    error = std::move(text);
    return false;
  }
  bool stop(const char* what) {
    return wrong(
        fmt::format("the header has {} where none belongs, at \"{}\"", what, printable(key_)));
  }
  bool twice(const std::string& name) {
    return wrong(fmt::format("the header names \"{}\" twice", printable(name)));
  }

  Place place_ = Place::outside;
  std::string key_;
  std::set<std::string> names_;
};

files::Element element_of(const Entry& entry) {
  static const std::map<std::string_view, files::Element> known = {
      {"BOOL", {Kind::boolean, 1}}, {"U8", {Kind::natural, 1}},  {"I8", {Kind::integer, 1}},
      {"U16", {Kind::natural, 2}},  {"I16", {Kind::integer, 2}}, {"F16", {Kind::real, 2}},
      {"BF16", {Kind::brain, 2}},   {"U32", {Kind::natural, 4}}, {"I32", {Kind::integer, 4}},
      {"F32", {Kind::real, 4}},     {"U64", {Kind::natural, 8}}, {"I64", {Kind::integer, 8}},
      {"F64", {Kind::real, 8}}};
  const auto at = known.find(entry.dtype);
  check(at != known.end(), "tensor \"{}\" has the dtype {}, which is not supported",
        printable(entry.name), printable(entry.dtype));
  return at->second;
}

Shape shape_of(const Entry& entry) {
  check(entry.shape.size() <= static_cast<size_t>(Shape::max_rank),
        "tensor \"{}\" has {} dimensions; at most {} are supported", printable(entry.name),
        entry.shape.size(), Shape::max_rank);
  Shape shape;
  for (const uint64_t size : entry.shape) {
    check(size <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max()),
          "tensor \"{}\" has a size of {}", printable(entry.name), size);
    shape.push_back(static_cast<int64_t>(size));
  }
  return shape;
}

// The tensors must follow each other without a gap from the first byte of data to the last.
void check_layout(std::vector<Entry>& entries, uint64_t data_size) {
  for (const Entry& entry : entries) {
    check(entry.offsets.size() == 2 && entry.offsets[0] <= entry.offsets[1],
          "tensor \"{}\" has data_offsets that are not [begin, end]", printable(entry.name));
    const int64_t bytes = checked_mul(shape_of(entry).numel(), element_of(entry).size);
    check(entry.offsets[1] - entry.offsets[0] == static_cast<uint64_t>(bytes),
          "tensor \"{}\" needs {} bytes by its shape and dtype, and has {}", printable(entry.name),
          bytes, entry.offsets[1] - entry.offsets[0]);
  }
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.offsets < b.offsets; });
  uint64_t end = 0;
  for (const Entry& entry : entries) {
    check(entry.offsets[0] == end, "tensor \"{}\" begins at byte {} of the data, not at {}, {}",
          printable(entry.name), entry.offsets[0], end, "where the one before it ends");
    end = entry.offsets[1];
  }
  check(end == data_size, "the tensors take {} bytes, the file has {} for them", end, data_size);
}

Safetensors read(const std::string& path) {
  const files::Input file(path);
  check(file.size() >= 8, "has {} bytes; a safetensors file has 8 or more", file.size());
  uint64_t length = 0;
  file.read(0, &length, 8);
  check(length <= header_limit,
        "announces a header of {} bytes, where at most {} are allowed; is it a safetensors file? "
        "(In Python, safetensors.torch.save_file writes one of a state_dict; torch.save does not.)",
        length, header_limit);
  check(length <= static_cast<uint64_t>(file.size() - 8),
        "announces a header of {} bytes, and has {} after the first 8", length, file.size() - 8);
  const auto data = static_cast<int64_t>(8 + length);
  const std::string header = file.text(8, static_cast<int64_t>(length));
  check(header.starts_with('{'), "the header does not begin with {{");
  // The parser would take a NUL for the end, and leave what follows it unread.
  check(header.find('\0') == std::string::npos, "the header is not JSON: it holds a NUL byte");
  HeaderReader reader;
  const bool parsed = json::sax_parse(header, &reader);
  check(parsed, "{}", reader.error);
  check_layout(reader.entries, static_cast<uint64_t>(file.size() - data));
  Safetensors result;
  result.metadata = std::move(reader.metadata);
  for (const Entry& entry : reader.entries) {
    const auto at = data + static_cast<int64_t>(entry.offsets[0]);
    result.tensors.emplace_back(entry.name,
                                files::read_tensor(file, at, shape_of(entry), element_of(entry)));
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

std::string quoted(const std::string& text) {
  try {
    return json(text).dump();
  } catch (const json::exception&) {
    fail("\"{}\" is not UTF-8", printable(text));
  }
}

// In the order of the file. An Error for tensors that it cannot hold.
std::vector<const NamedTensors::value_type*> in_order(const NamedTensors& tensors) {
  std::vector<const NamedTensors::value_type*> sorted;
  for (const auto& entry : tensors) {
    check(entry.second.defined(), "tensor \"{}\" is undefined", printable(entry.first));
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
          printable(entry->first));
  }
  return sorted;
}

std::string header_of(const std::vector<const NamedTensors::value_type*>& sorted,
                      const Metadata& metadata) {
  std::string header;
  for (const auto& [key, value] : metadata) {
    header += fmt::format("{}{}:{}", header.empty() ? "" : ",", quoted(key), quoted(value));
  }
  if (!metadata.empty()) header = fmt::format("\"__metadata__\":{{{}}}", header);
  int64_t begin = 0;
  for (const auto* entry : sorted) {
    const Tensor& x = entry->second;
    const int64_t end =
        checked_add(begin, checked_mul(x.numel(), static_cast<int64_t>(item_size(x.dtype()))));
    header += fmt::format("{}{}:{{\"dtype\":\"{}\",\"shape\":[{}],\"data_offsets\":[{},{}]}}",
                          header.empty() ? "" : ",", quoted(entry->first), stored(x.dtype()).name,
                          fmt::join(x.shape().begin(), x.shape().end(), ","), begin, end);
    begin = end;
  }
  header = "{" + header + "}";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  check(header.size() <= header_limit,
        "the names need a header of {} bytes; at most {} are allowed", header.size(), header_limit);
  return header;
}

}  // namespace

void save_safetensors(const std::string& path, const NamedTensors& tensors,
                      const Metadata& metadata) {
  try {
    const auto sorted = in_order(tensors);
    const std::string header = header_of(sorted, metadata);
    const uint64_t length = header.size();
    files::Output file(path);
    file.write(&length, 8);
    file.write(header);
    for (const auto* entry : sorted) file.write(entry->second);
    file.commit();
  } catch (const Error& error) {
    fail("save_safetensors: {}: {}", path, error.what());
  }
}

Safetensors load_safetensors(const std::string& path) {
  try {
    return read(path);
  } catch (const Error& error) {
    fail("load_safetensors: {}: {}", path, error.what());
  }
}

}  // namespace regrad::nn

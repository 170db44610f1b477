#include "examples/runs/events.h"

#include <unistd.h>

#include <bit>
#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>

#include "autograd/check.h"

namespace regrad::example {
namespace {

// The kinds of a protobuf field, and the numbers of the fields in TensorFlow's event.proto.
enum Kind : uint64_t { varint = 0, eight_bytes = 1, text = 2, four_bytes = 5 };
enum Field : uint64_t { wall_time = 1, step_number = 2, file_version = 3, summary = 5 };
enum SummaryField : uint64_t { value = 1, tag = 1, simple_value = 2 };

template <class Number>
std::string little_endian(Number number) {
  std::string bytes(sizeof number, '\0');
  std::memcpy(bytes.data(), &number, sizeof number);
  return bytes;
}

std::string variable_length(uint64_t number) {
  std::string bytes;
  for (; number >= 128; number >>= 7) bytes += static_cast<char>((number & 127) | 128);
  return bytes + static_cast<char>(number);
}

std::string key(uint64_t field, Kind kind) { return variable_length(field << 3 | kind); }

std::string text_field(uint64_t field, const std::string& content) {
  return key(field, text) + variable_length(content.size()) + content;
}

std::string masked_checksum(const std::string& bytes) {
  const uint32_t sum = nn::files::crc32c(bytes);
  return little_endian(std::rotr(sum, 15) + 0xa282ead8u);
}

double now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string free_name(const std::string& directory) {
  const std::string name =
      fmt::format("{}/events.out.tfevents.{:.0f}.regrad.{}", directory, now(), ::getpid());
  std::string path = name;
  for (int number = 1; std::filesystem::exists(path); ++number) {
    path = fmt::format("{}.{}", name, number);
  }
  return path;
}

}  // namespace

std::string event_record(const std::string& data) {
  const std::string length = little_endian(uint64_t{data.size()});
  return length + masked_checksum(length) + data + masked_checksum(data);
}

std::string scalar_event(double seconds, int64_t step, const Scalars& scalars) {
  std::string values;
  for (const auto& [name, number] : scalars) {
    if (!std::isfinite(number)) continue;
    values += text_field(value, text_field(tag, name) + key(simple_value, four_bytes) +
                                    little_endian(static_cast<float>(number)));
  }
  return key(wall_time, eight_bytes) + little_endian(seconds) + key(step_number, varint) +
         variable_length(static_cast<uint64_t>(step)) + text_field(summary, values);
}

EventFile::EventFile(const std::string& directory)
    : path_(free_name(directory)),
      file_(nn::files::in_file(path_, [&] { return nn::files::Log(path_); })) {
  write(key(wall_time, eight_bytes) + little_endian(now()) +
        text_field(file_version, "brain.Event:2"));
}

void EventFile::add(int64_t step, const Scalars& scalars) {
  write(scalar_event(now(), step, scalars));
}

void EventFile::write(const std::string& data) {
  nn::files::in_file(path_, [&] { file_.append(event_record(data)); });
}

}  // namespace regrad::example

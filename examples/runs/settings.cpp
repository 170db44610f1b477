#include "examples/runs/settings.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <type_traits>

#include "autograd/check.h"
#include "autograd/text.h"
#include "nn/files.h"

namespace regrad::example {
namespace {

using nlohmann::ordered_json;

constexpr size_t max_config = 1 << 16;  // bytes
constexpr std::string_view checksum_key = "\"checksum\": \"crc32c ", no_checksum = "00000000";

void check_text(const Setting& setting, const std::string& text) {
  const std::vector<std::string>& choices = setting.choices;
  if (choices.empty()) {
    check(text.size() <= static_cast<size_t>(setting.max) && text.find('\0') == text.npos,
          "\"{}\" must be a text of at most {} bytes", setting.name, setting.max);
  } else {
    check(std::find(choices.begin(), choices.end(), text) != choices.end(),
          "\"{}\" is \"{}\"; it must be one of {}", setting.name, shortened(text),
          fmt::join(choices, ", "));
  }
}

void read_json(const ordered_json& json, const Setting& setting, std::string& value) {
  check(json.is_string(), "\"{}\" must be a text", setting.name);
  value = json.get<std::string>();
  check_text(setting, value);
}

void read_json(const ordered_json& json, const Setting& setting, bool& value) {
  check(json.is_boolean(), "\"{}\" must be true or false", setting.name);
  value = json.get<bool>();
}

template <class Number>
void read_json(const ordered_json& json, const Setting& setting, Number& value) {
  const bool has_type = std::is_same_v<Number, double>     ? json.is_number()
                        : std::is_same_v<Number, uint64_t> ? json.is_number_unsigned()
                                                           : json.is_number_integer();
  check(has_type, "\"{}\" must be {}", setting.name,
        std::is_same_v<Number, double> ? "a number" : "an integer");
  const auto number = json.get<double>();
  check((number >= setting.min && number <= setting.max) || number == setting.unset,
        "\"{}\" is {}; it must be from {} to {}", setting.name, number, setting.min, setting.max);
  value = json.get<Number>();
}

ordered_json to_json(const Setting& setting) {
  return std::visit([](const auto* value) { return ordered_json(*value); }, setting.value);
}

void read_setting(const ordered_json& json, const Setting& setting) {
  std::visit([&](auto* value) { read_json(json, setting, *value); }, setting.value);
}

// The checksum is that of the whole text with zeros in the place of its own digits.
void check_checksum(std::string text) {
  const size_t key = text.rfind(checksum_key), digits = key + checksum_key.size();
  const bool is_there = key != text.npos && digits + no_checksum.size() <= text.size();
  const std::string given = is_there ? text.substr(digits, no_checksum.size()) : "";
  if (is_there) text.replace(digits, no_checksum.size(), no_checksum);
  check(given == fmt::format("{:08x}", nn::files::crc32c(text)),
        "damaged or edited: its checksum is not that of its text (without the line of the checksum "
        "it is read as it is)");
}

}  // namespace

std::string config_text(const Settings& settings) {
  ordered_json json;
  for (const Setting& setting : settings) json[setting.name] = to_json(setting);
  std::string text = json.dump(2, ' ', false, ordered_json::error_handler_t::replace);
  text.resize(text.size() - 2);  // the last line end and brace
  text += fmt::format(",\n  {}{}\"\n}}\n", checksum_key, no_checksum);
  const size_t digits = text.rfind(checksum_key) + checksum_key.size();
  return text.replace(digits, no_checksum.size(), fmt::format("{:08x}", nn::files::crc32c(text)));
}

void read_config(const std::string& text, const Settings& settings) {
  check(text.size() <= max_config, "has {} bytes; at most {} are read", text.size(), max_config);
  const auto too_deep = [](int depth, ordered_json::parse_event_t, ordered_json&) {
    check(depth <= 1, "holds a list or an object; options are texts and numbers");
    return true;
  };
  const ordered_json json = ordered_json::parse(text, too_deep, false);
  check(json.is_object(), "is not a JSON object");
  std::set<std::string> known = {"checksum"};
  for (const Setting& setting : settings) {
    known.insert(setting.name);
    check(json.contains(setting.name),
          "\"{}\" is missing: the file is damaged, or of another version of the program",
          setting.name);
    read_setting(json.at(setting.name), setting);
  }
  for (const auto& [name, value] : json.items()) {
    check(known.contains(name), "\"{}\" is not known", shortened(name));
  }
  if (json.contains("checksum")) check_checksum(text);
}

std::string value_text(const Setting& setting) {
  const ordered_json json = to_json(setting);
  return json.is_string() ? json.get<std::string>() : json.dump();
}

void read_value(const std::string& text, const Setting& setting) {
  if (std::holds_alternative<std::string*>(setting.value)) {
    read_setting(ordered_json(text), setting);
    return;
  }
  const ordered_json json = ordered_json::parse(text, nullptr, false);
  check(json.is_primitive(), "\"{}\" is \"{}\"; it must be one value", setting.name,
        shortened(text));
  read_setting(json, setting);
}

}  // namespace regrad::example

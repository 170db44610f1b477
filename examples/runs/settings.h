// The settings of a run: names, values and what they may be. The command line, config.json and the
// metadata of weights are made of one list of them, so a setting is described in one place.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace regrad::example {

struct Setting {
  std::string name;  // as in config.json, "label_smoothing"
  std::variant<std::string*, bool*, int64_t*, uint64_t*, double*> value;
  double min = 0, max = 0;                     // of a number; max bytes of a text without choices
  std::vector<std::string> choices = {};       // of a text; empty: any text
  std::optional<double> unset = std::nullopt;  // a number outside the range that means "not given"
};
using Settings = std::vector<Setting>;

// All settings as JSON with a checksum as its last line, and back. Trusts nothing: read_config
// throws Error for a text that is not JSON, lacks a setting, has an unknown one, or gives one a
// value outside its range. A text without the checksum, as a person may write it, is read as it is.
std::string config_text(const Settings& settings);
void read_config(const std::string& text, const Settings& settings);

// One value as text ("64", "true"), and back. Throws Error for what it may not be.
std::string value_text(const Setting& setting);
void read_value(const std::string& text, const Setting& setting);

}  // namespace regrad::example

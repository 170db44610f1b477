// config.json: the options of a run, as JSON. One list of fields serves writing and reading. Its
// last line is a checksum of the whole text, with zeros in the place of the checksum's own digits.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <type_traits>

#include "autograd/check.h"
#include "examples/attention/commands.h"
#include "examples/runs/run_directory.h"
#include "nn/files.h"

namespace regrad::example {
namespace {

using nlohmann::ordered_json;

constexpr size_t longest_config = 1 << 16;
constexpr std::string_view sum_mark = "\"checksum\": \"crc32c ", no_sum = "00000000";

// each(name, field, least, most): the bounds are those of the command line.
void fields(Config& config, auto&& each) {
  TrainOptions& o = config.options;
  each("data", o.data, 0, 4096);
  each("out", o.out, 0, 4096);
  each("model", o.model, 0, 32);
  each("score", o.score, 0, 32);
  each("tokens", o.tokens, 0, 32);
  each("merges", o.merges, -1, 1000000);
  each("embedding", o.embedding, 1, 4096);
  each("input_feeding", o.input_feeding, 0, 1);
  each("tie_output", o.tie_output, 0, 1);
  each("hidden", o.hidden, 1, 4096);
  each("layers", o.layers, 1, 64);
  each("heads", o.heads, 1, 4096);
  each("batch", o.batch, 1, 65536);
  each("accumulate", o.accumulate, 1, 65536);
  each("steps", o.steps, 0, 1000000000);
  each("epochs", o.epochs, 0, 1000000);
  each("rate", o.rate, 1e-9, 10);
  each("schedule", o.schedule, 0, 32);
  each("warmup", o.warmup, -1, 1000000000);
  each("label_smoothing", o.label_smoothing, 0, 0.9);
  each("clip", o.clip, 0, 1e9);
  each("dropout", o.dropout, 0, 0.9);
  each("held_out", o.held_out, 0, 0.9);
  each("patience", o.patience, 0, 1000000);
  each("until_solved", o.until_solved, 0, 1);
  each("save_every", o.save_every, 0, 1000000000);
  each("keep", o.keep, 1, 1000000);
  each("seed", o.seed, 0, 1.8446744073709552e19);
  each("pairs", o.pairs, 0, 100000000);
  each("max_length", o.max_length, 0, longest_text);
  each("data_bytes", config.data.bytes, 0, 9e18);
  each("data_checksum", config.data.checksum, 0, 64);
}

struct Read {
  const ordered_json& json;
  std::set<std::string> known = {"checksum"}, newer = {"max_length"};

  template <class T>
  void operator()(const char* name, T& field, double least, double most) {
    known.insert(name);
    if (!json.contains(name) && newer.contains(name)) return;  // a run from before it
    check(json.contains(name), "\"{}\" is missing", name);
    const ordered_json& given = json.at(name);
    if constexpr (std::is_same_v<T, std::string>) {
      check(given.is_string(), "\"{}\" must be a text", name);
      field = given.get<std::string>();
      check(field.size() <= static_cast<size_t>(most) && field.find('\0') == std::string::npos,
            "\"{}\" must be a text of at most {} bytes", name, most);
    } else if constexpr (std::is_same_v<T, bool>) {
      check(given.is_boolean(), "\"{}\" must be true or false", name);
      field = given.get<bool>();
    } else {
      const bool is_right = std::is_same_v<T, double>     ? given.is_number()
                            : std::is_same_v<T, uint64_t> ? given.is_number_unsigned()
                                                          : given.is_number_integer();
      check(is_right, "\"{}\" must be a {}number", name, std::is_same_v<T, double> ? "" : "whole ");
      const double size = given.get<double>();
      check(size >= least && size <= most, "\"{}\" is {}; it must be from {} to {}", name, size,
            least, most);
      field = given.get<T>();
    }
  }
};

void check_choice(const char* name, const std::string& given,
                  const std::vector<std::string>& choices) {
  check(std::find(choices.begin(), choices.end(), given) != choices.end(),
        "\"{}\" is \"{}\"; it must be one of {}", name, shortened(given),
        fmt::join(choices, ", "));
}

}  // namespace

std::string config_text(const Config& config) {
  ordered_json json;
  Config copy = config;
  fields(copy, [&](const char* name, auto& field, double, double) { json[name] = field; });
  std::string text = json.dump(2, ' ', false, ordered_json::error_handler_t::replace);
  text.resize(text.size() - 2);  // the last line end and brace
  text += fmt::format(",\n  {}{}\"\n}}\n", sum_mark, no_sum);
  const size_t at = text.rfind(sum_mark) + sum_mark.size();
  return text.replace(at, no_sum.size(), fmt::format("{:08x}", nn::files::crc32c(text)));
}

namespace {

void check_sum(std::string text) {
  const size_t mark = text.rfind(sum_mark), at = mark + sum_mark.size();
  const bool is_there = mark != std::string::npos && at + no_sum.size() <= text.size();
  const std::string given = is_there ? text.substr(at, no_sum.size()) : "";
  if (is_there) text.replace(at, no_sum.size(), no_sum);
  check(given == fmt::format("{:08x}", nn::files::crc32c(text)),
        "damaged or edited: its checksum is not that of its text (without the line of the checksum "
        "it "
        "is read as it is)");
}

}  // namespace

Config read_config(const std::string& text) {
  check(text.size() <= longest_config, "has {} bytes; at most {} are read", text.size(),
        longest_config);
  const auto too_deep = [](int depth, ordered_json::parse_event_t, ordered_json&) {
    check(depth <= 1, "holds a list or an object; options are texts and numbers");
    return true;
  };
  const ordered_json json = ordered_json::parse(text, too_deep, false);
  check(json.is_object(), "is not a JSON object");
  Config config;
  Read read{json};
  fields(config, read);
  for (const auto& [name, value] : json.items()) {
    check(read.known.contains(name), "\"{}\" is not known", shortened(name));
  }
  check_choice("model", config.options.model, model_names());
  check_choice("score", config.options.score, score_names());
  check_choice("tokens", config.options.tokens, token_choices());
  check_choice("schedule", config.options.schedule, schedule_names());
  if (json.contains("checksum")) check_sum(text);
  return config;
}

}  // namespace regrad::example

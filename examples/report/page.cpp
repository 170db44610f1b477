#include "examples/report/page.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <nlohmann/json.hpp>

#include "examples/report/page_parts.h"
#include "examples/runs/terminal.h"

namespace regrad::example {
namespace {

using nlohmann::json;

constexpr std::size_t max_points = 500;  // of a curve: about one for each pixel

json printable_tokens(const std::vector<std::string>& tokens) {
  json array = json::array();
  for (const std::string& token : tokens) array.push_back(printable(token));
  return array;
}

json to_json(const AttentionMap& map) {
  check_map(map);
  json weights = json::array();
  for (const float weight : map.weights) {
    if (std::isnan(weight)) {
      weights.push_back(nullptr);
    } else {
      weights.push_back(std::lround(1000 * std::clamp(weight, 0.0f, 1.0f)));
    }
  }
  return {{"title", printable(map.title)},
          {"source", printable_tokens(map.source)},
          {"target", printable_tokens(map.target)},
          {"weights", std::move(weights)}};
}

json to_json(const std::vector<AttentionMap>& maps) {
  json array = json::array();
  for (const AttentionMap& map : maps) array.push_back(to_json(map));
  return array;
}

json to_json(const Series& series) {
  const std::size_t count = series.points.size(), stride = (count + max_points - 1) / max_points;
  json points = json::array();
  for (std::size_t i = count == 0 ? 0 : (count - 1) % stride; i < count; i += stride) {
    const auto& [step, value] = series.points[i];
    points.push_back(json::array({step, std::isfinite(value) ? json(value) : json(nullptr)}));
  }
  return {{"name", printable(series.name)},
          {"unit", printable(series.unit)},
          {"points", std::move(points)}};
}

json to_json(const std::vector<Example>& examples) {
  json array = json::array();
  for (const Example& example : examples) {
    array.push_back({{"source", printable(example.source)},
                     {"output", printable(example.output)},
                     {"reference", printable(example.reference)},
                     {"score", std::isfinite(example.score) ? json(example.score) : json()}});
  }
  return array;
}

json to_json(const Report& report) {
  json facts = json::array(), curves = json::array(), snapshots = json::array();
  for (const auto& [what, value] : report.facts) {
    facts.push_back(json::array({printable(what), printable(value)}));
  }
  for (const Series& series : report.curves) {
    if (!series.points.empty()) curves.push_back(to_json(series));
  }
  for (const Snapshot& snapshot : report.snapshots) {
    snapshots.push_back({{"step", snapshot.step}, {"maps", to_json(snapshot.maps)}});
  }
  return {{"title", printable(report.title)},  {"facts", std::move(facts)},
          {"curves", std::move(curves)},       {"maps", to_json(report.maps)},
          {"snapshots", std::move(snapshots)}, {"best", to_json(report.best)},
          {"worst", to_json(report.worst)},    {"score_name", printable(report.score_name)}};
}

std::string with_replaced(const std::string& text, char what, const char* replacement) {
  std::string result;
  for (const char c : text) result += c == what ? std::string(replacement) : std::string(1, c);
  return result;
}

}  // namespace

std::string to_page(const Report& report) {
  static_assert(std::size(page_parts) == 3, "a page this long comes in more pieces");
  const std::string title =
      with_replaced(with_replaced(printable(report.title), '&', "&amp;"), '<', "&lt;");
  // In JSON "<" stands within strings only. Without it no text can end the element that holds it.
  const std::string data = with_replaced(to_json(report).dump(), '<', "\\u003c");
  return std::string(page_parts[0]) + title + page_parts[1] + data + page_parts[2];
}

}  // namespace regrad::example

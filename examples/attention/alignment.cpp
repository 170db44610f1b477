#include "examples/attention/alignment.h"

#include <algorithm>
#include <optional>

namespace regrad::example {
namespace {

constexpr size_t year_length = 4;

bool is_digit(const std::string& token) {
  return token.size() == 1 && token[0] >= '0' && token[0] <= '9';
}

// Where the target's year begins in the source, if it is there once.
std::optional<size_t> year_in_source(const AttentionMap& map) {
  if (map.target.size() <= year_length || map.target[year_length] != "-") return std::nullopt;
  const auto end = map.target.begin() + year_length;
  if (!std::all_of(map.target.begin(), end, is_digit)) return std::nullopt;
  const auto found = std::search(map.source.begin(), map.source.end(), map.target.begin(), end);
  if (found == map.source.end()) return std::nullopt;
  if (std::search(found + 1, map.source.end(), map.target.begin(), end) != map.source.end()) {
    return std::nullopt;
  }
  return static_cast<size_t>(found - map.source.begin());
}

}  // namespace

Alignment alignment(const std::vector<AttentionMap>& maps) {
  Alignment total;
  for (const AttentionMap& map : maps) {
    const std::optional<size_t> year = year_in_source(map);
    if (!year) continue;
    for (size_t digit = 0; digit < year_length; ++digit) {
      const auto row = map.weights.begin() + static_cast<int64_t>(digit * map.source.size());
      const auto row_end = row + static_cast<int64_t>(map.source.size());
      const auto peak = static_cast<size_t>(std::max_element(row, row_end) - row);
      for (size_t i = 0; i < year_length; ++i) {
        total.mass += static_cast<double>(row[static_cast<int64_t>(*year + i)]);
      }
      total.peaks += peak >= *year && peak < *year + year_length ? 1 : 0;
      ++total.digits;
    }
  }
  if (total.digits == 0) return total;
  total.mass /= static_cast<double>(total.digits);
  total.peaks /= static_cast<double>(total.digits);
  return total;
}

Alignment alignment(Translator& translator, const std::vector<std::string>& texts) {
  std::vector<AttentionMap> maps;
  for (std::vector<Translation>& found : translator.translate(texts)) {
    maps.push_back(std::move(found.front().map));
  }
  return alignment(maps);
}

}  // namespace regrad::example

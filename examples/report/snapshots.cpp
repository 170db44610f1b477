#include "examples/report/snapshots.h"

#include <algorithm>

#include "examples/text/unicode.h"

namespace regrad::example {

std::vector<std::string> sentences_to_watch(const std::vector<std::string>& texts,
                                            std::size_t count) {
  if (texts.empty()) return {};
  std::vector<std::size_t> lengths;
  for (const std::string& text : texts) lengths.push_back(code_points(text).size());
  std::vector<std::size_t> sorted = lengths;
  const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
  std::nth_element(sorted.begin(), middle, sorted.end());
  const auto from_median = [&](std::size_t i) {
    return std::max(lengths[i], *middle) - std::min(lengths[i], *middle);
  };
  std::vector<std::string> chosen;
  const std::size_t groups = std::min(count, texts.size());
  for (std::size_t group = 0; group < groups; ++group) {
    std::size_t best = group * texts.size() / groups;
    for (std::size_t i = best; i < (group + 1) * texts.size() / groups; ++i) {
      if (from_median(i) < from_median(best)) best = i;
    }
    chosen.push_back(texts[best]);
  }
  return chosen;
}

}  // namespace regrad::example

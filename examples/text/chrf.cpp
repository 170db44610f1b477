#include "examples/text/chrf.h"

#include <algorithm>
#include <array>

namespace regrad::example {
namespace {

constexpr size_t max_order = 6;

struct ChrfTotals {
  std::array<int64_t, max_order> given{}, wanted{}, right{};

  // Of one hypothesis and one reference.
  ChrfTotals(const Units& hypothesis, const Units& reference) {
    for (size_t n = 1; n <= max_order; ++n) {
      wanted[n - 1] = reference.ngrams(n);
      given[n - 1] = wanted[n - 1] > 0 ? hypothesis.ngrams(n) : 0;
      right[n - 1] = matches(hypothesis.counts(n), reference.counts(n));
    }
  }
  ChrfTotals() = default;

  void add(const ChrfTotals& other) {
    for (size_t i = 0; i < max_order; ++i) {
      given[i] += other.given[i];
      wanted[i] += other.wanted[i];
      right[i] += other.right[i];
    }
  }

  double score() const {
    constexpr double weight = 4;  // beta squared
    double precision = 0, recall = 0;
    int orders = 0;
    for (size_t i = 0; i < max_order; ++i) {
      if (given[i] == 0 || wanted[i] == 0) continue;
      precision += static_cast<double>(right[i]) / static_cast<double>(given[i]);
      recall += static_cast<double>(right[i]) / static_cast<double>(wanted[i]);
      ++orders;
    }
    if (precision + recall == 0) return 0;
    precision /= orders;
    recall /= orders;
    return 100 * (1 + weight) * precision * recall / (weight * precision + recall);
  }
};

}  // namespace

double chrf(const std::vector<std::string>& hypotheses, const References& references) {
  check_references("chrf", hypotheses.size(), references);
  ChrfTotals totals;
  for (size_t i = 0; i < hypotheses.size(); ++i) {
    const Units characters = characters_of(hypotheses[i]);
    ChrfTotals best;
    double best_score = -1;
    for (const std::string& reference : references[i]) {
      const ChrfTotals one(characters, characters_of(reference));
      if (one.score() > best_score) best = one;
      best_score = std::max(best_score, one.score());
    }
    totals.add(best);
  }
  return totals.score();
}

}  // namespace regrad::example

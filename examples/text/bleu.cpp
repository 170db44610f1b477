#include "examples/text/bleu.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace regrad::example {
namespace {

constexpr size_t max_order = 4;

Units units_of(const std::string& text, Tokenisation tokenisation) {
  switch (tokenisation) {
    case Tokenisation::mteval_13a:
      return words_of(tokenised_13a(text));
    case Tokenisation::chinese:
      return words_of(tokenised_zh(text));
    case Tokenisation::characters:
      return characters_of(text);
  }
  return {};
}

// The length of the reference that is nearest to that of the hypothesis; of two the shorter.
size_t nearest_length(size_t length, const std::vector<Units>& references) {
  const auto distance = [&](size_t size) { return size > length ? size - length : length - size; };
  size_t nearest = references.front().size();
  for (const Units& reference : references) {
    const size_t size = reference.size();
    const bool is_shorter = distance(size) == distance(nearest) && size < nearest;
    if (distance(size) < distance(nearest) || is_shorter) nearest = size;
  }
  return nearest;
}

struct BleuTotals {
  std::array<int64_t, max_order> right{}, all{};
  size_t length = 0, reference_length = 0;

  void add(const std::string& hypothesis, const std::vector<std::string>& references,
           Tokenisation tokenisation) {
    const Units words = units_of(hypothesis, tokenisation);
    std::vector<Units> wanted;
    for (const std::string& reference : references) {
      wanted.push_back(units_of(reference, tokenisation));
    }
    for (size_t n = 1; n <= max_order; ++n) {
      Counts best;
      for (const Units& reference : wanted) {
        for (const auto& [ngram, count] : reference.counts(n)) {
          best[ngram] = std::max(best[ngram], count);
        }
      }
      right[n - 1] += matches(words.counts(n), best);
      all[n - 1] += words.ngrams(n);
    }
    length += words.size();
    reference_length += nearest_length(words.size(), wanted);
  }

  double score() const {
    if (std::all_of(right.begin(), right.end(), [](int64_t count) { return count == 0; })) return 0;
    double logarithms = 0, smoothing = 1;
    for (size_t i = 0; i < max_order; ++i) {
      if (all[i] == 0) return 0;  // no hypothesis is so long
      const auto total = static_cast<double>(all[i]);
      if (right[i] == 0) smoothing *= 2;
      const double precision =
          right[i] == 0 ? 1 / (smoothing * total) : static_cast<double>(right[i]) / total;
      logarithms += std::log(precision);
    }
    const double ratio = static_cast<double>(reference_length) / static_cast<double>(length);
    return 100 * std::exp(std::min(0.0, 1 - ratio) + logarithms / max_order);
  }
};

}  // namespace

Bleu corpus_bleu(const std::vector<std::string>& hypotheses, const References& references,
                 Tokenisation tokenisation) {
  check_references("bleu", hypotheses.size(), references);
  BleuTotals totals;
  for (size_t i = 0; i < hypotheses.size(); ++i) {
    totals.add(hypotheses[i], references[i], tokenisation);
  }
  return {totals.score(), tokenisation, totals.all.back() > 0};
}

std::string bleu_text(const Bleu& bleu) {
  const char* unit = bleu.tokenisation == Tokenisation::characters ? "characters" : "words";
  if (!bleu.applies) return fmt::format("does not apply: no answer has four {}", unit);
  return fmt::format("{:.2f}", bleu.score);
}

}  // namespace regrad::example

#include "examples/text/scores.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "autograd/check.h"
#include "examples/text/unicode.h"
#include "ops/ops.h"

namespace regrad::example {
namespace {

constexpr size_t bleu_order = 4, chrf_order = 6;

using Counts = std::unordered_map<std::string_view, int64_t>;

void check_counts(const char* name, size_t hypotheses, const References& references) {
  check(hypotheses == references.size(),
        "{}: {} hypotheses, but references for {}; expected as many", name, hypotheses,
        references.size());
  for (size_t i = 0; i < references.size(); ++i) {
    check(!references[i].empty(), "{}: hypothesis {} has no reference; expected at least one", name,
          i);
  }
}

References one_each(const std::vector<std::string>& references) {
  References result;
  for (const std::string& reference : references) result.push_back({reference});
  return result;
}

// A text's pieces (words or characters) and where they begin and end in it.
struct Pieces {
  std::string text;
  std::vector<size_t> begins, ends;

  size_t size() const { return begins.size(); }
  // How often each run of n pieces occurs.
  Counts runs(size_t n) const {
    Counts counts;
    const std::string_view view = text;
    for (size_t i = 0; i + n <= size(); ++i) {
      ++counts[view.substr(begins[i], ends[i + n - 1] - begins[i])];
    }
    return counts;
  }
};

// One space lies between the words of text.
Pieces words_of(std::string text) {
  Pieces pieces{std::move(text), {}, {}};
  for (size_t at = 0; at < pieces.text.size();) {
    const size_t end = std::min(pieces.text.find(' ', at), pieces.text.size());
    pieces.begins.push_back(at);
    pieces.ends.push_back(end);
    at = end + 1;
  }
  return pieces;
}

Pieces characters_of(const std::string& text) {
  Pieces pieces{with_words_only(text, ""), {}, {}};
  for (size_t at = 0; at < pieces.text.size();) {
    pieces.begins.push_back(at);
    at += code_point_length(pieces.text, at);
    pieces.ends.push_back(at);
  }
  return pieces;
}

Pieces pieces_of(const std::string& text, Tokenisation tokenisation) {
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

int64_t shared(const Counts& some, const Counts& others) {
  int64_t sum = 0;
  for (const auto& [run, count] : some) {
    const auto found = others.find(run);
    if (found != others.end()) sum += std::min(count, found->second);
  }
  return sum;
}

struct BleuTotals {
  std::array<int64_t, bleu_order> right{}, all{};
  size_t length = 0, reference_length = 0;
  Tokenisation tokenisation;

  explicit BleuTotals(Tokenisation how) : tokenisation(how) {}

  void add(const std::string& hypothesis, const std::vector<std::string>& references) {
    const Pieces words = pieces_of(hypothesis, tokenisation);
    std::vector<Pieces> wanted;
    for (const std::string& reference : references) {
      wanted.push_back(pieces_of(reference, tokenisation));
    }
    for (size_t n = 1; n <= bleu_order; ++n) {
      Counts best;
      for (const Pieces& reference : wanted) {
        for (const auto& [run, count] : reference.runs(n)) best[run] = std::max(best[run], count);
      }
      right[n - 1] += shared(words.runs(n), best);
      all[n - 1] += static_cast<int64_t>(words.size() + 1 - std::min(n, words.size() + 1));
    }
    const auto distance = [&](size_t size) {
      return size > words.size() ? size - words.size() : words.size() - size;
    };
    size_t nearest = wanted.front().size();
    for (const Pieces& reference : wanted) {
      const size_t size = reference.size();
      const bool is_shorter = distance(size) == distance(nearest) && size < nearest;
      if (distance(size) < distance(nearest) || is_shorter) nearest = size;
    }
    length += words.size();
    reference_length += nearest;
  }

  double score() const {
    if (std::all_of(right.begin(), right.end(), [](int64_t count) { return count == 0; })) return 0;
    double logarithms = 0, smoothing = 1;
    for (size_t i = 0; i < bleu_order; ++i) {
      if (all[i] == 0) return 0;  // no hypothesis is so long
      const auto total = static_cast<double>(all[i]);
      if (right[i] == 0) smoothing *= 2;
      const double precision =
          right[i] == 0 ? 1 / (smoothing * total) : static_cast<double>(right[i]) / total;
      logarithms += std::log(precision);
    }
    const double ratio = static_cast<double>(reference_length) / static_cast<double>(length);
    return 100 * std::exp(std::min(0.0, 1 - ratio) + logarithms / bleu_order);
  }
};

struct ChrfTotals {
  std::array<int64_t, chrf_order> given{}, wanted{}, right{};

  // Of one hypothesis and one reference.
  ChrfTotals(const Pieces& hypothesis, const Pieces& reference) {
    for (size_t n = 1; n <= chrf_order; ++n) {
      const auto count = [n](const Pieces& pieces) {
        return static_cast<int64_t>(pieces.size() + 1 - std::min(n, pieces.size() + 1));
      };
      wanted[n - 1] = count(reference);
      given[n - 1] = wanted[n - 1] > 0 ? count(hypothesis) : 0;
      right[n - 1] = shared(hypothesis.runs(n), reference.runs(n));
    }
  }
  ChrfTotals() = default;

  void add(const ChrfTotals& other) {
    for (size_t i = 0; i < chrf_order; ++i) {
      given[i] += other.given[i];
      wanted[i] += other.wanted[i];
      right[i] += other.right[i];
    }
  }

  double score() const {
    constexpr double weight = 4;  // beta squared
    double precision = 0, recall = 0;
    int orders = 0;
    for (size_t i = 0; i < chrf_order; ++i) {
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

Bleu corpus_bleu(const std::vector<std::string>& hypotheses, const References& references,
                 Tokenisation tokenisation) {
  check_counts("bleu", hypotheses.size(), references);
  BleuTotals totals(tokenisation);
  for (size_t i = 0; i < hypotheses.size(); ++i) totals.add(hypotheses[i], references[i]);
  return {totals.score(), tokenisation, totals.all.back() > 0};
}

double bleu(const std::vector<std::string>& hypotheses, const References& references,
            Tokenisation tokenisation) {
  return corpus_bleu(hypotheses, references, tokenisation).score;
}

double chrf(const std::vector<std::string>& hypotheses, const References& references) {
  check_counts("chrf", hypotheses.size(), references);
  ChrfTotals totals;
  for (size_t i = 0; i < hypotheses.size(); ++i) {
    const Pieces characters = characters_of(hypotheses[i]);
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

double bleu(const std::vector<std::string>& hypotheses,
            const std::vector<std::string>& references, Tokenisation tokenisation) {
  return bleu(hypotheses, one_each(references), tokenisation);
}

double chrf(const std::vector<std::string>& hypotheses,
            const std::vector<std::string>& references) {
  return chrf(hypotheses, one_each(references));
}

std::string bleu_text(const Bleu& bleu) {
  const char* unit = bleu.tokenisation == Tokenisation::characters ? "characters" : "words";
  if (!bleu.applies) return fmt::format("does not apply: no answer has four {}", unit);
  return fmt::format("{:.2f}", bleu.score);
}

void NextTokens::add(const Tensor& logits, const Tensor& wanted, int64_t ignored) {
  check(logits.rank() == 3 && wanted.rank() == 2 && logits.size(0) == wanted.size(0) &&
            logits.size(1) == wanted.size(1),
        "NextTokens: logits {} and wanted {}; they must be [b, t, tokens] and [b, t]",
        logits.shape().str(), wanted.shape().str());
  const NoGrad guard;
  const std::vector<int64_t> ids = wanted.to_vector<int64_t>();
  const std::vector<int64_t> likeliest = argmax(logits, 2).to_vector<int64_t>();
  int64_t count = 0;
  for (size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] == ignored) continue;
    ++count;
    right_ += likeliest[i] == ids[i] ? 1 : 0;
  }
  if (count == 0) return;
  const Tensor loss =
      cross_entropy(flatten(logits, 0, 1), flatten(wanted), {.ignore_index = ignored});
  loss_ += loss.item<double>() * static_cast<double>(count);
  count_ += count;
}

double NextTokens::accuracy() const {
  if (count_ == 0) return std::numeric_limits<double>::quiet_NaN();
  return static_cast<double>(right_) / static_cast<double>(count_);
}

double NextTokens::perplexity() const {
  if (count_ == 0) return std::numeric_limits<double>::quiet_NaN();
  return std::exp(loss_ / static_cast<double>(count_));
}

}  // namespace regrad::example

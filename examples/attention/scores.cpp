#include "examples/attention/scores.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string_view>
#include <unordered_map>

#include "autograd/check.h"
#include "examples/attention/unicode.h"
#include "ops/ops.h"

namespace regrad::example {
namespace {

constexpr size_t bleu_order = 4, chrf_order = 6;

using Counts = std::unordered_map<std::string_view, int64_t>;

constexpr bool between(char32_t c, char32_t first, char32_t last) {
  return c >= first && c <= last;
}

// What str.split() of Python splits at.
constexpr bool is_space(char32_t c) {
  return c == U' ' || between(c, 0x09, 0x0D) || between(c, 0x1C, 0x1F) || c == 0x85 || c == 0xA0 ||
         c == 0x1680 || between(c, 0x2000, 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
         c == 0x205F || c == 0x3000;
}

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_stop(char c) { return c == '.' || c == ','; }
constexpr bool stands_alone(char c) {
  return (c >= '{' && c <= '~') || (c >= '[' && c <= '`') || (c >= ' ' && c <= '&') ||
         (c >= '(' && c <= '+') || (c >= ':' && c <= '@') || c == '/';
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (size_t at = 0; (at = text.find(from, at)) != text.npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
}

// Puts spaces where `first` and `second` accept neighbours: before, between and after them as asked
// for. From left to right; no character is in two such pairs.
template <class First, class Second>
std::string spread(const std::string& text, First first, Second second, bool before, bool after) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    if (i + 1 == text.size() || !first(text[i]) || !second(text[i + 1])) {
      result += text[i];
      continue;
    }
    if (before) result += ' ';
    result += text[i];
    result += ' ';
    result += text[++i];
    if (after) result += ' ';
  }
  return result;
}

// The words of text and nothing but `between_words` between them.
std::string with_words_only(std::string_view text, std::string_view between_words) {
  std::string result;
  bool is_inside = false;
  for (const std::string_view point : code_points(text)) {
    const bool is_blank = is_space(code_point_value(point));
    if (!is_blank && !is_inside && !result.empty()) result += between_words;
    if (!is_blank) result += point;
    is_inside = !is_blank;
  }
  return result;
}

// Where the spaces at the end of text begin.
size_t end_of_words(std::string_view text) {
  size_t end = 0, at = 0;
  for (const std::string_view point : code_points(text)) {
    at += point.size();
    if (!is_space(code_point_value(point))) end = at;
  }
  return end;
}

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

Pieces words_of(const std::string& text) {
  Pieces pieces{tokenised_13a(text), {}, {}};
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

  void add(const std::string& hypothesis, const std::vector<std::string>& references) {
    const Pieces words = words_of(hypothesis);
    std::vector<Pieces> wanted;
    for (const std::string& reference : references) wanted.push_back(words_of(reference));
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

std::string tokenised_13a(std::string text) {
  // sacrebleu drops spaces at the end first, which matters to "-" before a line end alone.
  text.erase(end_of_words(text));
  replace_all(text, "<skipped>", "");
  replace_all(text, "-\n", "");
  replace_all(text, "\n", " ");
  replace_all(text, "&quot;", "\"");
  replace_all(text, "&amp;", "&");
  replace_all(text, "&lt;", "<");
  replace_all(text, "&gt;", ">");
  std::string apart = " ";
  for (const char c : text) {
    if (stands_alone(c)) {
      apart.append({' ', c, ' '});
    } else {
      apart += c;
    }
  }
  apart += ' ';
  const auto is_other = [](char c) { return !is_digit(c); };
  apart = spread(apart, is_other, is_stop, false, true);
  apart = spread(apart, is_stop, is_other, true, false);
  apart = spread(
      apart, is_digit, [](char c) { return c == '-'; }, false, true);
  return with_words_only(apart, " ");
}

double bleu(const std::vector<std::string>& hypotheses, const References& references) {
  check_counts("bleu", hypotheses.size(), references);
  BleuTotals totals;
  for (size_t i = 0; i < hypotheses.size(); ++i) totals.add(hypotheses[i], references[i]);
  return totals.score();
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
            const std::vector<std::string>& references) {
  return bleu(hypotheses, one_each(references));
}

double chrf(const std::vector<std::string>& hypotheses,
            const std::vector<std::string>& references) {
  return chrf(hypotheses, one_each(references));
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

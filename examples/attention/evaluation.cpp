#include "examples/attention/evaluation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_map>

#include "autograd/check.h"
#include "ops/ops.h"

namespace regrad::example {
namespace {

constexpr int64_t batch_size = 64;
constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

double share(int64_t part, int64_t count) {
  return count == 0 ? unknown : static_cast<double>(part) / static_cast<double>(count);
}

}  // namespace

std::vector<HeldOut> distinct_sources(const std::vector<Pair>& pairs, Tokeniser tokeniser,
                                      size_t max_count) {
  std::vector<std::vector<const Pair*>> all;  // of each source
  std::unordered_map<std::string, size_t> number;
  for (const Pair& pair : pairs) {
    const auto [entry, is_new] = number.try_emplace(pair.source, all.size());
    if (is_new) all.emplace_back();
    all[entry->second].push_back(&pair);
  }
  const size_t count = std::min(all.size(), max_count);
  std::vector<HeldOut> chosen;
  for (size_t i = 0; i < count; ++i) {
    const std::vector<const Pair*>& same = all[i * all.size() / count];
    HeldOut held_out{same.front()->source, {}};
    // Spaces may be lost between text and tokens: what the model could say is what counts.
    for (const Pair* pair : same) {
      held_out.targets.insert(join(tokenise(pair->target, tokeniser), tokeniser));
    }
    chosen.push_back(std::move(held_out));
  }
  return chosen;
}

double Predictions::accuracy() const { return share(correct, static_cast<int64_t>(texts.size())); }

Predictions predict(Translator& translator, const std::vector<HeldOut>& held_out,
                    const Decoding& decoding) {
  std::vector<std::string> sources;
  for (const HeldOut& one : held_out) sources.push_back(one.source);
  Predictions predictions;
  for (std::vector<Translation>& found : translator.translate(sources, decoding)) {
    const std::string& text = found.front().text;
    predictions.correct += held_out[predictions.texts.size()].targets.contains(text) ? 1 : 0;
    predictions.texts.push_back(text);
  }
  return predictions;
}

void NextTokens::add(const Tensor& logits, const Tensor& targets, int64_t ignored) {
  check(logits.rank() == 3 && targets.rank() == 2 && logits.size(0) == targets.size(0) &&
            logits.size(1) == targets.size(1),
        "NextTokens: logits {} and targets {}; they must be [b, t, tokens] and [b, t]",
        logits.shape().str(), targets.shape().str());
  const NoGrad guard;
  const std::vector<int64_t> ids = targets.to_vector<int64_t>();
  const std::vector<int64_t> likeliest = argmax(logits, 2).to_vector<int64_t>();
  int64_t count = 0;
  for (size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] == ignored) continue;
    ++count;
    correct_ += likeliest[i] == ids[i] ? 1 : 0;
  }
  if (count == 0) return;
  const Tensor loss =
      cross_entropy(flatten(logits, 0, 1), flatten(targets), {.ignore_index = ignored});
  loss_ += loss.item<double>() * static_cast<double>(count);
  count_ += count;
}

double NextTokens::accuracy() const { return share(correct_, count_); }

double NextTokens::perplexity() const {
  return count_ == 0 ? unknown : std::exp(loss_ / static_cast<double>(count_));
}

NextTokens next_tokens(Translator& translator, const std::vector<EncodedPair>& pairs,
                       int64_t size) {
  const NoGrad guard;
  nn::eval(translator.model());
  NextTokens next;
  const auto count = static_cast<int64_t>(pairs.size());
  for (int64_t begin = 0; begin < count; begin += size) {
    std::vector<int64_t> chosen;
    for (int64_t i = begin; i < std::min(count, begin + size); ++i) chosen.push_back(i);
    const Batch batch = on_device(trimmed(make_batch(pairs, chosen)));
    next.add(translator.model()(batch.source, batch.source_lengths, batch.given).logits,
             batch.wanted, Vocabulary::pad);
  }
  return next;
}

Evaluation evaluate(Translator& translator, const std::vector<Pair>& pairs, size_t max_count,
                    const Decoding& decoding) {
  Evaluation result;
  result.held_out = distinct_sources(pairs, translator.target().tokeniser(), max_count);
  result.predictions = predict(translator, result.held_out, decoding);
  References references;
  std::vector<EncodedPair> encoded;
  for (const HeldOut& one : result.held_out) {
    references.emplace_back(one.targets.begin(), one.targets.end());
    const Ids source = translator.source().encode(one.source);
    for (const std::string& target : one.targets) {
      if (!source.empty()) encoded.push_back({source, translator.target().encode(target)});
    }
  }
  const NextTokens next = next_tokens(translator, encoded, batch_size);
  const std::vector<std::string>& texts = result.predictions.texts;
  result.quality = {result.predictions.accuracy(), next.accuracy(), next.perplexity(),
                    corpus_bleu(texts, references, suitable_tokenisation(references)),
                    chrf(texts, references)};
  return result;
}

}  // namespace regrad::example

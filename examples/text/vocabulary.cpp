#include "examples/text/vocabulary.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "autograd/error.h"
#include "examples/text/vocabulary_limits.h"
#include "examples/text/words.h"

namespace regrad::example {
namespace {

constexpr std::size_t max_remembered = 100'000;  // words

std::string join_words(const std::vector<std::string>& tokens) {
  std::string text;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (i > 0 && !are_glued(tokens[i - 1], tokens[i], special_tokens[Vocabulary::unk])) text += ' ';
    text += tokens[i];
  }
  return text;
}

// "</w>" and the characters of words.
std::map<std::string, int64_t> symbol_counts(const std::map<std::string, int64_t>& words) {
  std::map<std::string, int64_t> counts;
  for (const auto& [word, count] : words) {
    for (const std::string& symbol : symbols_of(word)) counts[symbol] += count;
  }
  return counts;
}

}  // namespace

std::string_view name_of(Tokeniser tokeniser) {
  if (tokeniser == Tokeniser::character) return "character";
  return tokeniser == Tokeniser::word ? "word" : "bytepair";
}

Tokeniser suitable_tokeniser(int64_t texts, int64_t words) {
  constexpr int64_t of_a_sentence = 3;
  return texts > 0 && words >= of_a_sentence * texts ? Tokeniser::bytepair : Tokeniser::character;
}

int64_t words_with_letters(std::string_view text) {
  const std::vector<std::string_view> words = cut_words(text);
  return std::count_if(words.begin(), words.end(), has_letter);
}

std::vector<std::string> tokenise(std::string_view text, Tokeniser tokeniser) {
  if (tokeniser == Tokeniser::bytepair) return cut_for_bytepairs(text);
  const std::vector<std::string_view> tokens =
      tokeniser == Tokeniser::word ? cut_words(text) : code_points(text);
  return {tokens.begin(), tokens.end()};
}

std::string join(const std::vector<std::string>& tokens, Tokeniser tokeniser) {
  if (tokeniser == Tokeniser::word) return join_words(tokens);
  if (tokeniser == Tokeniser::bytepair) {
    return join_bytepairs(tokens, special_tokens[Vocabulary::unk]);
  }
  std::string text;
  for (const std::string& token : tokens) text += token;
  return text;
}

std::vector<int32_t> TokenCounts::add(std::string_view text) {
  std::vector<int32_t> numbers;
  for (std::string& token : tokenise(text, tokeniser_)) {
    numbers.push_back(-1);
    if (token.size() > max_token_size) continue;
    const auto next = static_cast<int32_t>(entries_.size());
    Entry& entry = entries_.try_emplace(std::move(token), Entry{next, 0}).first->second;
    numbers.back() = entry.number;
    ++entry.count;
    ++total_;
  }
  return numbers;
}

std::map<std::string, int64_t> TokenCounts::in_order() const {
  std::map<std::string, int64_t> counts;
  for (const auto& [token, entry] : entries_) counts.emplace(token, entry.count);
  return counts;
}

Vocabulary::Vocabulary(Tokeniser tokeniser) : tokeniser_(tokeniser) {
  for (const std::string_view token : special_tokens) add(std::string(token));
}

Vocabulary::Vocabulary(const TokenCounts& counts, int64_t min_count, int64_t merges)
    : Vocabulary(counts.tokeniser()) {
  if (min_count < 1) {
    throw Error(fmt::format("Vocabulary: min_count is {}; it must be at least 1", min_count));
  }
  if (merges < suitable) {
    throw Error(
        fmt::format("Vocabulary: merges is {}; it must be at least 0, or -1 for as many as "
                    "suit the text",
                    merges));
  }
  const std::map<std::string, int64_t> in_order = counts.in_order();
  if (tokeniser_ == Tokeniser::bytepair) {
    add_frequent(symbol_counts(in_order), min_count);
    learn_parts(in_order, merges == suitable ? suitable_merges(counts.total()) : merges);
  } else {
    add_frequent(in_order, min_count);
  }
}

Vocabulary::Vocabulary(const std::vector<std::string>& texts, Tokeniser tokeniser,
                       int64_t min_count, int64_t merges)
    : Vocabulary(
          [&] {
            TokenCounts counts(tokeniser);
            for (const std::string& text : texts) counts.add(text);
            return counts;
          }(),
          min_count, merges) {}

void Vocabulary::add(std::string token) {
  ids_.emplace(token, size());
  tokens_.push_back(std::move(token));
}

void Vocabulary::add_frequent(const std::map<std::string, int64_t>& counts, int64_t min_count) {
  std::vector<std::pair<std::string, int64_t>> ranked(counts.begin(), counts.end());
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  for (auto& [token, count] : ranked) {
    if (count < min_count || tokens_.size() == max_ids) break;
    add(std::move(token));
  }
}

void Vocabulary::learn_parts(const std::map<std::string, int64_t>& words, int64_t merges) {
  for (Merge& merge : learn_merges(words, merges)) {
    const bool both_known = ids_.contains(merge.left) && ids_.contains(merge.right);
    std::string whole = merge.left + merge.right;
    if (!both_known || whole.size() > max_token_size || tokens_.size() >= max_ids) continue;
    if (!ids_.contains(whole)) add(std::move(whole));
    add_merge(std::move(merge));
  }
}

bool Vocabulary::add_merge(Merge merge) {
  const int64_t left = id_of(merge.left), right = id_of(merge.right);
  const int64_t whole = id_of(merge.left + merge.right);
  if (left <= unk || right <= unk || whole <= unk || !pairs_.add(left, right, whole)) return false;
  merges_.push_back(std::move(merge));
  return true;
}

int64_t Vocabulary::id_of(const std::string& token) const {
  const auto found = ids_.find(token);
  return found == ids_.end() ? unk : found->second;
}

const std::vector<int64_t>& Vocabulary::parts_of(const std::string& word) const {
  if (const auto found = remembered_.find(word); found != remembered_.end()) return found->second;
  std::vector<int64_t> ids;
  for (const std::string& symbol : symbols_of(word)) ids.push_back(id_of(symbol));
  pairs_.apply(ids);
  if (remembered_.size() >= max_remembered) remembered_.clear();
  return remembered_.emplace(word, std::move(ids)).first->second;
}

std::vector<int64_t> Vocabulary::encode(std::string_view text) const {
  std::vector<int64_t> ids;
  for (const std::string& token : regrad::example::tokenise(text, tokeniser_)) {
    if (tokeniser_ != Tokeniser::bytepair) {
      ids.push_back(id_of(token));
      continue;
    }
    const std::vector<int64_t>& parts = parts_of(token);
    ids.insert(ids.end(), parts.begin(), parts.end());
  }
  return ids;
}

std::vector<std::vector<int64_t>> Vocabulary::ids_of(const TokenCounts& counts) const {
  std::vector<std::vector<int64_t>> ids(counts.entries_.size());
  for (const auto& [token, entry] : counts.entries_) {
    std::vector<int64_t>& of_token = ids[static_cast<std::size_t>(entry.number)];
    if (tokeniser_ == Tokeniser::bytepair) {
      of_token = parts_of(token);
    } else {
      of_token = {id_of(token)};
    }
  }
  return ids;
}

std::vector<std::string> Vocabulary::tokenise(std::string_view text) const {
  std::vector<std::string> result;
  for (std::string& token : regrad::example::tokenise(text, tokeniser_)) {
    if (tokeniser_ != Tokeniser::bytepair) {
      result.push_back(std::move(token));
      continue;
    }
    const std::vector<std::string> symbols = symbols_of(token);
    std::size_t next = 0;  // an unknown symbol is one <unk>, a known part as long as its text
    for (const int64_t id : parts_of(token)) {
      std::string part = id == unk ? symbols[next++] : tokens_[static_cast<std::size_t>(id)];
      if (id != unk) {
        for (std::size_t bytes = 0; bytes < part.size();) bytes += symbols[next++].size();
      }
      result.push_back(std::move(part));
    }
  }
  return result;
}

std::vector<std::string> Vocabulary::tokens(const std::vector<int64_t>& ids) const {
  std::vector<std::string> result;
  result.reserve(ids.size());
  for (const int64_t id : ids) {
    if (id < 0 || id >= size()) {
      throw Error(fmt::format("Vocabulary: id {} is outside [0, {})", id, size()));
    }
    result.push_back(tokens_[static_cast<std::size_t>(id)]);
  }
  return result;
}

std::string Vocabulary::decode(const std::vector<int64_t>& ids) const {
  std::vector<std::string> all = tokens(ids);
  std::vector<std::string> shown;
  for (std::size_t i = 0; i < ids.size() && ids[i] != eos; ++i) {
    if (ids[i] != pad && ids[i] != bos) shown.push_back(std::move(all[i]));
  }
  return join(shown, tokeniser_);
}

}  // namespace regrad::example

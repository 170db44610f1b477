#include "examples/text/bytepair.h"

#include <algorithm>
#include <queue>
#include <tuple>

#include "examples/text/unicode.h"
#include "examples/text/words.h"

namespace regrad::example {
namespace {

constexpr std::size_t max_word_length = 128;  // characters
constexpr int64_t min_count = 2, max_merges = 8000, words_per_merge = 100;

bool is_digit(std::string_view point) { return point >= "0" && point <= "9" && point.size() == 1; }

// Appends a word, in several parts where it is a number or too long. All but the last go on.
void append_word(std::vector<std::string>& words, std::string_view word) {
  words.emplace_back();
  std::size_t count = 0;
  std::string_view last;
  for (const std::string_view point : code_points(word)) {
    if (count == max_word_length || (is_digit(last) && is_digit(point))) {
      words.emplace_back();
      count = 0;
    }
    words.back() += point;
    last = point;
    ++count;
  }
}

// With one space for many, and none at the ends.
std::string collapsed(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c != ' ' || !(result.empty() || result.ends_with(' '))) result += c;
  }
  if (result.ends_with(' ')) result.pop_back();
  return result;
}

}  // namespace

std::vector<std::string> cut_for_bytepairs(std::string_view given) {
  const std::string text = collapsed(given);
  std::vector<std::string> words;
  std::string_view left;
  const char* end = text.data();
  for (const std::string_view word : cut_words(text)) {
    const std::string_view gap(end, static_cast<std::size_t>(word.data() - end));
    const bool has_usual_space = !left.empty() && !are_glued(left, word, {});
    if (!left.empty() && !(has_usual_space && gap.empty())) words.back() += word_end;
    // Other spaces than the usual ones become part of the word after them.
    const bool is_usual = gap == (has_usual_space ? " " : "");
    append_word(words, is_usual ? word : std::string_view(gap.data(), gap.size() + word.size()));
    left = word;
    end = word.data() + word.size();
  }
  if (!left.empty()) words.back() += word_end;
  const std::string_view rest(end, static_cast<std::size_t>(text.data() + text.size() - end));
  if (!rest.empty()) {
    append_word(words, rest);
    words.back() += word_end;
  }
  return words;
}

std::string join_bytepairs(const std::vector<std::string>& parts, std::string_view unknown) {
  std::vector<std::string> words;
  bool goes_on = false;
  for (const std::string& part : parts) {
    if (!goes_on || part == unknown) words.emplace_back();
    goes_on = !part.ends_with(word_end);
    words.back() += part.substr(0, part.size() - (goes_on ? 0 : word_end.size()));
  }
  std::string text;
  std::string_view left;
  for (const std::string& word : words) {
    if (word.empty()) continue;
    if (!left.empty() && !are_glued(left, word, unknown)) text += ' ';
    text += word;
    left = word;
  }
  return text;
}

std::vector<std::string> symbols_of(std::string_view word) {
  const bool ends = word.ends_with(word_end);
  if (ends) word.remove_suffix(word_end.size());
  const std::vector<std::string_view> points = code_points(word);
  std::vector<std::string> symbols(points.begin(), points.end());
  if (ends) symbols.emplace_back(word_end);
  return symbols;
}

namespace {

// The words as numbered symbols, and where each pair of neighbours occurs. One merge costs no more
// than the words that it changes.
class Learner {
 public:
  explicit Learner(const std::map<std::string, int64_t>& words) : heap_(Later{&names_}) {
    for (const auto& [word, count] : words) {
      Word& added = words_.emplace_back(Word{{}, count});
      for (const std::string& symbol : symbols_of(word)) added.symbols.push_back(number(symbol));
      count_pairs(words_.size() - 1, count, -1);
    }
    for (const auto& [pair, place] : places_) heap_.push({place.count, pair});
  }

  // The next merge; false where no pair occurs often enough.
  bool next(Merge& merge) {
    while (!heap_.empty()) {
      const Candidate best = heap_.top();
      heap_.pop();
      Places& places = places_[best.pair];
      if (places.count < min_count) continue;
      if (places.count != best.count) {  // it was more once
        heap_.push({places.count, best.pair});
        continue;
      }
      const bool is_known = places.is_merged;  // found again through another part of equal text
      places.is_merged = true;
      replace(best.pair);
      if (is_known) continue;
      merge = {names_[left(best.pair)], names_[right(best.pair)]};
      return true;
    }
    return false;
  }

 private:
  using Pair = uint64_t;  // two symbols
  struct Word {
    std::vector<uint32_t> symbols;
    int64_t count;
  };
  struct Places {
    int64_t count = 0;
    std::vector<std::size_t> words;
    bool is_merged = false;
  };
  struct Candidate {
    int64_t count;
    Pair pair;
  };
  struct Later {
    const std::vector<std::string>* names;
    bool operator()(const Candidate& a, const Candidate& b) const {
      if (a.count != b.count) return a.count < b.count;
      if (a.pair == b.pair) return false;
      return std::tie((*names)[left(a.pair)], (*names)[right(a.pair)]) >
             std::tie((*names)[left(b.pair)], (*names)[right(b.pair)]);
    }
  };

  static std::size_t left(Pair pair) { return pair >> 32; }
  static std::size_t right(Pair pair) { return pair & 0xffffffffu; }

  uint32_t number(const std::string& name) {
    const auto [found, is_new] = numbers_.try_emplace(name, static_cast<uint32_t>(names_.size()));
    if (is_new) names_.push_back(name);
    return found->second;
  }

  // Adds `change` to the count of each pair of a word; notes the word at the pairs with `symbol`,
  // or at all (-1).
  void count_pairs(std::size_t word, int64_t change, int64_t symbol) {
    const std::vector<uint32_t>& symbols = words_[word].symbols;
    for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
      const Pair pair = Pair{symbols[i]} << 32 | symbols[i + 1];
      Places& places = places_[pair];
      places.count += change;
      if (symbol == -1 || symbols[i] == symbol || symbols[i + 1] == symbol) {
        places.words.push_back(word);
        if (symbol != -1) grown_.push_back(pair);
      }
    }
  }

  void replace(Pair pair) {
    const auto first = static_cast<uint32_t>(left(pair)),
               second = static_cast<uint32_t>(right(pair));
    const uint32_t whole = number(names_[first] + names_[second]);
    std::vector<std::size_t> words = std::move(places_[pair].words);
    places_[pair].words.clear();
    std::sort(words.begin(), words.end());
    words.erase(std::unique(words.begin(), words.end()), words.end());
    grown_.clear();
    for (const std::size_t word : words) {
      constexpr int64_t nowhere = -2;
      count_pairs(word, -words_[word].count, nowhere);
      std::vector<uint32_t>& symbols = words_[word].symbols;
      std::size_t kept = 0;
      for (std::size_t i = 0; i < symbols.size(); ++i, ++kept) {
        const bool found =
            symbols[i] == first && i + 1 < symbols.size() && symbols[i + 1] == second;
        symbols[kept] = found ? whole : symbols[i];
        if (found) ++i;
      }
      symbols.resize(kept);
      count_pairs(word, words_[word].count, whole);
    }
    std::sort(grown_.begin(), grown_.end());
    grown_.erase(std::unique(grown_.begin(), grown_.end()), grown_.end());
    for (const Pair changed : grown_) heap_.push({places_[changed].count, changed});
  }

  std::vector<std::string> names_;
  std::unordered_map<std::string, uint32_t> numbers_;
  std::vector<Word> words_;
  std::unordered_map<Pair, Places> places_;
  std::vector<Pair> grown_;
  std::priority_queue<Candidate, std::vector<Candidate>, Later> heap_;
};

}  // namespace

std::vector<Merge> learn_merges(const std::map<std::string, int64_t>& words, int64_t max_count) {
  Learner learner(words);
  std::vector<Merge> merges;
  Merge merge;
  while (static_cast<int64_t>(merges.size()) < max_count && learner.next(merge))
    merges.push_back(merge);
  return merges;
}

int64_t suitable_merges(int64_t words) { return std::min(max_merges, words / words_per_merge); }

std::size_t BytePairs::Hash::operator()(const std::pair<int64_t, int64_t>& pair) const {
  return static_cast<std::size_t>(static_cast<uint64_t>(pair.first) * 0x9e3779b97f4a7c15u ^
                                  static_cast<uint64_t>(pair.second) * 0xbf58476d1ce4e5b9u);
}

bool BytePairs::add(int64_t left, int64_t right, int64_t whole) {
  const auto rank = static_cast<int64_t>(known_.size());
  return known_.try_emplace({left, right}, Known{rank, whole}).second;
}

void BytePairs::apply(std::vector<int64_t>& parts) const {
  while (parts.size() > 1) {
    std::pair<int64_t, int64_t> best;
    const Known* merge = nullptr;
    for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
      const auto found = known_.find({parts[i], parts[i + 1]});
      if (found == known_.end() || (merge != nullptr && merge->rank <= found->second.rank))
        continue;
      best = found->first;
      merge = &found->second;
    }
    if (merge == nullptr) return;
    std::size_t kept = 0;
    for (std::size_t i = 0; i < parts.size(); ++i, ++kept) {
      const bool is_here =
          i + 1 < parts.size() && parts[i] == best.first && parts[i + 1] == best.second;
      parts[kept] = is_here ? merge->whole : parts[i];
      if (is_here) ++i;
    }
    parts.resize(kept);
  }
}

}  // namespace regrad::example

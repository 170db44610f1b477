#include "examples/text/bytepair.h"

#include <doctest/doctest.h>

#include <set>
#include <string>

#include "autograd/error.h"
#include "examples/attention/dates.h"
#include "examples/text/vocabulary.h"

namespace regrad::example {
namespace {

using Ids = std::vector<int64_t>;
using Texts = std::vector<std::string>;
using Words = std::map<std::string, int64_t>;

// The algorithm as the paper writes it: count all pairs anew for each merge.
std::vector<Merge> learn_slowly(const Words& words, int64_t most) {
  std::vector<std::pair<Texts, int64_t>> all;
  for (const auto& [word, count] : words) all.emplace_back(symbols_of(word), count);
  std::vector<Merge> merges;
  while (static_cast<int64_t>(merges.size()) < most) {
    std::map<std::pair<std::string, std::string>, int64_t> counts;
    for (const auto& [symbols, count] : all) {
      for (size_t i = 0; i + 1 < symbols.size(); ++i) {
        counts[{symbols[i], symbols[i + 1]}] += count;
      }
    }
    Merge best;
    int64_t best_count = 1;
    for (const auto& entry : counts) {
      if (entry.second <= best_count) continue;
      best = {entry.first.first, entry.first.second};
      best_count = entry.second;
    }
    if (best_count == 1) break;
    for (auto& entry : all) {
      Texts& symbols = entry.first;
      for (size_t i = 0; i + 1 < symbols.size(); ++i) {
        if (symbols[i] != best.left || symbols[i + 1] != best.right) continue;
        symbols[i] += symbols[i + 1];
        symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(i) + 1);
      }
    }
    bool is_known = false;
    for (const Merge& merge : merges) is_known |= merge == best;
    if (!is_known) merges.push_back(best);
  }
  return merges;
}

std::string shown(const std::vector<Merge>& merges) {
  std::string text;
  for (const Merge& merge : merges) text += merge.left + "+" + merge.right + " ";
  return text;
}

// Texts in which spaces, marks and scripts stand beside each other in every way.
Texts mixed_texts(int count) {
  const Texts bits = {
      "a",  "bc", "l'", "don't",  "-",      "ce", ".",    ",",     "...", "?", "(", ")", "«", "»",
      "\"", "'",  "我", "们",     "。",     "12", "3.14", "שלום",  "é",   "Ж", " ", " ", " ", " ",
      "/",  "<",  "w",  "\u202F", "\u00A0", "\t", "</w>", "<unk>", "🎉",   "5", "$", "%", "\\"};
  Texts texts;
  uint64_t state = 1;
  for (int i = 0; i < count; ++i) {
    std::string text;
    for (int j = 0; j < 8; ++j) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      text += bits[(state >> 33) % bits.size()];
    }
    texts.push_back(text);
  }
  return texts;
}

std::string with_single_spaces(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c != ' ' || !(result.empty() || result.ends_with(' '))) result += c;
  }
  if (result.ends_with(' ')) result.pop_back();
  return result;
}

}  // namespace

TEST_SUITE_BEGIN("examples");

TEST_CASE("bytepair: the example of the paper, equals in code point order") {
  const Words words = {{"low</w>", 5}, {"lower</w>", 2}, {"newest</w>", 6}, {"widest</w>", 3}};
  CHECK(shown(learn_merges(words, 10)) ==
        "e+s es+t est+</w> l+o lo+w e+w ew+est</w> n+ewest</w> low+</w> d+est</w> ");
  CHECK(learn_merges(words, 0).empty());
  CHECK(learn_merges({}, 10).empty());
  CHECK(learn_merges({{"abc</w>", 1}}, 10).empty());  // nothing occurs twice
}

TEST_CASE("bytepair: merges are those of counting anew each time") {
  CHECK(shown(learn_merges({{"aaaaa", 3}, {"aaa", 2}}, 9)) ==
        shown(learn_slowly({{"aaaaa", 3}, {"aaa", 2}}, 9)));
  uint64_t state = 7;
  for (int round = 0; round < 40; ++round) {
    Words words;
    for (int i = 0; i < 30; ++i) {
      std::string word;
      do {
        state = state * 6364136223846793005u + 1442695040888963407u;
        word += "abcd"[(state >> 60) % static_cast<uint64_t>(2 + round % 3)];
      } while ((state >> 40) % 5 != 0);
      words[word + ((state >> 50) % 4 == 0 ? "" : "</w>")] += 1 + static_cast<int64_t>(state >> 62);
    }
    CAPTURE(round);
    CHECK(shown(learn_merges(words, 200)) == shown(learn_slowly(words, 200)));
  }
}

TEST_CASE("bytepair: how words are cut") {
  CHECK(cut_for_bytepairs("Hello, world!") == Texts{"Hello</w>", ",</w>", "world</w>", "!</w>"});
  CHECK(cut_for_bytepairs("f(x) in 1984") ==
        Texts{"f", "(</w>", "x</w>", ")</w>", "in</w>", "1", "9", "8", "4</w>"});
  CHECK(cut_for_bytepairs("我们 go") == Texts{"我</w>", "们</w>", " go</w>"});
  CHECK(cut_for_bytepairs("5\u00A0000") == Texts{"5</w>",
                                                 "\u00A0"
                                                 "0",
                                                 "0", "0</w>"});
  CHECK(cut_for_bytepairs("  ").empty());
  CHECK(cut_for_bytepairs("").empty());
  CHECK(cut_for_bytepairs(std::string(300, 'x')).size() == 3);
  CHECK_THROWS_AS(cut_for_bytepairs("a\xFF"), Error);
}

TEST_CASE("bytepair: decode gives back what was encoded, but for runs of spaces") {
  const Texts texts = mixed_texts(3000);
  const Vocabulary vocabulary(texts, Tokeniser::bytepair, 1, 300);
  CHECK(vocabulary.merges().size() == 300);
  for (const std::string& text : texts) {
    CAPTURE(text);
    CHECK(vocabulary.decode(vocabulary.encode(text)) == with_single_spaces(text));
    CHECK(vocabulary.tokenise(text) == vocabulary.tokens(vocabulary.encode(text)));
    CHECK(join(tokenise(text, Tokeniser::bytepair), Tokeniser::bytepair) ==
          with_single_spaces(text));
  }
}

TEST_CASE("bytepair: a vocabulary holds the characters and all parts; what it lacks is unknown") {
  const Vocabulary vocabulary({"low low low lower", "newest widest"}, Tokeniser::bytepair, 1, 3);
  CHECK(vocabulary.tokens({4, 5, 6}) == Texts{"</w>", "w", "e"});
  CHECK(shown(vocabulary.merges()) == "l+o lo+w low+</w> ");
  CHECK(vocabulary.tokens(vocabulary.encode("low lower")) ==
        Texts{"low</w>", "low", "e", "r", "</w>"});
  const Ids unknown = vocabulary.encode("low lφw");
  CHECK(vocabulary.tokens(unknown) == Texts{"low</w>", "l", "<unk>", "w", "</w>"});
  CHECK(vocabulary.tokenise("low lφw") == Texts{"low</w>", "l", "φ", "w", "</w>"});
  CHECK(vocabulary.decode(vocabulary.encode("φ low")) == "<unk> low");
  CHECK(vocabulary.decode({0, 1, 7, 2, 3}) == vocabulary.tokens({7})[0]);
  CHECK_THROWS_AS(Vocabulary({"a"}, Tokeniser::bytepair, 1, -2), Error);
}

TEST_CASE("bytepair: how many merges suit") {
  CHECK(suitable_merges(0) == 0);
  CHECK(suitable_merges(100'000) == 1000);
  CHECK(suitable_merges(100'000'000) == 8000);
}

TEST_CASE("bytepair: the vocabulary file holds the merges, and is read strictly") {
  const Vocabulary vocabulary({"aa aa\tb ab"}, Tokeniser::bytepair, 1, 5);
  const std::string text = vocabulary.to_string();
  CHECK(Vocabulary::from_string(text) == vocabulary);
  const std::string start =
      "regrad-vocabulary 1 bytepair\n0\t<pad>\n1\t<bos>\n2\t<eos>\n3\t<unk>\n4\ta\n5\tb\n6\tab\n";
  const auto error_of = [&](const std::string& rest) -> std::string {
    try {
      Vocabulary::from_string(start + rest);
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  CHECK(error_of("merge\ta\tb\n") == "no error");
  const std::string bad_pair = "vocabulary: line 9: expected a new pair of tokens";
  CHECK(error_of("merge\ta\tc\n").starts_with(bad_pair));
  CHECK(error_of("merge\tb\ta\n").starts_with(bad_pair));  // "ba" is no token
  CHECK(error_of("merge\t\tab\n").starts_with(bad_pair));
  CHECK(error_of("merge\t<unk>\ta\n").starts_with(bad_pair));
  CHECK(error_of("merge\ta\tb\nmerge\ta\tb\n").starts_with("vocabulary: line 10: expected a new"));
  CHECK(error_of("merge\tab\n").starts_with("vocabulary: line 9: expected \"merge\", a tab"));
  CHECK(error_of("merge\ta\tb\tc\n").starts_with("vocabulary: line 9: a tab or"));
  CHECK(error_of("merge\ta\tb").starts_with("vocabulary: line 9: the text is cut off"));
  CHECK(error_of("merge\ta\tb\n7\tc\n").starts_with("vocabulary: line 10: expected a merge"));
  std::string words = start;
  words.replace(words.find("bytepair"), 8, "word");
  CHECK_THROWS_AS(Vocabulary::from_string(words + "merge\ta\tb\n"), Error);
}

TEST_SUITE_END();

}  // namespace regrad::example

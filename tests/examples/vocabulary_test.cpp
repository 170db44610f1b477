#include "examples/text/vocabulary.h"

#include <doctest/doctest.h>

#include <string>

#include "autograd/error.h"

namespace regrad::example {
namespace {

using Tokens = std::vector<std::string>;
using Ids = std::vector<int64_t>;

Tokens words(const std::string& text) { return tokenise(text, Tokeniser::word); }

constexpr const char* specials = "0\t<pad>\n1\t<bos>\n2\t<eos>\n3\t<unk>\n";

std::string word_file(const std::string& lines) {
  return "regrad-vocabulary 1 word\n" + (specials + lines);
}

std::string error_of(const std::string& text) {
  try {
    Vocabulary::from_string(text);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_SUITE_BEGIN("examples");

TEST_CASE("text: code points, and bytes that are none") {
  CHECK(code_points("aé漢🎉").size() == 4);
  CHECK(code_point_value("a") == U'a');
  CHECK(code_point_value("é") == U'é');
  CHECK(code_point_value("漢") == U'漢');
  CHECK(code_point_value("🎉") == U'🎉');
  CHECK(code_point_length("a", 1) == 0);
  for (const char* bad : {"\x80", "\xC1\xBF", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xEF\xBF", "\xFF",
                          "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF8\x88\x80\x80\x80"}) {
    CHECK(code_point_length(bad, 0) == 0);
    CHECK_THROWS_WITH_AS(code_points(std::string("ab") + bad),
                         "text: the byte at offset 2 is not UTF-8; expected UTF-8 text", Error);
  }
}

TEST_CASE("tokenise: characters") {
  CHECK(tokenise("né 1", Tokeniser::character) == Tokens{"n", "é", " ", "1"});
  CHECK(tokenise("", Tokeniser::character).empty());
}

TEST_CASE("tokenise: words") {
  CHECK(words("Hello, world!") == Tokens{"Hello", ",", "world", "!"});
  CHECK(words("You're  here...") == Tokens{"You're", "here", "..."});
  CHECK(words("L'eau, qu'est-ce ?") == Tokens{"L'", "eau", ",", "qu'", "est", "-ce", " ?"});
  CHECK(words("It is 12:30, or 3.14.") == Tokens{"It", "is", "12:30", ",", "or", "3.14", "."});
  CHECK(words("« Oui\u202F! »") == Tokens{"« ", "Oui", "\u202F!", " »"});
  CHECK(words("我们 go。") == Tokens{"我", "们", "go", "。"});
  CHECK(words("ז ו ב") == Tokens{"ז", "ו", "ב"});
  CHECK(words(" \t ").empty());
  CHECK(words("a\nb") == Tokens{"a", "b"});
}

TEST_CASE("join: gives back what was cut, but for runs of spaces") {
  for (const char* text : {"Hello, world!",
                           "You're a wonderful guy.",
                           "L'eau est là, n'est-ce pas ?",
                           "Va\u202F!",
                           "« Oui », dit-il.",
                           "He said \"no\" twice.",
                           "It's a boys' club.",
                           "10/31/90",
                           "16+75",
                           "a - b",
                           "-5 or 3.14",
                           "J'aime le R&B.",
                           "我们明天去北京。",
                           "צ ' ק ו",
                           "(a) [b]",
                           "Tuesday, September 25, 1984",
                           "$5, 10%",
                           "<unk>",
                           "...",
                           "'",
                           "",
                           "A.B. c"}) {
    CAPTURE(text);
    CHECK(join(tokenise(text, Tokeniser::word), Tokeniser::word) == text);
    CHECK(join(tokenise(text, Tokeniser::character), Tokeniser::character) == text);
  }
  CHECK(join(words(" a   b "), Tokeniser::word) == "a b");
}

TEST_CASE("tokenise: what suits the texts") {
  CHECK(words_with_letters("TUESDAY, SEPTEMBER 25, 1984") == 2);
  CHECK(words_with_letters("You're a wonderful guy, aren't you?") == 6);
  CHECK(words_with_letters("16+75") == 0);
  CHECK(words_with_letters("AH0 B AE1") == 3);
  CHECK(words_with_letters("我们去") == 3);
  CHECK(words_with_letters("ז ו ב") == 3);
  CHECK(suitable_tokeniser(10, 30) == Tokeniser::bytepair);
  CHECK(suitable_tokeniser(10, 29) == Tokeniser::character);
  CHECK(suitable_tokeniser(0, 0) == Tokeniser::character);
}

TEST_CASE("vocabulary: by frequency, then in code point order, after the special tokens") {
  const Vocabulary vocabulary({"b a", "b é", "z c"}, Tokeniser::word);
  CHECK(vocabulary.size() == 9);
  CHECK(vocabulary.tokens({0, 1, 2, 3, 4, 5, 6, 7, 8}) ==
        Tokens{"<pad>", "<bos>", "<eos>", "<unk>", "b", "a", "c", "z", "é"});
  CHECK(Vocabulary({"b a", "b é", "z c"}, Tokeniser::word, 2).size() == 5);
  CHECK(Vocabulary({}, Tokeniser::word).size() == 4);
  CHECK_THROWS_AS(Vocabulary({}, Tokeniser::word, 0), Error);
  CHECK_THROWS_AS(Vocabulary({"\xFF"}, Tokeniser::word), Error);
}

TEST_CASE("vocabulary: a word too long to keep is unknown") {
  const std::string kept(1024, 'x'), dropped(1025, 'y');
  const Vocabulary vocabulary({kept, dropped}, Tokeniser::word);
  CHECK(vocabulary.encode(kept + " " + dropped) == Ids{4, Vocabulary::unk});
  CHECK(Vocabulary::from_string(vocabulary.to_string()) == vocabulary);
}

TEST_CASE("vocabulary: encode and decode") {
  const Vocabulary vocabulary({"Va, cours !"}, Tokeniser::word);
  const Ids ids = vocabulary.encode("Va, cours !");
  CHECK(ids.size() == 4);
  CHECK(vocabulary.decode(ids) == "Va, cours !");
  CHECK(vocabulary.encode("Va donc") == Ids{ids[0], Vocabulary::unk});
  CHECK(vocabulary.decode({1, ids[0], 3, ids[2], 0, 2, ids[3]}) == "Va <unk> cours");
  CHECK(vocabulary.encode("<eos>").back() != Vocabulary::eos);
  CHECK(vocabulary.encode("").empty());
  CHECK(vocabulary.decode({}).empty());
  CHECK_THROWS_AS(vocabulary.encode("\xFF"), Error);
}

TEST_CASE("vocabulary: ids out of range") {
  const Vocabulary vocabulary({"a"}, Tokeniser::character);
  CHECK_THROWS_WITH_AS(vocabulary.decode({5}), "Vocabulary: id 5 is outside [0, 5)", Error);
  CHECK_THROWS_AS(vocabulary.decode({2, 5}), Error);
  CHECK_THROWS_AS(vocabulary.tokens({-1}), Error);
}

TEST_CASE("vocabulary: to_string and from_string") {
  const Tokens texts = {"a\tb\nc\rd\\e", "né 漢🎉", std::string("\0x", 2)};
  for (const Tokeniser tokeniser : {Tokeniser::character, Tokeniser::word, Tokeniser::bytepair}) {
    const Vocabulary vocabulary(texts, tokeniser);
    const Vocabulary copy = Vocabulary::from_string(vocabulary.to_string());
    CHECK(copy == vocabulary);
    CHECK(copy.tokeniser() == tokeniser);
    CHECK(copy.encode(texts[0]) == vocabulary.encode(texts[0]));
  }
  const Vocabulary tab({"\t\\"}, Tokeniser::character);
  CHECK(tab.to_string() ==
        std::string("regrad-vocabulary 1 character\n") + specials + "4\t\\t\n5\t\\\\\n");
}

TEST_CASE("vocabulary: from_string trusts nothing") {
  CHECK(error_of(word_file("4\ta\n5\tb\n")) == "no error");
  CHECK(error_of("").starts_with("vocabulary: line 1: "));
  CHECK(error_of("regrad-vocabulary 2 word\n").starts_with("vocabulary: line 1: expected"));
  CHECK(error_of("regrad-vocabulary 1 word\n").starts_with("vocabulary: line 2: a special token"));
  CHECK(error_of("regrad-vocabulary 1 word\n0\t<bos>\n") == "vocabulary: line 2: expected <pad>");
  CHECK(error_of(word_file("4\ta\n4\tb\n")).starts_with("vocabulary: line 7: expected the token"));
  CHECK(
      error_of(word_file("5\ta\n")).starts_with("vocabulary: line 6: expected the token of id 4"));
  CHECK(error_of(word_file("4 a\n")).starts_with("vocabulary: line 6: expected the token of id 4"));
  CHECK(error_of(word_file("4\ta\n\n")).starts_with("vocabulary: line 7: expected the token"));
  CHECK(error_of(word_file("4\ta\n5\ta\n")) == "vocabulary: line 7: the token was there before");
  CHECK(error_of(word_file("4\t<eos>\n")) == "vocabulary: line 6: the token was there before");
  CHECK(error_of(word_file("4\t\n")) == "vocabulary: line 6: the token is empty");
  CHECK(error_of(word_file("4\ta")).starts_with("vocabulary: line 6: the text is cut off"));
  CHECK(error_of(word_file("4\t\\x\n")).starts_with("vocabulary: line 6: a backslash"));
  CHECK(error_of(word_file("4\ta\\\n")).starts_with("vocabulary: line 6: a backslash"));
  CHECK(error_of(word_file("4\ta\tb\n")).starts_with("vocabulary: line 6: a tab or"));
  CHECK(error_of(word_file("4\ta\r\n")).starts_with("vocabulary: line 6: a tab or"));
  CHECK(error_of(word_file("4\t\xC3\n")) == "vocabulary: line 6: the token is not UTF-8");
  CHECK(error_of(word_file("4\t" + std::string(1025, 'a') + "\n")).find("1025 bytes") !=
        std::string::npos);
  CHECK(error_of(std::string("regrad-vocabulary 1 character\n") + specials + "4\tab\n") ==
        "vocabulary: line 6: the token has 2 characters; expected 1");
}

TEST_SUITE_END();

}  // namespace regrad::example

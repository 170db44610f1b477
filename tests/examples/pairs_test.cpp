#include "examples/text/pairs.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>
#include <string>

#include "autograd/error.h"

namespace regrad::example {
namespace {

// A file with the given bytes, gone when the test ends.
class File {
 public:
  explicit File(const std::string& bytes)
      : path_(std::filesystem::temp_directory_path() /
              ("regrad_pairs_" + std::to_string(getpid()) + ".txt")) {
    std::ofstream(path_, std::ios::binary) << bytes;
  }
  ~File() { std::filesystem::remove(path_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

std::vector<Pair> read(const std::string& bytes) { return read_pairs(File(bytes).path()); }

// The message for the bytes, with the path cut off.
std::string error_of(const std::string& bytes) {
  const File file(bytes);
  try {
    read_pairs(file.path());
  } catch (const Error& error) {
    const std::string message = error.what();
    REQUIRE(message.starts_with(file.path()));
    return message.substr(file.path().size());
  }
  return "no error";
}

std::vector<Pair> numbered(int count) {
  std::vector<Pair> pairs;
  for (int i = 0; i < count; ++i) {
    pairs.push_back({"source " + std::to_string(i / 3), "target " + std::to_string(i)});
  }
  return pairs;
}

}  // namespace

TEST_SUITE_BEGIN("examples");

TEST_CASE("pairs: a first line that names the columns is left out, and that is said") {
  const std::vector<Pair> one = {{"Go.", "Va !"}};
  for (const char* header :
       {"source\ttarget", "English\tFrench", "en\tfr\tid", "\"src\"\t\"tgt\"", "英文\t中文",
        "source_text\ttarget_text", "\xEF\xBB\xBFinput\toutput\r"}) {
    CAPTURE(header);
    CHECK(read(std::string(header) + "\nGo.\tVa !\n") == one);
  }
  CHECK(read("source _target\nGo. _Va !\n") == one);
  for (const char* pair : {"it\tes", "text\ttext", "source 1\ttarget 1", "Question?\tAnswer!",
                           "What is English?\tQu'est-ce que l'anglais ?", "de\tfrom"}) {
    CAPTURE(pair);
    CHECK(read(std::string(pair) + "\nGo.\tVa !\n").size() == 2);
  }
  CHECK(read("Go.\tVa !\nenglish\tfrench\n").size() == 2);  // not the first line
  CHECK(error_of("english\tfrench\n") ==
        ": the file has a header and no pair; expected one text pair on each line");

  PairReader reader(std::make_unique<std::istringstream>("english\tfrench\nGo.\tVa !\n"), "f");
  for (Pair pair; reader.next(pair);) CHECK(reader.place().line == 2);
  CHECK(reader.remarks() == std::vector<std::string>{
                                "f:1: \"english / french\" is taken for a header, not for a pair"});
}

TEST_CASE("pairs: quotes of a spreadsheet are taken off, and quotations are not") {
  const auto remarks = [](const std::string& text) {
    PairReader reader(std::make_unique<std::istringstream>(text), "f");
    for (Pair pair; reader.next(pair);) continue;
    return reader.remarks();
  };
  const std::string all =
      "\"Go.\"\t\" Va !\"\n\"Say \"\"hi\"\", now\"\t\"Dis \"\"salut\"\"\"\nRun\tCours\n";
  CHECK(read(all) ==
        std::vector<Pair>{{"Go.", "Va !"}, {"Say \"hi\", now", "Dis \"salut\""}, {"Run", "Cours"}});
  CHECK(remarks(all) == std::vector<std::string>{"f: 4 fields stand in quotes, as a spreadsheet "
                                                 "writes them; the quotes are taken off"});
  CHECK(read("english\tfrench\n" + all) == read(all));
  // Only where they are needed: doubled quotes tell them from a quotation.
  CHECK(read("Go.\tVa !\n\"Say \"\"hi\"\"\"\tDis\n") ==
        std::vector<Pair>{{"Go.", "Va !"}, {"Say \"hi\"", "Dis"}});
  const std::string quotation = "Go.\tVa !\n\"Run!\"\t\"Cours !\"\n\"No,\" he said.\t« Non »\n";
  CHECK(read(quotation)[1] == Pair{"\"Run!\"", "\"Cours !\""});
  CHECK(read(quotation)[2] == Pair{"\"No,\" he said.", "« Non »"});
  CHECK(remarks(quotation) ==
        std::vector<std::string>{"f: 2 fields begin and end with a quote; as the first pair has no "
                                 "such fields, the quotes are taken for text"});
  CHECK(read("\"a\"\t\"b\"\n\"No,\" he said.\t\"c\"\n")[1] == Pair{"\"No,\" he said.", "c"});
  CHECK(error_of("\"a\"\t\"b\"\n\"c\td\"\te\n") ==
        ":2: a field in quotes holds a tab; expected none within a field");
  CHECK(error_of("\"a\"\t\"b\"\n\"\"\tx\n") ==
        ":2: the source is empty; expected \"source<TAB>target\"");
}

TEST_CASE("pairs: tab-separated, with attribution, CRLF, a byte order mark and empty last lines") {
  const std::vector<Pair> expected = {{"Go.", "Va !"}, {"Run!", "Cours !"}};
  CHECK(read("Go.\tVa !\nRun!\tCours !\n") == expected);
  CHECK(read("Go.\tVa !\nRun!\tCours !") == expected);
  CHECK(read("Go.\tVa !\r\nRun!\tCours !\r\n") == expected);
  CHECK(read("\xEF\xBB\xBFGo.\tVa !\nRun!\tCours !\n\n\r\n") == expected);
  CHECK(read("Go.\tVa !\tCC-BY 2.0 (France)\nRun!\tCours !\t1\tmore\n") == expected);
  CHECK(read("  Go. \t Va !  \nRun!\tCours !\n") == expected);
}

TEST_CASE("pairs: padded sides around an underscore") {
  CHECK(read("16+75  _91  \n706+796_1502\n") ==
        std::vector<Pair>{{"16+75", "91"}, {"706+796", "1502"}});
  CHECK(read("september 27, 1994           _1994-09-27\n") ==
        std::vector<Pair>{{"september 27, 1994", "1994-09-27"}});
  CHECK(read("a_b\tc\n") == std::vector<Pair>{{"a_b", "c"}});
}

TEST_CASE("pairs: a broken line is named") {
  CHECK(error_of("a\tb\nno separator\n").starts_with(":2: no tab; expected"));
  CHECK(error_of("a_b\nno separator\n").starts_with(":2: no '_'; expected"));
  CHECK(error_of("a_b\na_b_c\n").starts_with(":2: more than one '_'; expected"));
  CHECK(error_of("a_b\na_b\tc\n").starts_with(":2: a tab; expected"));
  CHECK(error_of("First Citizen:\n").starts_with(":1: no separator; expected"));
  CHECK(error_of("a\tb\n \tb\n").starts_with(":2: the source is empty; expected"));
  CHECK(error_of("a\tb\na\t\tc\n").starts_with(":2: the target is empty; expected"));
  CHECK(error_of("a\tb\n\nc\td\n").starts_with(":2: the line is empty; expected"));
  CHECK(error_of("a\tb\nc\rd\te\n").starts_with(":2: byte 2 is a carriage return; expected"));
}

TEST_CASE("pairs: bytes that are not text") {
  CHECK(error_of("a\tb\nab\xFF\tc\n").starts_with(":2: byte 3 (0xFF) is not UTF-8; expected"));
  CHECK(error_of("\xC0\x80\tb\n").starts_with(":1: byte 1 (0xC0) is not UTF-8"));      // overlong
  CHECK(error_of("\xED\xA0\x80\tb\n").starts_with(":1: byte 1 (0xED) is not UTF-8"));  // surrogate
  CHECK(error_of("a\tb\xE2\x82\n").starts_with(":1: byte 4 (0xE2) is not UTF-8"));     // cut off
  CHECK(error_of(std::string("a\0b\tc\n", 6)).starts_with(":1: byte 2 is NUL; expected"));
  CHECK(error_of(std::string("\xFF\xFE\x61\0", 4)).starts_with(":1: the file looks like UTF-16"));
  CHECK(
      error_of("a\tb\n" + std::string(1'000'001, 'x')).starts_with(":2: the line is longer than"));
  CHECK(read("a\t" + std::string(999'998, 'x')).size() == 1);
}

TEST_CASE("pairs: files that cannot be read") {
  CHECK(error_of("").starts_with(": the file is empty; expected"));
  CHECK(error_of("\xEF\xBB\xBF\n\n").starts_with(": the file is empty; expected"));
  CHECK_THROWS_WITH_AS(read_pairs("/no/such/file"),
                       doctest::Contains("/no/such/file: cannot be read: No such file"), Error);
  CHECK_THROWS_WITH_AS(read_pairs(std::filesystem::temp_directory_path().string()),
                       doctest::Contains("this is a directory"), Error);
}

TEST_CASE("split: no source is on both sides, and about the fraction is held out") {
  const std::vector<Pair> pairs = numbered(6000);
  const Split parts = split(pairs, 0.2, 7);
  CHECK(parts.train.size() + parts.held_out.size() == pairs.size());
  std::set<std::string> trained;
  for (const Pair& pair : parts.train) trained.insert(pair.source);
  for (const Pair& pair : parts.held_out) CHECK_FALSE(trained.contains(pair.source));
  // 2000 sources: the standard deviation of the held-out pairs is 3 * sqrt(2000 * 0.16) = 54.
  CHECK(parts.held_out.size() > 1200 - 5 * 54);
  CHECK(parts.held_out.size() < 1200 + 5 * 54);
}

TEST_CASE("split: depends on the seed, not on the order or on the other pairs") {
  std::vector<Pair> pairs = numbered(300);
  const Split first = split(pairs, 0.5, 1);
  CHECK(split(pairs, 0.5, 1).held_out == first.held_out);
  CHECK(split(pairs, 0.5, 2).held_out != first.held_out);
  CHECK(split(first.held_out, 0.5, 1).train.empty());
  std::reverse(pairs.begin(), pairs.end());
  std::vector<Pair> held_out = split(pairs, 0.5, 1).held_out;
  std::reverse(held_out.begin(), held_out.end());
  CHECK(held_out == first.held_out);
}

TEST_CASE("split: the bounds of the fraction") {
  const std::vector<Pair> pairs = numbered(90);
  CHECK(split(pairs, 0, 1).held_out.empty());
  CHECK(split(pairs, 1, 1).train.empty());
  CHECK(split({}, 0.5, 1).train.empty());
  CHECK_THROWS_AS(split(pairs, -0.1, 1), Error);
  CHECK_THROWS_AS(split(pairs, 1.1, 1), Error);
  CHECK_THROWS_AS(split(pairs, std::stod("nan"), 1), Error);
}

TEST_SUITE_END();

}  // namespace regrad::example

// Files of pairs: what is read is clean text, reading on from any line's place gives the same
// pairs, and a file made of them gives them again.
#include <cstdlib>
#include <sstream>

#include "autograd/error.h"
#include "examples/text/pairs.h"
#include "examples/text/unicode.h"
#include "tests/fuzz/target.h"

using regrad::Error;
using regrad::example::code_points;
using regrad::example::Pair;
using regrad::example::PairReader;

namespace {

PairReader reader_of(const std::string& text) {
  return PairReader(std::make_unique<std::istringstream>(text), "fuzz");
}

std::string in_quotes(const std::string& field) {
  std::string text = "\"";
  for (const char c : field) text += c == '"' ? std::string("\"\"") : std::string(1, c);
  return text + '"';
}

void read_again(const std::vector<Pair>& pairs) {
  // So that what looks like a mark, a header or quotes in the first pair stays where it is.
  std::string text = "\xEF\xBB\xBFsource\ttarget\n\"a\"\t\"b\"\n";
  for (const Pair& pair : pairs) {
    text += in_quotes(pair.source) + "\t" + in_quotes(pair.target) + "\n";
  }
  PairReader reader = reader_of(text);
  Pair again;
  if (!reader.next(again)) std::abort();
  for (const Pair& pair : pairs) {
    if (!reader.next(again) || again != pair) std::abort();
  }
  if (reader.next(again)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  const std::string text(data, data + size);
  std::vector<Pair> pairs;
  try {
    PairReader reader = reader_of(text);
    std::vector<PairReader::Place> places;
    for (Pair pair; reader.next(pair);) {
      for (const std::string& side : {pair.source, pair.target}) {
        if (side.empty() || side.find_first_of(std::string("\0\r\n\t", 4)) != side.npos)
          std::abort();
        code_points(side);
      }
      pairs.push_back(pair);
      places.push_back(reader.place());
    }
    for (std::size_t i = places.size(); i-- > 0;) {
      Pair pair;
      reader.go_to(places[i]);
      if (!reader.next(pair) || pair != pairs[i]) std::abort();
    }
  } catch (const Error&) {  // a broken line is refused: as it should be
    return 0;
  }
  read_again(pairs);
  return 0;
}

std::vector<std::string> regrad::fuzz::seeds() {
  return {"Go.\tVa !\nRun!\tCours !\n",
          "\xEF\xBB\xBFGo.\tVa !\tCC-BY\r\nWer?\tQui ?\r\n\r\n",
          "16+75  _91  \n706+796_1502\n",
          "né\t漢字\nשלום\t🎉",
          "a\tb\n\nc\td\n",
          "a_b\tc\n",
          "english\tfrench\n\"Go.\"\t\"Va !\"\n\"\"\"Go\"\"\"\t\"Va \"\"toi\"\"\"\n",
          ""};
}

// Byte pairs: a file with merges of any kind encodes any text to ids that it has; and what is
// learnt from any text encodes it without loss.
#include <cstdlib>

#include "autograd/error.h"
#include "examples/text/vocabulary.h"
#include "tests/fuzz/target.h"

using regrad::Error;
using regrad::example::Tokeniser;
using regrad::example::Vocabulary;

namespace {

void read_and_use(const std::string& text) {
  try {
    const Vocabulary vocabulary = Vocabulary::from_string(text);
    if (vocabulary.to_string() != text) std::abort();
    const std::vector<int64_t> ids = vocabulary.encode("the lower, 1984 漢!");
    if (vocabulary.tokenise("the lower, 1984 漢!").size() != ids.size()) std::abort();
    vocabulary.decode(ids);
  } catch (const Error&) {  // refused: as it should be
  }
}

void learn(const std::string& text) {
  try {
    const Vocabulary vocabulary({text, text}, Tokeniser::bytepair, 1, 50);
    const std::string again = vocabulary.decode(vocabulary.encode(text));
    if (vocabulary.encode(again) != vocabulary.encode(text)) std::abort();
    const Vocabulary copy = Vocabulary::from_string(vocabulary.to_string());
    if (!(copy == vocabulary) || copy.encode(text) != vocabulary.encode(text)) std::abort();
  } catch (const Error&) {  // not UTF-8
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  const std::string text(data, data + size);
  read_and_use(text);
  learn(text);
  return 0;
}

std::vector<std::string> regrad::fuzz::seeds() {
  const std::vector<std::string> texts = {"low lower lowest", "the newest, the widest!",
                                          "\t漢字 漢字"};
  return {Vocabulary(texts, Tokeniser::bytepair, 1, 20).to_string(),
          Vocabulary(texts, Tokeniser::bytepair, 1, 0).to_string(),
          "low lower  lowest (aaaa aaaaa)", "L'eau, qu'est-ce\u202F? 12:30, 1984 漢字。"};
}

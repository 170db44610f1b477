// Vocabulary files: whatever is read can be written, read again, and used.
#include <cstdlib>

#include "autograd/error.h"
#include "examples/text/vocabulary.h"
#include "tests/fuzz/target.h"

using regrad::Error;
using regrad::example::Tokeniser;
using regrad::example::Vocabulary;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  const std::string text(data, data + size);
  try {
    const Vocabulary vocabulary = Vocabulary::from_string(text);
    if (vocabulary.to_string() != text) std::abort();
    std::vector<int64_t> all;
    for (int64_t id = 0; id < vocabulary.size(); ++id) all.push_back(id);
    vocabulary.decode(all);
    vocabulary.tokens(all);
    for (const int64_t id : vocabulary.encode("some text, 12:30")) {
      if (id < 0 || id >= vocabulary.size()) std::abort();
    }
  } catch (const Error&) {  // a text that is no vocabulary is refused: as it should be
  }
  return 0;
}

std::vector<std::string> regrad::fuzz::seeds() {
  const std::vector<std::string> texts = {"a\tb\nc\rd\\e", "L'eau, qu'est-ce ?", "né 漢🎉", "some"};
  return {Vocabulary(texts, Tokeniser::word).to_string(),
          Vocabulary(texts, Tokeniser::character).to_string(),
          Vocabulary({}, Tokeniser::word).to_string(), "regrad-vocabulary 1 word\n", ""};
}

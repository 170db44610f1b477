// Each kind of model through a weights file and back, and its ways of decoding.
#include "examples/attention/translator.h"

#include <doctest/doctest.h>

#include <cstdio>

#include "ops/ops.h"
#include "tests/errors.h"

using namespace regrad;
using namespace regrad::example;

namespace {

const std::vector<std::string> texts = {"abc", "", "cab ba", "b"};

Translator make(const std::string& model) {
  Generator generator(3);
  return Translator(Vocabulary(texts, Tokeniser::character),
                    Vocabulary({"xyz"}, Tokeniser::character),
                    {.model = model,
                     .embedding = 6,
                     .hidden = 8,
                     .layers = 1,
                     .heads = 2,
                     .dropout = 0,
                     .longest_source = 9,
                     .longest_target = 5},
                    generator);
}

std::vector<std::string> likeliest(Translator& translator) {
  std::vector<std::string> found;
  for (const auto& translations : translator.translate(texts)) {
    found.push_back(translations.front().text);
  }
  return found;
}

Decoding search(int64_t beam, int64_t n_best) {
  return {.options = {.n_best = n_best, .beam = beam}};
}

TEST_SUITE_BEGIN("examples");

TEST_CASE("every model is written and read back as it was, and gives a finite loss") {
  for (const std::string& model : model_names()) {
    Translator one = make(model);
    const std::string path = "translator_test.safetensors";
    one.save(path);
    Translator two = Translator::load(path);
    std::remove(path.c_str());
    CHECK(likeliest(two) == likeliest(one));
    const Batch batch = make_batch({{{4, 5}, {6, 4}}, {{5}, {4}}}, {0, 1});
    CHECK(all_finite(one.loss(batch, 0.1)));
    CHECK(one.loss(batch).item<double>() == two.loss(batch).item<double>());
    nn::Metadata damaged = one.metadata();
    damaged["hidden"] = "16";
    CHECK_ERROR(Translator::from("f", one.state(), damaged), "its metadata asks for");
    damaged["model"] = "oracle";
    CHECK_ERROR(Translator::from("f", one.state(), damaged), "oracle");
  }
}

TEST_CASE("n best translations with their maps, the same in any company") {
  for (const std::string& model : model_names()) {
    Translator translator = make(model);
    const auto all = translator.translate(texts, search(4, 3));
    REQUIRE(all.size() == 4);
    CHECK(all[1].size() == 1);
    CHECK(all[1][0].text.empty());
    for (const size_t i : {size_t{0}, size_t{2}, size_t{3}}) {
      REQUIRE(all[i].size() == 3);
      const auto alone = translator.translate({texts[i]}, search(4, 3))[0];
      for (size_t k = 0; k < 3; ++k) {
        const AttentionMap& map = all[i][k].map;
        CHECK(map.weights.size() == map.source.size() * map.target.size());
        CHECK(map.source.size() == texts[i].size());
        CHECK(alone[k].text == all[i][k].text);
        CHECK(alone[k].score == doctest::Approx(all[i][k].score).epsilon(1e-5));
      }
    }
    const Decoding dice = {.options = {.n_best = 5}, .samples = true, .seed = 2};
    const auto first = translator.translate({"abc"}, dice),
               again = translator.translate({"abc"}, dice);
    REQUIRE(first[0].size() == 5);
    for (size_t k = 0; k < 5; ++k) CHECK(first[0][k].text == again[0][k].text);
    CHECK(translator.translate({"abc"}, search(2, 3))[0].size() == 3);
    CHECK_ERROR(translator.translate({"abc"}, search(0, 0)), "must be 1 or more");
  }
}

TEST_SUITE_END();

}  // namespace

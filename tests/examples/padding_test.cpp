// Padding never changes a result: not a bit of a logit, of the loss or of a gradient.
#include <doctest/doctest.h>

#include "examples/attention/translator.h"
#include "ops/ops.h"

namespace regrad::example {
namespace {

// The batch with as many more columns of <pad> on each side.
Batch padded_more(const Batch& batch, int64_t more) {
  const auto wider = [more](const Tensor& ids) {
    return concat({ids, full({ids.size(0), more}, Vocabulary::pad, {.dtype = int64})}, 1);
  };
  return {wider(batch.source), batch.source_lengths, wider(batch.given), wider(batch.wanted)};
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.to_vector<float>() == b.to_vector<float>();
}

struct Result {
  float loss;
  nn::NamedTensors gradients;
};

Result result_of(Translator& translator, const Batch& batch) {
  for (Tensor parameter : nn::parameters(translator.model())) parameter.zero_grad();
  const Tensor loss = translator.loss(batch);
  loss.backward();
  Result result{loss.item<float>(), {}};
  for (const auto& [name, value] : nn::named_parameters(translator.model())) {
    result.gradients[name] = value.grad();
  }
  return result;
}

}  // namespace

TEST_SUITE_BEGIN("examples");

TEST_CASE("padding: more of it leaves the loss and every gradient the same, to the bit") {
  const std::vector<Pair> pairs = {{"a short one", "un court"},
                                   {"one that is a good deal longer", "un qui est plus long"},
                                   {"x", "y"},
                                   {"in between", "entre les deux"}};
  std::vector<std::string> sources, targets;
  for (const Pair& pair : pairs) {
    sources.push_back(pair.source);
    targets.push_back(pair.target);
  }
  const Vocabulary source(sources, Tokeniser::character), target(targets, Tokeniser::character);
  const Batch batch = make_batch(encode(pairs, source, target), {0, 1, 2, 3});
  for (const std::string& score : score_names()) {
    CAPTURE(score);
    Generator generator(3);
    Translator translator(source, target,
                          {.score = score,
                           .embedding = 12,
                           .hidden = 24,
                           .layers = 2,
                           .dropout = 0,
                           .longest_source = 60,
                           .longest_target = 60},
                          generator);
    const Result once = result_of(translator, batch);
    for (const int64_t more : {1, 3, 16}) {
      CAPTURE(more);
      const Result again = result_of(translator, padded_more(batch, more));
      CHECK(again.loss == once.loss);
      for (const auto& one : once.gradients) {
        CAPTURE(one.first);
        CHECK(same_bits(again.gradients.at(one.first), one.second));
      }
    }
  }
}

TEST_SUITE_END();

}  // namespace regrad::example

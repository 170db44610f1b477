// Padding may hold anything: no result and no gradient of a parameter depends on it.
#include <doctest/doctest.h>

#include <limits>

#include "regrad.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("nn");

// x [b, t, ..] with `bad` from each sequence's length on.
Tensor padded(const Tensor& x, const Tensor& lengths, double bad) {
  return where(unsqueeze(length_mask(lengths, x.size(1)), 2), x, bad);
}

// The loss and the gradients of the parameters with zeros in the padding, and with NaN or infinity.
template <class Module, class Loss>
void check_same(const Module& module, const Tensor& x, const Tensor& lengths, const Loss& loss) {
  const auto run = [&](double bad) {
    for (Tensor& p : nn::parameters(module)) p.zero_grad();
    const Tensor value = loss(padded(x, lengths, bad));
    value.backward();
    std::vector<std::vector<double>> all = {value.to_vector<double>()};
    for (const Tensor& p : nn::parameters(module)) {
      REQUIRE(p.grad().defined());
      all.push_back(p.grad().to_vector<double>());
    }
    return all;
  };
  const auto wanted = run(0);
  CHECK(run(std::numeric_limits<double>::quiet_NaN()) == wanted);
  CHECK(run(std::numeric_limits<double>::infinity()) == wanted);
}

struct Batch {
  Generator generator{4};
  Tensor lengths = tensor({5, 2, 7, 0}, {4});
  Tensor x = randn({4, 7, 6}, generator);
  Tensor mask = length_mask(lengths, 7);
  Tensor of_existing(const Tensor& y) const {
    return sum(square(where(unsqueeze(mask, 2), y, 0.0)));
  }
};

template <class Layer>
void check_recurrent() {
  for (const bool both : {false, true}) {
    Batch b;
    const Layer layer(6, 5, {.layers = 2, .bidirectional = both}, b.generator);
    check_same(layer, b.x, b.lengths, [&](const Tensor& x) {
      const auto out = layer(x, {}, b.lengths);
      return sum(square(out.output)) + sum(square(out.hidden));
    });
    // Through a recorded pass too.
    Tensor spoiled = padded(b.x, b.lengths, std::numeric_limits<double>::quiet_NaN());
    const auto parameters = nn::parameters(layer);
    const Tensor loss = sum(square(layer(spoiled, {}, b.lengths).output));
    for (const Tensor& g : grad({loss}, parameters, {.create_graph = true})) CHECK(all_finite(g));
  }
}

TEST_CASE("recurrent layers: anything in the padding") {
  check_recurrent<nn::RNN>();
  check_recurrent<nn::GRU>();
  check_recurrent<nn::LSTM>();
}

TEST_CASE("the tutorial's modules: anything at masked positions") {
  Batch b;
  const nn::Attention attention(6, b.generator);
  check_same(attention, b.x, b.lengths,
             [&](const Tensor& x) { return sum(square(attention(x, b.mask).weights)); });
  const nn::Seq2SeqModel model(6, 5, 3, b.generator);
  check_same(model, b.x, b.lengths, [&](const Tensor& x) { return sum(square(model(x, b.mask))); });
}

TEST_CASE("self-attention of every score function: anything at masked positions") {
  for (const char* name : {"dot", "scaled_dot", "general", "additive", "distance", "cosine"}) {
    INFO(name);
    Batch b;
    const auto score = nn::make_score(name, {.hidden = 6, .max_length = 7}, b.generator);
    const auto summary = [&](double bad) {
      const Tensor h = padded(b.x, b.lengths, bad).set_requires_grad(true);
      const nn::SelfAttentionOutput out = nn::self_attention(h, score, b.mask);
      const Tensor g = grad({sum(square(out.summary))}, {h})[0];
      CHECK(all_finite(g));
      return std::pair{out.summary.to_vector<double>(), g.to_vector<double>()};
    };
    CHECK(summary(std::numeric_limits<double>::quiet_NaN()) == summary(0));
  }
}

TEST_CASE("multi-head attention: anything in keys that do not exist") {
  for (const bool need_weights : {false, true}) {
    Batch b;
    const nn::MultiheadAttention attention(6, 2, {}, b.generator);
    const auto how = nn::MultiheadAttentionInput{.key_mask = b.mask, .need_weights = need_weights};
    check_same(attention, b.x, b.lengths,
               [&](const Tensor& x) { return b.of_existing(attention(x, x, x, how).output); });
    const Tensor query = randn({4, 3, 6}, b.generator);
    check_same(attention, b.x, b.lengths,
               [&](const Tensor& x) { return sum(square(attention(query, x, x, how).output)); });
  }
}

TEST_SUITE_END();

}  // namespace

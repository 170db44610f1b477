// The Transformer whole against PyTorch's numbers; its cache against the full forward; padding.
#include "nn/transformer_seq2seq.h"

#include "tests/errors.h"
#include "tests/nn/patterns.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("nn");

TEST_CASE("the whole Transformer gives PyTorch's numbers and gradients, under its names") {
  const Tensor key_mask = tensor({true, true, true, true, true, false}, {2, 3});
  const nn::TransformerMasks masks = {.source = {.key_mask = key_mask},
                                      .memory = {.key_mask = key_mask}};
  const std::vector<double> outputs[] = {
      {-1.30718333, -0.379356185, -0.2014385626, -0.1538975159, -1.30660346, -0.3800699454,
       -0.2016604523, -0.1548899102, -1.295753392, -0.3851245566, -0.2073071704, -0.173005044,
       -1.251387342, -0.4103851897, -0.2221700837, -0.2207636023},
      {-1.25681017, -0.2112760321, -0.2454601004, -0.1676078905, -1.260424147, -0.188123984,
       -0.2454743954, -0.153323631, -1.210804281, -0.1126791466, -0.2616732466, -0.1325004023,
       -1.179689265, -0.0809407363, -0.2693237443, -0.1213598085}};
  const std::vector<double> of_source[] = {
      {-0.0003220677375, 0.0002079306458, 0.0003011319076, -0.000333745328, -0.0002646677245,
       0.0002270161662, 0.0002142455129, -0.0002946648854, 0, 0, 0, 0},
      {-0.001422496516, -0.002546144005, -0.004397811426, 0.008366451947, -0.001281306591,
       -0.002225962125, -0.004076593538, 0.007583862254, 0, 0, 0, 0}};
  const std::vector<double> of_bias[] = {
      {-0.00240024624, 0.002718298656, 0.0009712917368, -0.001014737696, 0, 0, 0, 0,
       -0.000184758383, -0.04463182291, -0.06808784374, -0.05952108775},
      {-1.221225666e-05, 1.595975695e-05, 1.228251211e-05, -1.202589387e-05, 0, 0, 0, 0,
       0.04195551763, 0.0406186171, 0.02017814625, -0.009752422062}};
  for (const int first : {0, 1}) {
    const nn::Transformer model = patterned(
        nn::Transformer(4, 2, 2, 2, {.feedforward = 3, .dropout = 0, .norm_first = first == 1}));
    const nn::NamedTensors named = nn::named_parameters(model);
    CHECK(named.size() == 64);
    Tensor source = waves({2, 3, 4}).set_requires_grad(true);
    const Tensor y = model(source, waves({2, 2, 4}, 3), masks);
    CHECK(largest_difference(y, outputs[first]) < 1e-9);
    sum(y * waves({2, 2, 4}, 5)).backward();
    CHECK(largest_difference(select(source.grad(), 0, 1), of_source[first]) < 1e-9);
    CHECK(largest_difference(named.at("decoder.layers.0.self_attn.in_proj_bias").grad(),
                             of_bias[first]) < 1e-9);
  }
}

nn::TransformerSeq2Seq make(nn::TransformerSeq2SeqOptions options = {}) {
  options.dim = 8;
  options.heads = 2;
  options.feedforward = 12;
  options.max_length = 9;
  Generator generator(4);
  nn::TransformerSeq2Seq model(7, 6, options, generator);
  nn::eval(model);
  return model;
}

Tensor source() { return tensor({4, 5, 2, 0, 0, 3, 1, 6, 5, 2}, {2, 5}); }
Tensor lengths() { return tensor({3, 5}, {2}); }

TEST_CASE("steps with a cache equal teacher forcing; padding changes nothing") {
  for (const bool norm_first : {true, false}) {
    for (const bool learned : {true, false}) {
      const auto model = make({.norm_first = norm_first, .learned_positions = learned});
      const Tensor target = tensor({1, 4, 3, 1, 5, 2}, {2, 3});
      const auto out = model(source(), lengths(), target);
      CHECK(out.logits.shape() == Shape{2, 3, 6});
      CHECK(out.weights.shape() == Shape{2, 3, 5});
      CHECK(largest_difference(sum(out.weights, 2), {1, 1, 1, 1, 1, 1}) < 1e-5);
      CHECK(max(narrow(select(out.weights, 0, 0), 1, 3, 2)).item<double>() == 0);
      nn::TransformerState state = model.encode(source(), lengths());
      for (int64_t t = 0; t < 3; ++t) {
        const nn::TransformerStep step = model.step(state, select(target, 1, t));
        CHECK(largest_difference(step.logits, select(out.logits, 1, t)) < 1e-5);
        CHECK(largest_difference(step.weights, select(out.weights, 1, t)) < 1e-5);
        state = step.state;
      }
      const auto alone = model(tensor({4, 5, 2}, {1, 3}), {}, tensor({1, 4}, {1, 2}));
      CHECK(largest_difference(narrow(narrow(out.logits, 0, 0, 1), 1, 0, 2), alone.logits) < 1e-5);
    }
  }
}

TEST_CASE("a later target token changes no earlier output") {
  const auto model = make();
  const Tensor one = model(source(), lengths(), tensor({1, 4, 3, 1, 5, 2}, {2, 3})).logits;
  const Tensor two = model(source(), lengths(), tensor({1, 4, 5, 1, 5, 0}, {2, 3})).logits;
  CHECK(largest_difference(narrow(one, 1, 0, 2), narrow(two, 1, 0, 2)) == 0);
  CHECK(largest_difference(select(one, 1, 2), select(two, 1, 2)) > 1e-3);
}

TEST_CASE("beams on the Transformer: the cache follows its hypotheses") {
  const auto model = make();
  const auto found =
      nn::beam_search(model, source(), lengths(), {.max_length = 6, .n_best = 3, .beam = 4});
  for (int64_t b = 0; b < 2; ++b) {
    const int64_t own = select(lengths(), 0, b).item<int64_t>();
    const Tensor alone = narrow(narrow(source(), 0, b, 1), 1, 0, own);
    for (const nn::Hypothesis& made : found[static_cast<size_t>(b)]) {
      std::vector<int64_t> given = {1}, wanted = made.ids;
      given.insert(given.end(), made.ids.begin(), made.ids.end());
      if (made.finished) wanted.push_back(2);
      given.resize(wanted.size());
      const auto count = static_cast<int64_t>(wanted.size());
      const auto out = model(alone, {}, tensor(given, {1, count}));
      const Tensor picked =
          gather(log_softmax(select(out.logits, 0, 0), 1), 1, tensor(wanted, {count, 1}));
      CHECK(std::abs(sum(picked).item<double>() - made.log_probability) < 1e-5);
      CHECK(largest_difference(made.attention, select(out.weights, 0, 0)) < 1e-5);
    }
  }
}

TEST_CASE("tied weights are one parameter; every parameter learns") {
  Generator generator(2);
  const nn::TransformerSeq2Seq tied(
      6, 6, {.dim = 8, .heads = 2, .tie_output = true, .tie_embeddings = true}, generator);
  const nn::TransformerSeq2Seq apart(6, 6, {.dim = 8, .heads = 2}, generator);
  CHECK(nn::num_parameters(apart) - nn::num_parameters(tied) == 2 * 6 * 8);
  const auto out =
      tied(tensor({4, 5, 2, 0, 0, 3, 1, 5, 5, 2}, {2, 5}), lengths(), tensor({1, 4, 1, 5}, {2, 2}));
  cross_entropy(flatten(out.logits, 0, 1), tensor({4, 2, 5, 2}, {4})).backward();
  for (const auto& named : nn::named_parameters(tied)) {
    CHECK_MESSAGE(named.second.grad().defined(), named.first);
  }
  CHECK_ERROR(nn::TransformerSeq2Seq(6, 7, {.tie_embeddings = true}), "6 and 7");
  CHECK_ERROR(
      make({.learned_positions = true})(zeros({1, 10}, {.dtype = int64}), {}, tensor({1}, {1, 1})),
      "0 to 9");
}

TEST_CASE("a Transformer learns to reverse") {
  Generator generator(1);
  nn::TransformerSeq2Seq model(8, 8,
                               {.dim = 32,
                                .heads = 4,
                                .encoder_layers = 1,
                                .decoder_layers = 1,
                                .feedforward = 64,
                                .dropout = 0},
                               generator);
  optim::Adam adam(nn::parameters(model), {.lr = 0.005});
  for (int step = 0; step < 300; ++step) {
    const Tensor words = randint(3, 8, {16, 4}, generator);
    const Tensor given = concat({ones({16, 1}, {.dtype = int64}), flip(words, 1)}, 1);
    const Tensor wanted = concat({flip(words, 1), full({16, 1}, 2, {.dtype = int64})}, 1);
    const Tensor now =
        cross_entropy(flatten(model(words, {}, given).logits, 0, 1), flatten(wanted));
    nn::zero_grad(model);
    now.backward();
    optim::clip_grad_norm(nn::parameters(model), 1);
    adam.step();
  }
  const auto found = nn::beam_search(model, tensor({3, 5, 7, 4}, {1, 4}), {}, {.max_length = 9});
  CHECK(found[0][0].ids == std::vector<int64_t>{4, 7, 5, 3});
}

TEST_SUITE_END();

}  // namespace

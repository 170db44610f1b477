// The tutorial's model against its loop written out, and the encoder-decoder.
#include "tests/errors.h"
#include "tests/nn/patterns.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("nn");

TEST_CASE("the tutorial's model is its loop") {
  for (const int64_t outputs : {3, 2}) {
    const nn::Seq2SeqModel model = patterned(nn::Seq2SeqModel(2, 3, outputs));
    CHECK(model.back.has_value() == (outputs != 3));
    const Tensor x = waves({2, 4, 2});
    Tensor hidden = model.hidden_layer(relu(model.input_layer(x)));
    std::vector<Tensor> expected;
    for (int t = 0; t < 4; ++t) {
      const Tensor weights = softmax(model.attention.linear(hidden), 1);
      const Tensor output = model.output_layer(bmm(transpose(weights, 1, 2), hidden));
      expected.push_back(squeeze(output, 1));
      const Tensor grown = outputs == 3 ? output : (*model.back)(output);
      hidden = model.hidden_layer(concat({hidden, grown}, 1));
    }
    const auto steps = model.steps(x);
    CHECK(largest_difference(model(x), stack(expected, 1)) < 1e-14);
    CHECK(largest_difference(steps.outputs, model(x)) == 0);
    CHECK(steps.weights[3].shape() == Shape{2, 7, 1});
  }
  std::string names;
  for (const auto& [name, value] : nn::named_parameters(nn::Seq2SeqModel(2, 3, 3))) {
    names += name + " ";
  }
  CHECK(names ==
        "input_layer.weight input_layer.bias hidden_layer.weight hidden_layer.bias "
        "output_layer.weight output_layer.bias attention.linear.weight attention.linear.bias ");
}

TEST_CASE("the tutorial's model: gradients, and masked positions change nothing") {
  const nn::Seq2SeqModel model = patterned(nn::Seq2SeqModel(2, 3, 2));
  CHECK(gradcheck([&](const std::vector<Tensor>& in) { return model(in[0]); }, {waves({1, 3, 2})}));
  const Tensor mask = tensor({true, true, false}, {1, 3});
  const Tensor x = waves({1, 3, 2});
  Tensor other = x.clone();
  narrow(other, 1, 2, 1).fill_(50);
  CHECK(largest_difference(model(x, mask), model(other, mask)) < 1e-14);
  CHECK_ERROR(model(zeros({2, 2})), "[batch, time, input]");
}

nn::Seq2Seq make(const nn::Seq2SeqOptions& options) {
  Generator generator(4);
  return patterned(nn::Seq2Seq(7, 6, options, generator));
}

nn::Seq2Seq make(const std::string& score, bool bidirectional = true,
                 const std::string& cell = "gru") {
  return make({.embedding = 3,
               .hidden = 4,
               .bidirectional = bidirectional,
               .score = score,
               .cell = cell,
               .max_length = 9});
}

// Padding has no weight and changes nothing; step by step is as teacher forcing; every parameter
// gets a gradient.
void check_model(const nn::Seq2Seq& model) {
  const Tensor source = tensor({4, 5, 2, 0, 0, 3, 1, 6, 5, 2}, {2, 5});
  const Tensor lengths = tensor({3, 5}, {2});
  const Tensor target = tensor({1, 4, 1, 5}, {2, 2});
  const auto out = model(source, lengths, target);
  CHECK(out.logits.shape() == Shape{2, 2, 6});
  CHECK(out.weights.shape() == Shape{2, 2, 5});
  CHECK(max(abs(narrow(select(out.weights, 0, 0), 1, 3, 2))).item<double>() == 0);
  const auto alone = model(tensor({4, 5, 2}, {1, 3}), {}, tensor({1, 4}, {1, 2}));
  CHECK(largest_difference(narrow(out.logits, 0, 0, 1), alone.logits) < 1e-12);
  nn::DecoderState state = model.encode(source, lengths);
  for (int64_t t = 0; t < 2; ++t) {
    const nn::DecoderStep step = model.step(state, select(target, 1, t));
    CHECK(largest_difference(step.logits, select(out.logits, 1, t)) < 1e-12);
    CHECK(largest_difference(step.weights, select(out.weights, 1, t)) < 1e-12);
    state = step.state;
  }
  cross_entropy(flatten(out.logits, 0, 1), flatten(target)).backward();
  for (const auto& named : nn::named_parameters(model)) {
    const Tensor& parameter = named.second;
    CHECK_MESSAGE(parameter.grad().defined(), named.first);
    if (parameter.grad().defined()) CHECK(all_finite(parameter.grad()));
  }
}

TEST_CASE("encoder-decoder: every score function, padding, and steps against teacher forcing") {
  for (const std::string score :
       {"dot", "scaled_dot", "general", "additive", "location", "distance", "cosine"}) {
    CAPTURE(score);
    check_model(make(score, score != "dot"));
  }
  for (const std::string score : {"dot", "additive"}) check_model(make(score, true, "lstm"));
}

TEST_CASE("encoder-decoder: a readout, input feeding, a tied output, layers") {
  nn::Seq2SeqOptions options = {.embedding = 3, .hidden = 4, .readout = 3};
  check_model(make(options));
  options.layers = 2;
  check_model(make(options));
  options.input_feeding = true;
  check_model(make(options));
  options.cell = "lstm";
  options.bidirectional = false;
  options.tie_output = true;
  const nn::Seq2Seq tied = make(options);
  check_model(tied);
  CHECK(tied.output.weight.shares_body(tied.target_embedding.weight));
  options.tie_output = false;
  CHECK(nn::num_parameters(make(options)) - nn::num_parameters(tied) == 6 * 3);
}

TEST_CASE("encoder-decoder: what the step before read out is what input feeding gives") {
  const nn::Seq2Seq model =
      make({.embedding = 3, .hidden = 4, .readout = 2, .input_feeding = true});
  const Tensor source = tensor({4, 5, 2}, {1, 3}), first = tensor({1}, {1});
  const nn::DecoderStep step = model.step(model.encode(source), first);
  CHECK(largest_difference(step.logits, model.output(step.state.fed)) == 0);
  nn::DecoderState other = step.state;
  other.fed = zeros_like(other.fed);
  CHECK(largest_difference(model.step(step.state, first).logits, model.step(other, first).logits) >
        1e-6);
  CHECK_ERROR(make({.input_feeding = true}), "must be above 0");
  CHECK_ERROR(make({.embedding = 3, .readout = 2, .tie_output = true}), "as many, not 2");
}

TEST_CASE("decoding stops at <eos>, keeps attention rows, and ignores padding") {
  const nn::Seq2Seq model = make("additive");
  const Tensor source = tensor({4, 5, 2, 0, 3, 1, 6, 5}, {2, 4}), lengths = tensor({3, 4}, {2});
  const nn::Hypotheses decoded = nn::beam_search(model, source, lengths, {.max_length = 6});
  REQUIRE(decoded.size() == 2);
  for (size_t b = 0; b < 2; ++b) {
    const nn::Hypothesis& best = decoded[b].at(0);
    CHECK(best.attention.size(1) == (b == 0 ? 3 : 4));
    CHECK(best.attention.size(0) <= 6);
    for (const int64_t id : best.ids) CHECK(id != 2);
  }
  const auto alone = nn::beam_search(model, tensor({4, 5, 2}, {1, 3}), {}, {.max_length = 6});
  CHECK(alone[0][0].ids == decoded[0][0].ids);
  const auto none = nn::beam_search(model, source, lengths, {.max_length = 0});
  CHECK(none[1][0].attention.shape() == Shape{0, 4});
  CHECK_ERROR(model(source, lengths, tensor({1}, {1, 1})), "int64 [2, time]");
  CHECK_ERROR(model.encode(zeros({2, 4})), "int64 [batch, time]");
  CHECK_ERROR(make("dot", true, "elman"), "gru and lstm");
}

TEST_CASE("tied embeddings are one parameter") {
  const nn::Seq2SeqOptions apart = {.embedding = 3, .hidden = 4};
  nn::Seq2SeqOptions tied = apart;
  tied.tie_embeddings = true;
  CHECK(nn::num_parameters(nn::Seq2Seq(7, 7, apart)) -
            nn::num_parameters(nn::Seq2Seq(7, 7, tied)) ==
        7 * 3);
  CHECK_ERROR(nn::Seq2Seq(7, 6, tied), "7 and 6");
}

TEST_CASE("an encoder-decoder learns to reverse") {
  Generator generator(1);
  nn::Seq2Seq model(8, 8, {.embedding = 16, .hidden = 32}, generator);
  optim::Adam adam(nn::parameters(model), {.lr = 0.01});
  double loss = 0;
  for (int step = 0; step < 150; ++step) {
    const Tensor words = randint(3, 8, {16, 4}, generator);
    const Tensor given = concat({ones({16, 1}, {.dtype = int64}), flip(words, 1)}, 1);
    const Tensor wanted = concat({flip(words, 1), full({16, 1}, 2, {.dtype = int64})}, 1);
    const Tensor logits = model(words, {}, given).logits;
    const Tensor now = cross_entropy(flatten(logits, 0, 1), flatten(wanted));
    loss = now.item<double>();
    nn::zero_grad(model);
    now.backward();
    optim::clip_grad_norm(nn::parameters(model), 1);
    adam.step();
  }
  CHECK(loss < 0.1);
  CHECK(nn::beam_search(model, tensor({3, 5, 7, 4}, {1, 4}))[0][0].ids ==
        std::vector<int64_t>{4, 7, 5, 3});
}

TEST_SUITE_END();

}  // namespace

// Decoding against searches that try everything, on a model whose every token depends on all that
// came before it.
#include "nn/decode.h"

#include <algorithm>
#include <map>

#include "tests/errors.h"
#include "tests/nn/patterns.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("nn");

constexpr int64_t eos = 2;

// Its state is a number made of the source and of every token so far.
struct Scripted {
  int64_t vocabulary = 4;
  bool wrong_rows = false;  // a planted error: hypotheses keep each other's states

  struct State {
    std::vector<int64_t> history;
    std::vector<int64_t> lengths;
    int64_t width;
    bool wrong_rows;
    State rows(const Tensor& index) const {
      State picked{{}, {}, width, wrong_rows};
      const std::vector<int64_t> from = index.to_vector<int64_t>();
      for (size_t i = 0; i < from.size(); ++i) {
        const auto place = wrong_rows ? i % history.size() : static_cast<size_t>(from[i]);
        picked.history.push_back(history[place]);
        picked.lengths.push_back(lengths[static_cast<size_t>(from[i])]);
      }
      return picked;
    }
  };
  struct Step {
    Tensor logits, weights;
    State state;
  };

  State encode(const Tensor& source, const Tensor& lengths) const {
    State state{{}, nn::source_lengths(source, lengths), source.size(1), wrong_rows};
    const std::vector<int64_t> ids = source.to_vector<int64_t>();
    for (int64_t b = 0; b < source.size(0); ++b) {
      int64_t sum = 7;
      for (int64_t s = 0; s < state.lengths[static_cast<size_t>(b)]; ++s) {
        sum = 3 * sum + ids[static_cast<size_t>(b * state.width + s)];
      }
      state.history.push_back(sum % 997);
    }
    return state;
  }
  Step step(State state, const Tensor& ids) const {
    std::vector<double> logits, weights;
    const std::vector<int64_t> given = ids.to_vector<int64_t>();
    for (size_t b = 0; b < given.size(); ++b) {
      state.history[b] = (31 * state.history[b] + given[b] + 1) % 997;
      const auto h = static_cast<double>(state.history[b]);
      for (int v = 0; v < vocabulary; ++v) logits.push_back(2 * std::sin(h * (v + 1)));
      for (int s = 0; s < state.width; ++s) {
        weights.push_back(s < state.lengths[b] ? std::abs(std::cos(h * (s + 1))) : 0);
      }
    }
    const auto rows = static_cast<int64_t>(given.size());
    return {tensor(logits, {rows, vocabulary}), tensor(weights, {rows, state.width}),
            std::move(state)};
  }
};

Tensor sources() { return tensor({4, 5, 2, 9, 3, 0, 6, 1, 8, 7, 7, 0}, {4, 3}); }
Tensor lengths() { return tensor({3, 2, 3, 1}, {4}); }

struct Rerun {
  double log_probability = 0;
  std::vector<double> attention;
};

// What the model says of a sequence when it is given its tokens one by one.
Rerun rerun(const Scripted& model, const Tensor& source, int64_t length,
            const nn::Hypothesis& hypothesis) {
  Rerun told;
  Scripted::State state = model.encode(source, tensor({length}, {1}));
  std::vector<int64_t> wanted = hypothesis.ids;
  if (hypothesis.finished) wanted.push_back(eos);
  int64_t given = 1;
  for (const int64_t token : wanted) {
    const Scripted::Step next = model.step(state, tensor({given}, {1}));
    told.log_probability +=
        select(select(log_softmax(next.logits, 1), 0, 0), 0, token).item<double>();
    const std::vector<double> row = next.weights.to_vector<double>();
    told.attention.insert(told.attention.end(), row.begin(), row.begin() + length);
    state = next.state;
    given = token;
  }
  return told;
}

// The largest difference between hypotheses and what the model says of them one by one.
double rerun_difference(const nn::Hypotheses& all, const Tensor& source, const Tensor& length) {
  double largest = 0;
  for (size_t b = 0; b < all.size(); ++b) {
    const auto row = static_cast<int64_t>(b);
    const int64_t own = select(length, 0, row).item<int64_t>();
    for (const nn::Hypothesis& made : all[b]) {
      const Rerun told = rerun(Scripted{}, narrow(source, 0, row, 1), own, made);
      largest = std::max(largest, std::abs(told.log_probability - made.log_probability));
      const auto steps = static_cast<int64_t>(made.ids.size()) + (made.finished ? 1 : 0);
      REQUIRE(made.attention.shape() == Shape{steps, own});
      largest = std::max(largest, largest_difference(made.attention, told.attention));
    }
  }
  return largest;
}

// Every sequence of at most `left` tokens.
void enumerate(const Scripted& model, const Scripted::State& state, int64_t given, int64_t left,
               nn::Hypothesis so_far, double alpha, std::vector<nn::Hypothesis>& all) {
  const auto emit = [&](const nn::Hypothesis& made) {
    const double length = static_cast<double>(made.ids.size()) + (made.finished ? 1 : 0);
    all.push_back(made);
    all.back().score = made.log_probability / std::pow((5 + length) / 6, alpha);
  };
  if (left == 0) return emit(so_far);
  const Scripted::Step next = model.step(state, tensor({given}, {1}));
  const std::vector<double> logs = log_softmax(next.logits, 1).to_vector<double>();
  for (int64_t token = 0; token < model.vocabulary; ++token) {
    nn::Hypothesis longer = so_far;
    longer.log_probability += logs[static_cast<size_t>(token)];
    if (token == eos) {
      longer.finished = true;
      emit(longer);
      continue;
    }
    longer.ids.push_back(token);
    enumerate(model, next.state, token, left - 1, longer, alpha, all);
  }
}

TEST_CASE("a beam as wide as all sequences finds the best of them, with any length penalty") {
  const Scripted model;
  for (const double alpha : {0.0, 0.6, 2.0, -1.0}) {
    for (int64_t b = 0; b < 4; ++b) {
      const Tensor source = narrow(sources(), 0, b, 1);
      std::vector<nn::Hypothesis> all;
      enumerate(model, model.encode(source, {}), 1, 4, {}, alpha, all);
      std::stable_sort(all.begin(), all.end(),
                       [](const nn::Hypothesis& a, const nn::Hypothesis& c) {
                         return a.finished != c.finished ? a.finished : a.score > c.score;
                       });
      const auto found =
          nn::beam_search(model, source, {},
                          {.max_length = 4, .n_best = 5, .beam = 256, .length_penalty = alpha})[0];
      REQUIRE(found.size() == 5);
      for (size_t i = 0; i < 5; ++i) {
        CHECK(found[i].ids == all[i].ids);
        CHECK(found[i].finished == all[i].finished);
        CHECK(std::abs(found[i].score - all[i].score) < 1e-12);
      }
    }
  }
}

// Says 3 nineteen times and then <eos>, and is sure of it; after any other token it wants to end.
struct Sure final : nn::StepModel {
  std::vector<int64_t> said = {0};  // by each row; -1: it left the way
  nn::StepOutput step(const Tensor& ids) override {
    const std::vector<int64_t> given = ids.to_vector<int64_t>();
    std::vector<double> logits;
    for (size_t row = 0; row < given.size(); ++row) {
      const bool first = said[row] == 0 && given[row] == 1;
      if (!first) said[row] = said[row] >= 0 && given[row] == 3 ? said[row] + 1 : -1;
      const int64_t wanted = said[row] >= 0 && said[row] < 19 ? 3 : eos;
      for (int64_t token = 0; token < 6; ++token) logits.push_back(token == wanted ? 5 : 0);
    }
    const auto rows = static_cast<int64_t>(given.size());
    return {tensor(logits, {rows, 6}), {}};  // it attends to nothing
  }
  void keep(const Tensor& rows) override {
    std::vector<int64_t> kept;
    for (const int64_t row : rows.to_vector<int64_t>())
      kept.push_back(said[static_cast<size_t>(row)]);
    said = kept;
  }
};

TEST_CASE("hypotheses that end early do not end the search for a better one") {
  for (const double alpha : {0.0, 0.6}) {
    for (const int64_t beam : {1, 2, 4, 10}) {
      Sure model;
      const nn::Hypotheses made =
          nn::beam_search(model, {1}, {.beam = beam, .length_penalty = alpha});
      CHECK(made[0][0].ids == std::vector<int64_t>(19, 3));
      CHECK(made[0][0].attention.shape() == Shape{20, 0});
    }
  }
}

TEST_CASE("a beam of 1 is greedy decoding") {
  const Scripted model;
  for (const double alpha : {0.0, 1.0}) {
    const auto found =
        nn::beam_search(model, sources(), lengths(), {.max_length = 12, .length_penalty = alpha});
    for (int64_t b = 0; b < 4; ++b) {
      Scripted::State state = model.encode(narrow(sources(), 0, b, 1), narrow(lengths(), 0, b, 1));
      std::vector<int64_t> expected;
      for (int64_t given = 1; expected.size() < 12;) {
        const Scripted::Step next = model.step(state, tensor({given}, {1}));
        given = argmax(next.logits).item<int64_t>();
        if (given == eos) break;
        expected.push_back(given);
        state = next.state;
      }
      CHECK(found[static_cast<size_t>(b)][0].ids == expected);
    }
  }
}

TEST_CASE("states and attention rows follow their hypotheses; a wrong reorder is noticed") {
  const nn::DecodeOptions options = {.max_length = 8, .n_best = 4, .beam = 4};
  CHECK(rerun_difference(nn::beam_search(Scripted{}, sources(), lengths(), options), sources(),
                         lengths()) < 1e-6);
  Generator generator(3);
  CHECK(rerun_difference(nn::sample(Scripted{}, sources(), lengths(), options, generator),
                         sources(), lengths()) < 1e-6);
  const Scripted wrong = {.wrong_rows = true};
  CHECK(rerun_difference(nn::beam_search(wrong, sources(), lengths(), options), sources(),
                         lengths()) > 0.01);
}

void check_same(const nn::Hypothesis& a, const nn::Hypothesis& b) {
  CHECK(a.ids == b.ids);
  CHECK(a.score == b.score);
  CHECK(a.attention.to_vector<float>() == b.attention.to_vector<float>());
}

TEST_CASE("a batch gives what its sentences give one by one, to the bit") {
  const nn::DecodeOptions options = {.max_length = 9, .n_best = 3, .beam = 3};
  Generator together(5), apart(5);
  const auto searched = nn::beam_search(Scripted{}, sources(), lengths(), options);
  const auto sampled = nn::sample(Scripted{}, sources(), lengths(), options, together);
  for (int64_t b = 0; b < 4; ++b) {
    const int64_t own = select(lengths(), 0, b).item<int64_t>();
    const Tensor source = narrow(narrow(sources(), 0, b, 1), 1, 0, own);
    const auto alone = nn::beam_search(Scripted{}, source, {}, options)[0];
    const auto drawn = nn::sample(Scripted{}, source, {}, options, apart)[0];
    for (size_t i = 0; i < 3; ++i) {
      check_same(alone[i], searched[static_cast<size_t>(b)][i]);
      check_same(drawn[i], sampled[static_cast<size_t>(b)][i]);
    }
  }
  CHECK(together.position() == apart.position());
}

// The share of each first token in many samples.
std::map<int64_t, double> shares(const nn::DecodeOptions& options) {
  Generator generator(11);
  nn::DecodeOptions many = options;
  many.max_length = 1;
  many.n_best = 20000;
  std::map<int64_t, double> share;
  const nn::Hypotheses drawn =
      nn::sample(Scripted{}, narrow(sources(), 0, 0, 1), {}, many, generator);
  for (const nn::Hypothesis& made : drawn[0]) {
    share[made.finished ? eos : made.ids[0]] += 1.0 / 20000;
  }
  return share;
}

TEST_CASE("samples come as often as the model says, with temperature, top-k and top-p") {
  const Scripted model;
  const Tensor logits =
      model.step(model.encode(narrow(sources(), 0, 0, 1), {}), tensor({1}, {1})).logits;
  for (const double temperature : {0.5, 1.0, 3.0}) {
    const std::vector<double> expected = softmax(logits / temperature, 1).to_vector<double>();
    const auto share = shares({.temperature = temperature});
    for (int64_t v = 0; v < 4; ++v) {
      const double seen = share.contains(v) ? share.at(v) : 0;
      CHECK(std::abs(seen - expected[static_cast<size_t>(v)]) < 0.015);
    }
  }
  const std::vector<double> plain = softmax(logits, 1).to_vector<double>();
  std::vector<size_t> order = {0, 1, 2, 3};
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return plain[a] > plain[b]; });
  const auto two = shares({.top_k = 2});
  CHECK(two.size() == 2);
  CHECK(std::abs(two.at(static_cast<int64_t>(order[0])) -
                 plain[order[0]] / (plain[order[0]] + plain[order[1]])) < 0.015);
  CHECK(shares({.top_p = plain[order[0]] - 0.01}).size() == 1);
  CHECK(shares({.top_p = plain[order[0]] + 0.01}).size() == 2);
  CHECK(shares({.temperature = 0}).size() == 1);
  CHECK(shares({.temperature = 0}).contains(static_cast<int64_t>(order[0])));
}

TEST_CASE("the length limit and the options are kept to") {
  const Scripted model;
  for (const auto& found : nn::beam_search(model, sources(), {}, {.max_length = 2, .beam = 3})) {
    CHECK(found[0].ids.size() <= 2);
  }
  const auto none = nn::beam_search(model, sources(), {}, {.max_length = 0})[0][0];
  CHECK(none.ids.empty());
  CHECK(none.attention.shape() == Shape{0, 3});
  CHECK(!none.finished);
  CHECK_ERROR(nn::beam_search(model, sources(), {}, {.n_best = 3, .beam = 2}), "n_best is 3");
  CHECK_ERROR(nn::beam_search(model, sources(), {}, {.beam = 0}), "beam is 0");
  Generator generator;
  CHECK_ERROR(nn::sample(model, sources(), {}, {.top_p = 0}, generator), "top_p 0");
}

TEST_CASE("a model that gives no number is an error, not a guess") {
  struct Broken final : nn::StepModel {
    nn::StepOutput step(const Tensor&) override { return {full({1, 4}, NAN), zeros({1, 2})}; }
    void keep(const Tensor&) override {}
  } broken;
  CHECK_ERROR(nn::beam_search(broken, {2}), "not finite");
}

TEST_CASE("what a step model answers is checked, at every step") {
  struct Given final : nn::StepModel {
    std::vector<nn::StepOutput> answers;
    size_t next = 0;
    nn::StepOutput step(const Tensor&) override { return answers[next++ % answers.size()]; }
    void keep(const Tensor&) override {}
  };
  const Tensor logits = tensor({0.0f, 1.0f, -5.0f, 0.0f, 0.0f, 1.0f, -5.0f, 0.0f}, {2, 4}),
               weights = ones({2, 3});
  const auto refuses = [](const std::vector<nn::StepOutput>& answers, const std::string& text,
                          const std::vector<int64_t>& lengths = {3, 2},
                          const nn::DecodeOptions& options = {}) {
    Given model;
    model.answers = answers;
    CHECK_ERROR(nn::beam_search(model, lengths, options), text);
    Generator generator(1);
    nn::DecodeOptions drawn = options;
    drawn.temperature = 0;
    model.next = 0;
    CHECK_ERROR(nn::sample(model, lengths, drawn, generator), text);
  };
  refuses({{{}, weights}}, "gave no logits");
  refuses({{ones({3, 4}), weights}}, "must be floats [2, any]");
  refuses({{ones({1, 4}), weights}}, "must be floats [2, any]");
  refuses({{ones({8}), weights}}, "must be floats [2, any]");
  refuses({{ones({2, 4, 1}), weights}}, "must be floats [2, any]");
  refuses({{ones({2, 4}, {.dtype = int64}), weights}}, "int64 [2, 4]; they must be floats");
  refuses({{ones({2, 0}), weights}}, "logits of 0 tokens");
  refuses({{ones({2, 2}), weights}}, "logits of 2 tokens; the token that ends a sequence is 2");
  refuses({{logits, weights}, {ones({2, 5}), weights}}, "must be floats [2, 4]");
  refuses({{logits, weights}, {logits, {}}}, "weights in one step and none in another");
  refuses({{logits, ones({1, 3})}}, "weights float32 [1, 3]; they must be floats [2, any]");
  refuses({{logits, ones({2, 3}, {.dtype = bool_})}}, "weights bool");
  refuses({{logits, ones({2, 2})}}, "weights of 2 positions for a source of 3");
  refuses({{logits, weights}, {logits, ones({2, 4})}}, "must be floats [2, 3]");
  refuses({{logits, weights}}, "the length -1", {3, -1});
  refuses({{logits, weights}}, "eos is -2", {3, 2}, {.eos = -2});
  refuses({{full({2, 4}, INFINITY), weights}}, "not finite");
  refuses({{full({2, 4}, -INFINITY), weights}}, "not finite");
}

TEST_CASE("lengths fit their batch, wherever they are given") {
  const Tensor source = tensor({1, 2, 3, 1, 2, 3}, {2, 3}), target = tensor({1, 2}, {2, 1});
  Generator generator(4);
  const nn::Seq2Seq recurrent(7, 6, {.embedding = 3, .hidden = 4}, generator);
  const nn::TransformerSeq2Seq transformer(7, 6, {.dim = 4, .heads = 2}, generator);
  const nn::GRU gru(2, 3);
  const nn::LSTM lstm(2, 3);
  const nn::RNN rnn(2, 3);
  const Tensor x = ones({2, 3, 2});
  const Scripted scripted;
  for (const auto& one : {std::pair(tensor({3}, {1}), "lengths must be int64 [2], not"),
                          std::pair(tensor({3, 3, 3}, {3}), "lengths must be int64 [2]"),
                          std::pair(tensor({3, 3}, {2, 1}), "lengths must be int64 [2]"),
                          std::pair(tensor({3.0, 2.0}, {2}), "lengths must be int64 [2]"),
                          std::pair(tensor({3, 4}, {2}), "a length of 4 is not within"),
                          std::pair(tensor({-1, 3}, {2}), "a length of -1 is not")}) {
    const Tensor& wrong = one.first;
    const char* const text = one.second;
    CHECK_ERROR(recurrent(source, wrong, target), text);
    CHECK_ERROR(transformer(source, wrong, target), text);
    CHECK_ERROR(nn::beam_search(recurrent, source, wrong), text);
    CHECK_ERROR(nn::beam_search(transformer, source, wrong), text);
    CHECK_ERROR(nn::beam_search(scripted, source, wrong), text);
    Generator other(1);
    CHECK_ERROR(nn::sample(scripted, source, wrong, {}, other), text);
    CHECK_ERROR(gru(x, {}, wrong), text);
    CHECK_ERROR(lstm(x, {}, wrong), text);
    CHECK_ERROR(rnn(x, {}, wrong), text);
  }
  CHECK_ERROR(length_mask(tensor({3, 4}, {2}), 3), "a length of 4");
  CHECK_ERROR(length_mask(tensor({3, -1}, {2}), 3), "a length of -1");
  CHECK_ERROR(length_mask(tensor({3, 1}, {2, 1}), 3), "int64 [batch]");
  CHECK_ERROR(length_mask(tensor({3}, {1}), -1), "steps 0 or more");
  const auto state = recurrent.encode(source);
  CHECK_ERROR(recurrent.step(state, tensor({1}, {1})), "ids of a step must be int64 [2]");
  CHECK_ERROR(transformer.step(transformer.encode(source), tensor({1}, {1})),
              "ids of a step must be int64 [2]");
}

// The likeliest token at each step, up to <eos> or 6 tokens, for each sentence.
std::vector<std::vector<int64_t>> greedy(const nn::Seq2Seq& model, const Tensor& source,
                                         const Tensor& lengths) {
  std::vector<std::vector<int64_t>> all(static_cast<size_t>(source.size(0)));
  nn::DecoderState state = model.encode(source, lengths);
  Tensor ids = ones({source.size(0)}, {.dtype = int64});  // <bos>
  std::vector<bool> ended(all.size(), false);
  for (int t = 0; t < 6; ++t) {
    const nn::DecoderStep step = model.step(state, ids);
    state = step.state;
    ids = argmax(step.logits, 1);
    const std::vector<int64_t> chosen = ids.to_vector<int64_t>();
    for (size_t b = 0; b < all.size(); ++b) {
      ended[b] = ended[b] || chosen[b] == 2;
      if (!ended[b]) all[b].push_back(chosen[b]);
    }
  }
  return all;
}

TEST_CASE("the encoder-decoder decodes: a beam of 1 is greedy, and padding changes nothing") {
  Generator generator(4);
  const nn::Seq2Seq model =
      patterned(nn::Seq2Seq(7, 6, {.embedding = 3, .hidden = 4, .score = "additive"}, generator));
  const Tensor source = tensor({4, 5, 2, 0, 3, 1, 6, 5}, {2, 4}), own = tensor({3, 4}, {2});
  const auto likeliest = greedy(model, source, own);
  const auto one = nn::beam_search(model, source, own, {.max_length = 6});
  const auto four = nn::beam_search(model, source, own, {.max_length = 6, .n_best = 3, .beam = 4});
  const auto alone = nn::beam_search(model, tensor({4, 5, 2}, {1, 3}), {},
                                     {.max_length = 6, .n_best = 3, .beam = 4});
  for (size_t b = 0; b < 2; ++b) {
    CHECK(one[b][0].ids == likeliest[b]);
    CHECK(four[b][0].score >= one[b][0].score - 1e-9);
  }
  for (size_t i = 0; i < 3; ++i) {
    CHECK(alone[0][i].ids == four[0][i].ids);
    CHECK(std::abs(alone[0][i].score - four[0][i].score) < 1e-12);
  }
}

TEST_SUITE_END();

}  // namespace

// Recurrent layers against PyTorch's numbers, cells against layers, padding against none.
#include "tests/errors.h"
#include "tests/nn/patterns.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("nn");

Tensor lengths_3_2() { return tensor({3, 2}, {2}); }

TEST_CASE("RNN gives PyTorch's numbers: two directions, lengths 3 and 2") {
  const nn::RNN layer = patterned(nn::RNN(2, 2, {.bidirectional = true}));
  Tensor x = waves({2, 3, 2}).set_requires_grad(true);
  const auto out = layer(x, {}, lengths_3_2());
  CHECK(largest_difference(out.output, {0.9129354288,
                                        0.805575818,
                                        -0.3621254552,
                                        -0.9607300781,
                                        0.5600331422,
                                        0.4577860796,
                                        -0.2678197206,
                                        -0.8990155653,
                                        0.4160455104,
                                        0.4987144368,
                                        -0.01152800089,
                                        -0.6022940368,
                                        0.2954606879,
                                        0.5846335657,
                                        0.1540876334,
                                        0.09092885693,
                                        -0.4496046109,
                                        0.2440370364,
                                        0.2724519189,
                                        0.2630228437,
                                        0,
                                        0,
                                        0,
                                        0}) < 1e-9);
  CHECK(largest_difference(out.hidden,
                           {0.4160455104, 0.4987144368, -0.4496046109, 0.2440370364, -0.3621254552,
                            -0.9607300781, 0.1540876334, 0.09092885693}) < 1e-9);
  sum(out.output * waves({2, 3, 4}, 5)).backward();
  CHECK(largest_difference(x.grad(), {0.1100763035, -0.1376527438, 0.3391115573, 0.441658858,
                                      -0.2279264342, 0.2255153163, -0.5970682211, -0.4168796115,
                                      -0.1152293686, -0.4753438213, 0, 0}) < 1e-9);
  CHECK(largest_difference(nn::named_parameters(layer).at("bias_hh_l0_reverse").grad(),
                           {-0.3553748067, 0.07993891665}) < 1e-9);
  const nn::RNN deep = patterned(nn::RNN(2, 2, {.layers = 2}));
  CHECK(largest_difference(deep(waves({2, 3, 2}), {}, lengths_3_2()).hidden,
                           {0.4160455104, 0.4987144368, -0.4496046109, 0.2440370364, -0.2468085535,
                            -0.8961986388, -0.1600752484, -0.6632781298}) < 1e-9);
}

TEST_CASE("GRU gives PyTorch's numbers: two directions, lengths 3 and 2") {
  const nn::GRU layer = patterned(nn::GRU(2, 2, {.bidirectional = true}));
  Tensor x = waves({2, 3, 2}).set_requires_grad(true);
  const auto out = layer(x, {}, lengths_3_2());
  CHECK(largest_difference(out.output, {0.555633285,
                                        0.5439329433,
                                        0.7496170645,
                                        0.6334552739,
                                        0.6676981204,
                                        0.6153139304,
                                        0.5870758822,
                                        0.5053302725,
                                        0.587057501,
                                        0.5317841066,
                                        0.2949567606,
                                        0.2764623786,
                                        0.09447013922,
                                        0.04633373176,
                                        0.06939411404,
                                        0.005155770316,
                                        0.03937783032,
                                        -0.07864314799,
                                        -0.03319336332,
                                        -0.1017909467,
                                        0,
                                        0,
                                        0,
                                        0}) < 1e-9);
  CHECK(largest_difference(out.hidden,
                           {0.587057501, 0.5317841066, 0.03937783032, -0.07864314799, 0.7496170645,
                            0.6334552739, 0.06939411404, 0.005155770316}) < 1e-9);
  sum(out.output * waves({2, 3, 4}, 5)).backward();
  CHECK(largest_difference(x.grad(), {0.2815784884, 0.3707706889, -0.2261509665, -0.2009985663,
                                      -0.5860829723, -0.6700915166, -0.1263858522, -0.22991391,
                                      0.2709681328, 0.2934030163, 0, 0}) < 1e-9);
  CHECK(largest_difference(nn::named_parameters(layer).at("bias_hh_l0_reverse").grad(),
                           {0.01662661821, -0.01048417147, 0.1406146593, 0.2275085591,
                            -0.1435457483, -0.08401847017}) < 1e-9);
  const nn::GRU deep = patterned(nn::GRU(2, 2, {.layers = 2}));
  CHECK(largest_difference(deep(waves({2, 3, 2}), {}, lengths_3_2()).hidden,
                           {0.587057501, 0.5317841066, 0.03937783032, -0.07864314799, 0.668145276,
                            0.5417130733, 0.3435177809, 0.2405222519}) < 1e-9);
}

TEST_CASE("LSTM gives PyTorch's numbers: two directions, lengths 3 and 2") {
  const nn::LSTM layer = patterned(nn::LSTM(2, 2, {.bidirectional = true}));
  Tensor x = waves({2, 3, 2}).set_requires_grad(true);
  const auto out = layer(x, {}, lengths_3_2());
  CHECK(largest_difference(out.output, {0.2532753774,
                                        0.1150256503,
                                        0.07772923165,
                                        -0.3170177046,
                                        0.2782557211,
                                        0.1761939062,
                                        0.06439622768,
                                        -0.2212538182,
                                        0.2261254044,
                                        0.2353875092,
                                        0.0422175762,
                                        -0.0974387348,
                                        0.06113875872,
                                        0.09885305648,
                                        0.03732721139,
                                        0.01444650722,
                                        0.04431846752,
                                        0.1236900977,
                                        0.00544116638,
                                        0.04064823863,
                                        0,
                                        0,
                                        0,
                                        0}) < 1e-9);
  CHECK(largest_difference(out.hidden,
                           {0.2261254044, 0.2353875092, 0.04431846752, 0.1236900977, 0.07772923165,
                            -0.3170177046, 0.03732721139, 0.01444650722}) < 1e-9);
  CHECK(largest_difference(out.cell, {0.3219938809, 0.5034850113, 0.0586181667, 0.1700139682,
                                      0.3897858678, -0.9314463237, 0.1148433781, 0.0615914532}) <
        1e-9);
  sum(out.output * waves({2, 3, 4}, 5)).backward();
  CHECK(largest_difference(x.grad(), {0.02259282565, -0.01784385295, 0.01310745313, 0.03353970939,
                                      0.01985044948, 0.09498347189, -0.04090431679, -0.04203289542,
                                      0.04406649304, -0.02180034799, 0, 0}) < 1e-9);
  CHECK(largest_difference(nn::named_parameters(layer).at("bias_hh_l0_reverse").grad(),
                           {-0.009733627739, 0.04990743283, 0.007342493502, -0.002809140725,
                            0.02085100208, -0.03718393836, -0.01420372701, 0.1039621234}) < 1e-9);
  const nn::LSTM deep = patterned(nn::LSTM(2, 2, {.layers = 2}));
  CHECK(largest_difference(deep(waves({2, 3, 2}), {}, lengths_3_2()).hidden,
                           {0.2261254044, 0.2353875092, 0.04431846752, 0.1236900977, 0.07796828366,
                            -0.2008276978, 0.05439890985, -0.1398974772}) < 1e-9);
}

std::vector<std::string> names_of(const nn::NamedTensors& tensors) {
  std::vector<std::string> names;
  for (const auto& [name, value] : tensors) names.push_back(name);
  return names;
}

TEST_CASE("parameters have PyTorch's names and order") {
  const nn::GRU gru(3, 4, {.layers = 2, .bidirectional = true});
  const std::vector<std::string> names = names_of(nn::named_parameters(gru));
  REQUIRE(names.size() == 16);
  CHECK(names[0] == "weight_ih_l0");
  CHECK(names[3] == "bias_hh_l0");
  CHECK(names[4] == "weight_ih_l0_reverse");
  CHECK(names[8] == "weight_ih_l1");
  CHECK(names[15] == "bias_hh_l1_reverse");
  CHECK(nn::named_parameters(gru).at("weight_ih_l1").shape() == Shape{12, 8});
  CHECK(names_of(nn::named_parameters(nn::LSTMCell(3, 4, {.bias = false}))) ==
        std::vector<std::string>{"weight_ih", "weight_hh"});
}

// The result for a sequence must be that of the sequence alone, however much padding follows it.
template <class Layer>
void check_padding(const nn::RecurrentOptions& options) {
  const Layer layer = patterned(Layer(2, 3, options));
  const Tensor x = waves({3, 5, 2});
  const std::vector<int64_t> lengths = {5, 2, 0};
  Tensor poisoned = x.clone();
  for (int64_t b = 0; b < 3; ++b) {
    const int64_t length = lengths[static_cast<size_t>(b)];
    narrow(select(poisoned, 0, b), 0, length, 5 - length).fill_(1e6);
  }
  poisoned.set_requires_grad(true);
  const auto all = layer(poisoned, {}, tensor(lengths, {3}));
  for (int64_t b = 0; b < 3; ++b) {
    const int64_t length = lengths[static_cast<size_t>(b)];
    const auto alone = layer(narrow(narrow(x, 0, b, 1), 1, 0, length));
    CHECK(largest_difference(narrow(narrow(all.output, 0, b, 1), 1, 0, length), alone.output) <
          1e-12);
    CHECK(largest_difference(narrow(all.hidden, 1, b, 1), alone.hidden) < 1e-12);
    if (length < 5) {
      const Tensor padding = narrow(select(all.output, 0, b), 0, length, 5 - length);
      CHECK(max(abs(padding)).template item<double>() == 0);
    }
  }
  (sum(square(all.output)) + sum(all.hidden)).backward();
  CHECK(all_finite(poisoned.grad()));
  CHECK(max(abs(narrow(select(poisoned.grad(), 0, 1), 0, 2, 3))).template item<double>() == 0);
}

TEST_CASE("padding never changes a result") {
  for (const bool both : {false, true}) {
    const nn::RecurrentOptions options = {.layers = 2, .bidirectional = both};
    check_padding<nn::RNN>(options);
    check_padding<nn::GRU>(options);
    check_padding<nn::LSTM>(options);
  }
}

TEST_CASE("a cell repeated is a layer") {
  const nn::GRU gru = patterned(nn::GRU(2, 3));
  const nn::GRUCell gru_cell = patterned(nn::GRUCell(2, 3));
  const nn::LSTM lstm = patterned(nn::LSTM(2, 3));
  const nn::LSTMCell lstm_cell = patterned(nn::LSTMCell(2, 3));
  const nn::RNN rnn = patterned(nn::RNN(2, 3, {.relu = true}));
  const nn::RNNCell rnn_cell = patterned(nn::RNNCell(2, 3, {.relu = true}));
  const Tensor x = waves({2, 4, 2});
  Tensor g, r;
  nn::LSTMState l;
  for (int64_t t = 0; t < 4; ++t) {
    g = gru_cell(select(x, 1, t), g);
    r = rnn_cell(select(x, 1, t), r);
    l = lstm_cell(select(x, 1, t), l);
  }
  CHECK(largest_difference(select(gru(x).hidden, 0, 0), g) < 1e-12);
  CHECK(largest_difference(select(rnn(x).hidden, 0, 0), r) < 1e-12);
  CHECK(largest_difference(select(lstm(x).hidden, 0, 0), l.hidden) < 1e-12);
  CHECK(largest_difference(select(lstm(x).cell, 0, 0), l.cell) < 1e-12);
}

TEST_CASE("the first state, time first, and no steps at all") {
  const nn::GRU gru = patterned(nn::GRU(2, 3));
  const nn::GRU time_first = patterned(nn::GRU(2, 3, {.batch_first = false}));
  const Tensor x = waves({2, 4, 2});
  const auto whole = gru(x);
  const auto start = gru(narrow(x, 1, 0, 2));
  const auto rest = gru(narrow(x, 1, 2, 2), start.hidden);
  CHECK(largest_difference(rest.hidden, whole.hidden) < 1e-12);
  CHECK(largest_difference(transpose(time_first(transpose(x, 0, 1)).output, 0, 1), whole.output) <
        1e-12);
  const auto none = gru(narrow(x, 1, 0, 0), start.hidden);
  CHECK(none.output.shape() == Shape{2, 0, 3});
  CHECK(largest_difference(none.hidden, start.hidden) == 0);
}

TEST_CASE("wrong arguments of recurrent layers are named") {
  const nn::GRU gru(2, 3);
  CHECK_ERROR(gru(zeros({4, 2})), "GRU: the input must be [batch, time, 2], not [4, 2]");
  CHECK_ERROR(gru(zeros({1, 4, 3})), "not [1, 4, 3]");
  CHECK_ERROR(gru(zeros({1, 4, 2}), zeros({1, 3})), "[1, 1, 3]");
  CHECK_ERROR(gru(zeros({1, 4, 2}), {}, tensor({5}, {1})), "a length of 5");
  CHECK_ERROR(gru(zeros({1, 4, 2}), {}, zeros({1})), "int64 [1]");
  CHECK_ERROR(nn::GRU(2, 0), "above 0");
  CHECK_ERROR(nn::LSTMCell(2, 3)(zeros({1, 3})), "[batch, 2]");
  CHECK_ERROR(nn::LSTM(2, 3)(zeros({1, 4, 2}), {zeros({1, 1, 3}), {}}), "hidden and cell together");
}

TEST_CASE("a sequence in two parts, the state carried over, is the sequence") {
  Generator generator(9);
  const nn::LSTM lstm(2, 3, {.layers = 2}, generator);
  const Tensor x = randn({2, 7, 2}, generator);
  const auto whole = lstm(x), start = lstm(slice(x, 1, 0, 4));
  const auto rest = lstm(slice(x, 1, 4, 7), start.state());
  CHECK(largest_difference(concat({start.output, rest.output}, 1), whole.output) == 0);
  CHECK(largest_difference(rest.cell, whole.cell) == 0);
}

TEST_SUITE_END();

}  // namespace

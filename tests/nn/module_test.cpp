// visit() and what follows from it: names, counting, checkpoints in memory, copies, moving.
#include <algorithm>

#include "tests/errors.h"
#include "tests/nn/patterns.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("nn");

struct Inner {
  nn::Linear query{48, 64};
  Tensor operator()(const Tensor& x) const { return query(x); }
  void visit(auto&& each) { each("query", query); }
};

struct Outer {
  Inner attention;
  std::vector<nn::Linear> stack{nn::Linear(2, 2), nn::Linear(2, 3)};
  std::optional<nn::Linear> extra;
  nn::Sequential tail{nn::Linear(3, 2), nn::ReLU(), nn::Dropout(0.5),
                      [](const Tensor& x) { return x * 2.0; }};
  nn::ScoreFunction score = nn::GeneralScore(4);
  Tensor scale = ones({1}, {.requires_grad = true});
  void visit(auto&& each) {
    each("attention", attention);
    each("stack", stack);
    each("extra", extra);
    each("tail", tail);
    each("score", score);
    each("scale", scale);
  }
};

struct Model {
  Outer decoder;
  void visit(auto&& each) { each("decoder", decoder); }
};

std::vector<std::string> names_of(const nn::NamedTensors& tensors) {
  std::vector<std::string> names;
  for (const auto& [name, value] : tensors) names.push_back(name);
  return names;
}

TEST_CASE("names come from visit, in its order, through every kind of member") {
  Model model;
  CHECK(names_of(nn::named_parameters(model)) ==
        std::vector<std::string>{"decoder.attention.query.weight", "decoder.attention.query.bias",
                                 "decoder.stack.0.weight", "decoder.stack.0.bias",
                                 "decoder.stack.1.weight", "decoder.stack.1.bias",
                                 "decoder.tail.0.weight", "decoder.tail.0.bias",
                                 "decoder.score.linear.weight", "decoder.scale"});
  CHECK(nn::num_parameters(model) == 48 * 64 + 64 + 6 + 9 + 8 + 16 + 1);
  CHECK(nn::parameters(model).size() == 10);
  model.decoder.extra.emplace(1, 1);
  CHECK(nn::named_parameters(model).contains("decoder.extra.bias"));
  CHECK(nn::str(model).find("decoder.scale") != std::string::npos);
}

TEST_CASE("errors call a parameter by its dotted name") {
  Model model;
  nn::parameters(model.decoder.attention);
  nn::parameters(model);
  nn::num_parameters(model.decoder);  // a part of the model does not shorten the name
  CHECK_ERROR(model.decoder.attention(zeros({4, 7, 32})),
              "linear: input [4, 7, 32] has 32 features, decoder.attention.query.weight [64, 48]");
  CHECK_ERROR(model.decoder.attention(zeros({4, 7, 32})), "takes 48");
}

TEST_CASE("a copy shares its parameters, a clone does not") {
  nn::Linear first(2, 2);
  nn::parameters(first);
  const nn::Linear shared = first;
  const nn::Linear separate = nn::clone(first);
  nn::init::zeros_(first.weight);
  CHECK(sum(abs(shared.weight)).item<double>() == 0);
  CHECK(sum(abs(separate.weight)).item<double>() > 0);
  CHECK(separate.weight.requires_grad());
  CHECK(separate.weight.name() == "weight");
}

struct Tied {
  nn::Linear in{3, 3}, out{3, 3};
  Tied() { out.weight = in.weight; }
  void visit(auto&& each) {
    each("in", in);
    each("out", out);
  }
};

TEST_CASE("a parameter used twice counts once and stays one through clone and to") {
  Tied model;
  CHECK(nn::parameters(model).size() == 3);
  CHECK(nn::state_dict(model).size() == 4);
  Tied copy = nn::clone(model);
  CHECK(copy.in.weight.shares_body(copy.out.weight));
  nn::to(copy, float64);
  CHECK(copy.in.weight.shares_body(copy.out.weight));
  CHECK(copy.in.weight.dtype() == float64);
  CHECK(copy.in.weight.requires_grad());
  CHECK(copy.in.weight.is_leaf());
  CHECK(model.in.weight.dtype() == float32);
}

struct Named {
  Tensor one = ones({2, 2}, {.requires_grad = true}), also = one, other = zeros({2, 2});
  void visit(auto&& each) {
    each("one", one);
    each("also", also);
    each("other", other);
  }
};

TEST_CASE("a parameter of two names takes one value: copies that differ are an error") {
  Named model;
  nn::NamedTensors state = nn::state_dict(model);
  for (auto& [name, value] : state) value = full({2, 2}, 5);
  nn::load_state_dict(model, state);
  CHECK(model.one.to_vector<float>() == std::vector<float>(4, 5));
  state["also"] = tensor({7.0f, 7.0f, 7.0f, 8.0f}, {2, 2});
  state["one"] = full({2, 2}, 7);
  CHECK_ERROR(nn::load_state_dict(model, state), "one and also are one parameter");
  CHECK(model.one.to_vector<float>() == std::vector<float>(4, 5));
  state["also"] = transpose(full({2, 2}, 7));
  nn::load_state_dict(model, state);
  CHECK(model.one.to_vector<float>() == std::vector<float>(4, 7));
}

TEST_CASE("parameters that are each other's state change places") {
  Named model;
  nn::NamedTensors state = nn::state_dict(model);
  std::swap(state["one"], state["other"]);
  state["also"] = state["one"];
  nn::load_state_dict(model, state);
  CHECK(model.one.to_vector<float>() == std::vector<float>(4, 0));
  CHECK(model.other.to_vector<float>() == std::vector<float>(4, 1));
}

TEST_CASE("state_dict and load_state_dict") {
  nn::Linear from(3, 2), to(3, 2);
  const nn::NamedTensors state = nn::state_dict(from);
  CHECK_FALSE(state.at("weight").requires_grad());
  const Tensor before = to.weight;
  nn::load_state_dict(to, state);
  CHECK(to.weight.shares_body(before));  // in place: an optimiser still holds the same tensor
  CHECK(largest_difference(to.weight, from.weight) == 0);
  CHECK(largest_difference(to.bias, from.bias) == 0);
}

TEST_CASE("one error lists everything that does not fit, and nothing is changed") {
  Tied model;
  const auto before = nn::clone(model);
  nn::NamedTensors state = nn::state_dict(nn::clone(model));
  for (auto& [name, value] : state) value = value + 1.0;
  state["in.bias"] = zeros({4});
  state["out.bias"] = zeros({3}, {.dtype = float64});
  state["more.weight"] = zeros({1});
  state.erase(std::find_if(state.begin(), state.end(),
                           [](const auto& entry) { return entry.first == "in.weight"; }));
  const std::string text = error_of([&] { nn::load_state_dict(model, state); });
  CHECK(text.find("missing: in.weight [3, 3] float32") != std::string::npos);
  CHECK(text.find("wrong shape: in.bias is [4], the model has [3]") != std::string::npos);
  CHECK(text.find("wrong dtype: out.bias is float64, the model has float32") != std::string::npos);
  CHECK(text.find("not in the model: more.weight") != std::string::npos);
  CHECK(largest_difference(model.in.weight, before.in.weight) == 0);
  CHECK(largest_difference(model.out.bias, before.out.bias) == 0);
  CHECK_ERROR(state.at("nowhere"), "nowhere");
}

struct Twice {
  nn::Linear first{2, 3}, second{2, 3};
  void visit(auto&& each) {
    each("layer", first);
    each("layer", second);
  }
};

TEST_CASE("two members of one name are an error") {
  CHECK_ERROR(nn::parameters(Twice()), "two parameters are called \"layer.weight\"");
}

TEST_CASE("train and eval reach every dropout") {
  Outer model;
  nn::eval(model);
  Generator generator(3);
  const Tensor x = rand({4, 3}, generator);
  CHECK(largest_difference(model.tail(x), model.tail(x)) == 0);
  nn::train(model);
  const Tensor a = model.tail(ones({64, 3})), b = model.tail(ones({64, 3}));
  CHECK(largest_difference(a, b) > 0);
  CHECK(nn::named_generators(model).size() == 1);
}

TEST_CASE("gradients reach parameters through a model, and zero_grad removes them") {
  nn::Sequential model(nn::Linear(2, 8), nn::Tanh(), nn::Linear(8, 1));
  sum(model(ones({3, 2}))).backward();
  for (const Tensor& parameter : nn::parameters(model)) CHECK(parameter.grad().defined());
  nn::zero_grad(model);
  for (const Tensor& parameter : nn::parameters(model)) CHECK_FALSE(parameter.grad().defined());
  nn::Sequential copy = nn::clone(model);
  nn::init::zeros_(nn::parameters(copy)[0]);
  CHECK(sum(abs(nn::parameters(model)[0])).item<double>() > 0);
}

TEST_SUITE_END();

}  // namespace

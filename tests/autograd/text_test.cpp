#include "autograd/text.h"

#include <doctest/doctest.h>

#include <limits>

#include "autograd/error.h"
#include "nn/checkpoint.h"
#include "nn/module.h"
#include "ops/ops.h"
#include "optim/optim.h"

namespace regrad::nn {
namespace {

struct OneWeight {
  Tensor weight = zeros({2}, {.requires_grad = true});
  void visit(auto&& each) { each("weight", weight); }
};

std::string message(auto&& fails) {
  try {
    fails();
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

bool is_harmless(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const size_t length = code_point_length(text, i);
    const char32_t c = code_point_value(text.substr(i, length));
    if (length == 0 || (c < 0x20 && c != '\n') || (c >= 0x7F && c < 0xA0)) return false;
    if (c >= 0x202A && c <= 0x202E) return false;
    i += length;
  }
  return true;
}

}  // namespace

TEST_SUITE_BEGIN("autograd");

TEST_CASE("text: what a terminal would obey is written out, all else is as it was") {
  CHECK(printable("a\x1b[2J\x07\n\t\x7f") == "a\\x1b[2J\\x07\\x0a\\x09\\x7f");
  CHECK(printable(std::string_view("\0", 1)) == "\\x00");
  CHECK(printable("\u009b31m\u0085\u202eabc\u2066\u2028\u061c\u200f\ufeff") ==
        "\\u009b31m\\u0085\\u202eabc\\u2066\\u2028\\u061c\\u200f\\ufeff");
  CHECK(printable("\x9b\xff\xc3 \xed\xa0\x80") == "\\x9b\\xff\\xc3 \\xed\\xa0\\x80");
  const std::string plain =
      "José, Привет, 你好, שלום, नमस्ते, 🏳️‍🌈, a\\x1b";
  CHECK(printable(plain) == plain);
  for (int first = 0; first < 256; ++first) {
    for (int second = 0; second < 256; ++second) {
      const char bytes[] = {static_cast<char>(first), static_cast<char>(second), '\x98', 'x'};
      CAPTURE(first);
      CAPTURE(second);
      CHECK(is_harmless(printable({bytes, 4})));
    }
  }
}

TEST_CASE("text: what is quoted is cut between characters") {
  CHECK(shortened("abc", 3) == "abc");
  CHECK(shortened("abcd", 3) == "abc..");
  CHECK(shortened("ab\u00e9", 3) == "ab..");
  CHECK(shortened(std::string(1 << 20, '\x1b')).size() == 80 * 4 + 2);
}

TEST_CASE("text: an error lists the first of many, and counts the others") {
  NamedTensors state;
  for (int i = 0; i < 3000; ++i) state.emplace_back("x" + std::to_string(i), zeros({1}));
  state.emplace_back(std::string(100000, 'y') + "\x1b]0;title\x07", zeros({1}));
  OneWeight model;
  const std::string said = message([&] { load_state_dict(model, state); });
  CHECK(said.size() < 2500);
  CHECK(said.find("missing: weight [2] float32") != said.npos);
  CHECK(said.ends_with("\n  and 2972 more"));

  optim::Adam adam(parameters(model), {});
  const std::string of_optimiser = message([&] { adam.load_state_dict(state); });
  CHECK(of_optimiser.size() < 2500);
  CHECK(of_optimiser.find(" more") != of_optimiser.npos);
}

TEST_CASE("text: no name in an error reaches a terminal as a command") {
  const std::string name = "a\x1b[31m\u202e\xff\r\nb";
  OneWeight model;
  const NamedTensors state{{"weight", zeros({2})}, {name, zeros({1})}};
  CHECK(is_harmless(message([&] { load_state_dict(model, state); })));
  CHECK(is_harmless(message([&] {
    load_state_dict(model, {{name, zeros({1})}, {name, zeros({1})}});
  })));
  CHECK(is_harmless(message([&] { state.at(name + "c"); })));
  CHECK(is_harmless(message([&] { load_safetensors("/nowhere/" + name); })));
  CHECK(is_harmless(message([&] { save_npy("/nowhere/" + name, zeros({1})); })));
  optim::SGD sgd(parameters(model), {.lr = 1});
  CHECK(is_harmless(message([&] { sgd.load_state_dict(state); })));
}

TEST_CASE("a NaN is shown without its sign, which says nothing") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(short_number(-nan) == "nan");
  CHECK(short_number(1.0 / 3) == "0.3333");
  CHECK(short_number(-std::numeric_limits<double>::infinity()) == "-inf");
}

TEST_SUITE_END();

}  // namespace regrad::nn

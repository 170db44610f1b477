// Transformer layers against PyTorch's numbers; positions.
#include "tests/errors.h"
#include "tests/nn/patterns.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("nn");

TEST_CASE("the encoder layer gives PyTorch's numbers") {
  const Tensor x = waves({1, 2, 4});
  nn::TransformerOptions options = {.feedforward = 3, .dropout = 0};
  CHECK(largest_difference(patterned(nn::TransformerEncoderLayer(4, 2, options))(x),
                           {-0.7154489774, -0.1061552162, -0.2889244024, 0.6465847128,
                            -0.7827952656, -0.1256648019, -0.1581471998, 0.452458152}) < 1e-9);
  options.norm_first = true;
  options.gelu = true;
  CHECK(largest_difference(patterned(nn::TransformerEncoderLayer(4, 2, options))(x),
                           {0.476405253, 1.192561897, 0.8178291451, 0.690516366, -0.2871915396,
                            0.425129052, -0.2270683993, -0.5607989064}) < 1e-9);
}

TEST_CASE("the decoder layer gives PyTorch's numbers") {
  const Tensor x = waves({1, 2, 4}), memory = waves({1, 3, 4}, 3);
  nn::TransformerOptions options = {.feedforward = 3, .dropout = 0};
  CHECK(largest_difference(patterned(nn::TransformerDecoderLayer(4, 2, options))(x, memory),
                           {-1.153964947, -0.3954291567, -0.08848246198, 0.01738110006,
                            -1.181515577, -0.3798760121, -0.100241427, 0.002498999583}) < 1e-9);
  options.norm_first = true;
  CHECK(largest_difference(patterned(nn::TransformerDecoderLayer(4, 2, options))(x, memory),
                           {-0.3657881631, 1.004930093, 0.1355907011, 0.5748177305, -1.033130695,
                            0.1358536156, -0.9067019214, -0.5763118144}) < 1e-9);
}

TEST_CASE("parameters of transformer layers have PyTorch's names") {
  std::string names;
  const nn::TransformerDecoderLayer layer(4, 2);
  for (const auto& [name, value] : nn::named_parameters(layer)) names += name + " ";
  CHECK(names ==
        "self_attn.in_proj_weight self_attn.in_proj_bias self_attn.out_proj.weight "
        "self_attn.out_proj.bias multihead_attn.in_proj_weight multihead_attn.in_proj_bias "
        "multihead_attn.out_proj.weight multihead_attn.out_proj.bias linear1.weight linear1.bias "
        "linear2.weight linear2.bias norm1.weight norm1.bias norm2.weight norm2.bias norm3.weight "
        "norm3.bias ");
}

TEST_CASE("dropout is off in evaluation, and on in training") {
  nn::TransformerEncoderLayer layer(4, 2, {.feedforward = 8, .dropout = 0.5});
  const Tensor x = ones({1, 3, 4});
  CHECK(largest_difference(layer(x), layer(x)) > 0);
  nn::eval(layer);
  CHECK(largest_difference(layer(x), layer(x)) == 0);
}

TEST_CASE("sinusoidal positions") {
  const Tensor p = nn::sinusoidal_positions(3, 5, {.dtype = float64});
  CHECK(largest_difference(select(p, 0, 0), {0, 1, 0, 1, 0}) == 0);
  const double slow = 2 / std::pow(10000, 0.4), slower = 2 / std::pow(10000, 0.8);
  CHECK(largest_difference(select(p, 0, 2), {std::sin(2), std::cos(2), std::sin(slow),
                                             std::cos(slow), std::sin(slower)}) < 1e-15);
  const nn::PositionalEncoding encoding(0);
  CHECK(largest_difference(encoding(zeros({2, 3, 5})), expand(unsqueeze(p, 0), {2, 3, 5})) < 1e-6);
}

TEST_SUITE_END();

}  // namespace

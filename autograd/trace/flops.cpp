#include "autograd/trace/flops.h"

#include <string_view>
#include <unordered_map>

namespace regrad {
namespace {

struct Shapes {
  const std::vector<Shape>& inputs;
  const Shape& output;
  // The size of dimension d of input i, d counted from the last, -1; 0 where there is none.
  int64_t size(size_t i, int64_t d) const {
    if (i >= inputs.size() || inputs[i].rank() + d < 0) return 0;
    return inputs[i][inputs[i].rank() + d];
  }
  Shape input(size_t i) const { return i < inputs.size() ? inputs[i] : Shape(); }
  int64_t elements(size_t i) const { return i < inputs.size() ? inputs[i].numel() : 0; }
};

int64_t product(int64_t a, int64_t b) {
  int64_t result = 0;
  return __builtin_mul_overflow(a, b, &result) ? INT64_MAX : result;
}

int64_t total(int64_t a, int64_t b) {
  int64_t result = 0;
  return __builtin_add_overflow(a, b, &result) ? INT64_MAX : result;
}

template <int64_t each>
int64_t per_result(const Shapes& op) {
  return product(each, op.output.numel());
}

template <int64_t each>
int64_t per_input(const Shapes& op) {
  return product(each, op.elements(0));
}

// For each element of the result, `each` for every element of a row of the first input: with 2, a
// [.., m, k] b -> [.., m, n], whatever the batch.
template <int64_t each>
int64_t per_term(const Shapes& op) {
  return product(product(each, op.size(0, -1)), op.output.numel());
}

// q [.., t, d], k [.., s, d] -> [.., t, e]: q kᵀ, a softmax of the scores, and their product with
// v.
int64_t attention(const Shapes& op) {
  const int64_t depth = op.size(0, -1), keys = op.size(1, -2),
                width = op.output.rank() > 0 ? op.output.back() : 0;
  if (depth == 0) return 0;
  const int64_t scores = product(op.elements(0) / depth, keys);
  return product(scores, total(product(2, total(depth, width)), 5));
}

// x [t, b, i], hidden [b, h]: `gates` products of each with a weight, and the rest of the cell.
template <int64_t gates, int64_t cell>
int64_t recurrent(const Shapes& op) {
  const int64_t in = op.size(0, -1), size = op.size(1, -1);
  const int64_t states = product(product(op.size(0, -3), op.size(0, -2)), size);
  return product(states, total(product(2 * gates, total(in, size)), cell));
}

// Two for each place of `places` and tap of one filter of a weight [filters, .., kh, kw].
int64_t convolution(int64_t places, const Shape& weight) {
  if (weight.rank() == 0 || weight.numel() == 0) return 0;
  return product(product(2, places), weight.numel() / weight[0]);
}

using Rule = int64_t (*)(const Shapes&);

constexpr const char* one_per_result[] = {"add",
                                          "sub",
                                          "mul",
                                          "div",
                                          "maximum",
                                          "minimum",
                                          "pow",
                                          "where",
                                          "neg",
                                          "abs",
                                          "exp",
                                          "log",
                                          "sqrt",
                                          "rsqrt",
                                          "square",
                                          "reciprocal",
                                          "sin",
                                          "cos",
                                          "tanh",
                                          "sigmoid",
                                          "relu",
                                          "gelu",
                                          "silu",
                                          "softplus",
                                          "erf",
                                          "clamp",
                                          "dropout",
                                          "slope",
                                          "curvature",
                                          "binary_cross_entropy_with_logits",
                                          "logistic_slope",
                                          "floor",
                                          "round",
                                          "sign",
                                          "log1p",
                                          "expm1",
                                          "leaky_relu",
                                          "elu",
                                          "hardtanh",
                                          "mish",
                                          "cumsum",
                                          "binary_cross_entropy"};
constexpr const char* one_per_input[] = {"sum", "prod",       "norm",      "max",
                                         "min", "max_pool2d", "index_add", "scatter_add"};
constexpr const char* free_of_charge[] = {
    "reshape",  "transpose", "permute", "squeeze", "unsqueeze", "expand", "slice",
    "diagonal", "embed",     "concat",  "flip",    "pad",       "gather", "index_select",
    "clone",    "to",        "detach",  "input",   "checkpoint"};

const std::unordered_map<std::string_view, Rule>& rules() {
  static const std::unordered_map<std::string_view, Rule> all = [] {
    std::unordered_map<std::string_view, Rule> table = {
        {"matmul", per_term<2>},
        {"linear", per_term<2>},
        {"additive_scores", per_term<4>},
        {"squared_distance", per_term<3>},
        {"scaled_dot_product_attention", attention},
        {"gru_sequence", recurrent<3, 10>},
        {"lstm_sequence", recurrent<4, 9>},
        {"gru_step", per_result<10>},
        {"lstm_step", [](const Shapes& op) { return product(9, op.elements(1)); }},
        {"softmax", per_result<5>},
        {"log_softmax", per_result<5>},
        {"masked_softmax", per_result<5>},
        {"layer_norm", per_result<7>},
        {"cross_entropy", per_input<4>},
        {"logsumexp", per_input<4>},
        {"rms_norm", per_result<5>},
        {"conv2d", [](const Shapes& op) { return convolution(op.output.numel(), op.input(1)); }},
        {"conv_transpose2d",
         [](const Shapes& op) { return convolution(op.elements(0), op.input(1)); }},
        {"conv2d_weight", [](const Shapes& op) { return convolution(op.elements(1), op.output); }},
    };
    for (const char* name : one_per_result) table[name] = per_result<1>;
    for (const char* name : one_per_input) table[name] = per_input<1>;
    for (const char* name : free_of_charge) table[name] = per_result<0>;
    return table;
  }();
  return all;
}

}  // namespace

int64_t flops(const char* name, const std::vector<Shape>& inputs, const Shape& output) {
  const auto rule = rules().find(name);
  return rule == rules().end() ? 0 : rule->second({inputs, output});
}

}  // namespace regrad

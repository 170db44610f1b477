// What wrong arguments are told: the op, what was given, what must hold.
#include "tests/ops/case.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("ops");

Tensor f(const Shape& shape) { return zeros(shape); }
Tensor d(const Shape& shape) { return zeros(shape, {.dtype = float64}); }
Tensor i(const Shape& shape) { return zeros(shape, {.dtype = int64}); }
Tensor b(const Shape& shape) { return zeros(shape, {.dtype = bool_}); }

TEST_CASE("shapes that do not broadcast") {
  const Tensor x = f({2, 3}), y = f({4});
  CHECK_ERROR(add(x, y), "add: ");
  const std::pair<const char*, std::function<Tensor()>> calls[] = {
      {"add", [&] { return x + y; }},
      {"sub", [&] { return x - y; }},
      {"mul", [&] { return x * y; }},
      {"div", [&] { return x / y; }},
      {"maximum", [&] { return maximum(x, y); }},
      {"minimum", [&] { return minimum(x, y); }},
      {"pow", [&] { return pow(x, y); }},
      {"eq", [&] { return x == y; }},
      {"lt", [&] { return x < y; }},
      {"where", [&] { return where(x > 0, x, y); }},
      {"masked_fill", [&] { return masked_fill(x, b({4}), 0); }},
      {"masked_softmax", [&] { return masked_softmax(x, b({4}), 1); }},
  };
  for (const auto& one : calls) {
    const auto& op = one.first;
    const std::string text = error_of(one.second);
    INFO(op, " said: ", text);
    CHECK(text.starts_with(std::string(op) + ": "));
    CHECK(text.find("[2, 3]") != std::string::npos);
    CHECK(text.find("[4]") != std::string::npos);
  }
}

TEST_CASE("two kinds of float") {
  const Tensor x = f({2, 2}), y = d({2, 3});
  const std::pair<const char*, std::function<Tensor()>> calls[] = {
      {"add", [&] { return x + y; }},
      {"matmul", [&] { return matmul(x, y); }},
      {"bmm",
       [&] {
         return bmm(f({1, 2, 2}), d({1, 2, 3}));
       }},
      {"linear",
       [&] {
         return linear(x, d({3, 2}));
       }},
      {"concat",
       [&] {
         return concat({x, y});
       }},
      {"layer_norm", [&] { return layer_norm(x, d({2})); }},
      {"scatter_add",
       [&] {
         return scatter_add(x, 0, i({1, 1}), y);
       }},
      {"einsum",
       [&] {
         return einsum("ij,jk->ik", {x, y});
       }},
  };
  for (const auto& one : calls) {
    const auto& op = one.first;
    const std::string text = error_of(one.second);
    INFO(op, " said: ", text);
    CHECK(text.starts_with(std::string(op) + ": "));
    CHECK(text.find("float32") != std::string::npos);
    CHECK(text.find("float64") != std::string::npos);
    CHECK(text.find("; convert the ") != std::string::npos);
  }
}

TEST_CASE("of a number and an index, the index is to be converted") {
  CHECK_ERROR(
      bmm(i({2, 3, 3}), f({2, 3, 3})),
      "bmm: [2, 3, 3] is int64 and [2, 3, 3] is float32; convert the first with to(float32)");
  CHECK_ERROR(bmm(f({2, 3, 3}), i({2, 3, 3})), "; convert the second with to(float32)");
  CHECK_ERROR(cross_entropy(f({2, 5, 3}), i({2, 5})),
              "scores [2, 5, 3], with the classes in dimension 1, need targets of shape [2, 3]");
  CHECK_ERROR(cross_entropy(f({2, 5, 3}), i({2, 5})), "flatten() both");
  CHECK_ERROR(nll_loss(f({2, 5}), f({2, 5})), "argmax(t, 1)");
}

TEST_CASE("of a parameter and another float dtype, the parameter stays as it is") {
  const Tensor weight = f({5, 3}).set_requires_grad(true);
  CHECK_ERROR(linear(d({2, 3}), weight), "; convert the first with to(float32)");
  CHECK_ERROR(mul(weight, d({5, 3})), "; convert the second with to(float32)");
  CHECK_ERROR(linear(d({2, 3}), f({5, 3})), "; convert the second with to(float64)");
}

TEST_CASE("dtypes that an op does not take") {
  CHECK_ERROR(softmax(i({2}), 0),
              "softmax: takes float32 or float64, not int64; convert with to(float32)");
  CHECK_ERROR(log_softmax(i({2}), 0), "log_softmax: takes float32 or float64, not int64");
  CHECK_ERROR(logsumexp(i({2})), "logsumexp: takes float32 or float64, not int64");
  CHECK_ERROR(layer_norm(i({2})), "layer_norm: takes float32 or float64, not int64");
  CHECK_ERROR(matmul(b({2, 2}), b({2, 2})), "matmul: does not take bool");
  CHECK_ERROR(cross_entropy(i({2, 2}), i({2})),
              "cross_entropy: takes float32 or float64, not int64");
  CHECK_ERROR(add(b({2}), b({2})),
              "add: does not take bool; convert with to(int64) or to(float32)");
  CHECK_ERROR(where(f({2}), f({2}), f({2})), "where: the condition must be bool, not float32");
  CHECK_ERROR(masked_fill(f({2}), i({2}), 0), "masked_fill: the mask must be bool, not int64");
  CHECK_ERROR(masked_softmax(f({2}), f({2}), 0),
              "masked_softmax: the mask must be bool (true = may attend), not float32");
  CHECK_ERROR(cross_entropy(f({2, 2}), f({2})),
              "cross_entropy: targets must be int64 class numbers, or probabilities of the scores' "
              "shape [2, 2], not float32 [2]");
  CHECK_ERROR(nll_loss(f({2, 2}), b({2})),
              "nll_loss: targets must be int64 class numbers, not bool");
  CHECK_ERROR(embedding(f({2, 2}), f({2})), "embedding: the index must be int64, not float32");
  CHECK_ERROR(gather(f({2}), 0, f({2})), "gather: the index must be int64, not float32");
  CHECK_ERROR(one_hot(f({2}), 3), "one_hot: the index must be int64, not float32");
  CHECK_ERROR(length_mask(f({2}), 3), "length_mask: lengths must be int64, not float32");
}

TEST_CASE("products of shapes that do not fit") {
  CHECK_ERROR(matmul(f({2, 3}), f({4, 5})),
              "matmul: [2, 3] has 3 columns, [4, 5] has 4 rows; they must be equal");
  CHECK_ERROR(matmul(f({}), f({4})), "matmul: [] and [4]: both need a dimension to multiply over");
  CHECK_ERROR(matmul(f({2, 3, 4}), f({5, 4, 6})), "matmul: ");
  CHECK_ERROR(bmm(f({2, 3}), f({3, 2})),
              "bmm: takes [batch, m, k] and [batch, k, n], not [2, 3] and [3, 2]");
  CHECK_ERROR(bmm(f({2, 3, 4}), f({5, 4, 2})),
              "bmm: [2, 3, 4] and [5, 4, 2] do not match: batches 2 and 5, inner sizes 4 and 4");
  CHECK_ERROR(linear(f({2, 3}), f({5, 4})), "linear: input [2, 3] has 3 features, [5, 4] takes 4");
  CHECK_ERROR(linear(f({2, 3}), f({5, 3}), f({4})),
              "linear: [5, 3] gives 5 features, the bias is [4]");
  Tensor weight = ones({5, 4}, {.requires_grad = true});
  weight.set_name("decoder.output.weight");
  CHECK_ERROR(linear(f({2, 3}), weight),
              "linear: input [2, 3] has 3 features, decoder.output.weight [5, 4] takes 4");
  CHECK_ERROR(einsum("ij,jk->ik", {f({2, 3}), f({4, 5})}),
              "einsum: 'j' is 3 in one operand and 4 in shape [4, 5]");
  CHECK_ERROR(einsum("ij->i", {f({2})}),
              "einsum: \"ij->i\" gives operand 0 the letters 'ij', but its shape is [2]");
  CHECK_ERROR(einsum("i,j->ij", {f({2})}), "einsum: \"i,j->ij\" names 2 operands, 1 were given");
  CHECK_ERROR(einsum("i->k", {f({2})}),
              "einsum: 'k' of the result must stand once, and in an operand");
  CHECK_ERROR(einsum("i->ii", {f({2})}), "einsum: 'i' of the result must stand once");
  CHECK_ERROR(einsum("i1->i", {f({2, 2})}), "einsum: '1' in \"i1->i\" is not a letter");
  CHECK_ERROR(einsum("ii->i", {f({2, 3})}),
              "einsum: 'i' is 2 in one operand and 3 in shape [2, 3]");
  CHECK_ERROR(einsum("", {}), "einsum: needs at least one operand");
  CHECK_ERROR(scaled_dot_product_attention(f({2, 3}), f({4, 5}), f({4, 6})),
              "scaled_dot_product_attention: takes q [.., t, d], k [.., s, d], v [.., s, e], not "
              "[2, 3], [4, 5], [4, 6]");
  CHECK_ERROR(scaled_dot_product_attention(f({2, 3}), f({4, 3}), f({4, 6}), b({3, 4})),
              "scaled_dot_product_attention: ");
}

TEST_CASE("dimensions that do not exist") {
  const std::pair<const char*, std::function<Tensor()>> calls[] = {
      {"sum",
       [] {
         return sum(f({2, 3}), 2);
       }},
      {"max",
       [] {
         return max(f({2, 3}), -3);
       }},
      {"argmax",
       [] {
         return argmax(f({2, 3}), 2);
       }},
      {"softmax",
       [] {
         return softmax(f({2, 3}), 2);
       }},
      {"log_softmax",
       [] {
         return log_softmax(f({2, 3}), -3);
       }},
      {"transpose",
       [] {
         return transpose(f({2, 3}), 0, 2);
       }},
      {"permute",
       [] {
         return permute(f({2, 3}), {0, 2});
       }},
      {"squeeze",
       [] {
         return squeeze(f({2, 3}), 2);
       }},
      {"unsqueeze",
       [] {
         return unsqueeze(f({2, 3}), 3);
       }},
      {"flatten",
       [] {
         return flatten(f({2, 3}), 0, 2);
       }},
      {"slice",
       [] {
         return slice(f({2, 3}), 2, 0, 1);
       }},
      {"narrow",
       [] {
         return narrow(f({2, 3}), 2, 0, 1);
       }},
      {"select",
       [] {
         return select(f({2, 3}), 2, 0);
       }},
      {"concat",
       [] {
         return concat({f({2, 3})}, 2);
       }},
      {"flip",
       [] {
         return flip(f({2, 3}), {2});
       }},
      {"gather",
       [] {
         return gather(f({2, 3}), 2, i({1, 1}));
       }},
      {"index_select",
       [] {
         return index_select(f({2, 3}), 2, i({1}));
       }},
  };
  for (const auto& one : calls) {
    const auto& op = one.first;
    const std::string text = error_of(one.second);
    INFO(op, " said: ", text);
    CHECK(text.starts_with(std::string(op) + ": "));
    CHECK(text.find("[2, 3]") != std::string::npos);
  }
  CHECK_ERROR(sum(f({2, 3}), {0, -2}), "sum: dimension -2 is named twice");
  CHECK_ERROR(permute(f({2, 3}), {0, 0}), "permute: dimension 0 is named twice");
  CHECK_ERROR(permute(f({2, 3}), {0}), "permute: 1 dimensions named for shape [2, 3]");
  CHECK_ERROR(transpose(f({2})), "transpose: needs at least 2 dimensions, [2] has 1");
  CHECK_ERROR(tril(f({2})), "tril: needs at least 2 dimensions, [2] has 1");
  CHECK_ERROR(layer_norm(f({})), "layer_norm: needs a dimension to normalise over");
}

TEST_CASE("shapes that a layout cannot take") {
  CHECK_ERROR(reshape(f({2, 3}), {4, 2}), "reshape: [2, 3] has 6 elements, [4, 2] has 8");
  CHECK_ERROR(reshape(f({2, 3}), {4, -1}),
              "reshape: [2, 3] has 6 elements, which [4, -1] cannot hold");
  CHECK_ERROR(reshape(f({2, 3}), {-1, -1}), "reshape: ");
  CHECK_ERROR(reshape(f({0, 3}), {0, -1}),
              "reshape: [0, 3] has 0 elements, which [0, -1] cannot hold");
  CHECK_ERROR(expand(f({2, 3}), {2, 4}),
              "expand: [2, 3] does not expand to [2, 4]: dimension 1 is 3, not 1");
  CHECK_ERROR(expand(f({2, 3}), {3}), "expand: [2, 3] has more dimensions than [3]");
  CHECK_ERROR(expand(f({3}), {-1, 3}),
              "expand: [3] to [-1, 3]: size -1 of a new dimension must be 0 or more");
  CHECK_ERROR(narrow(f({2, 3}), 1, 2, 2),
              "narrow: 2 elements from 2 do not fit into dimension 1 of shape [2, 3]");
  CHECK_ERROR(narrow(f({2, 3}), 0, -1, 1),
              "narrow: 1 elements from -1 do not fit into dimension 0 of shape [2, 3]");
  CHECK_ERROR(select(f({2, 3}), 1, 3), "select: index 3 is out of range for dimension 1 of [2, 3]");
  CHECK_ERROR(select(f({2, 3}), 1, -4),
              "select: index -4 is out of range for dimension 1 of [2, 3]");
  CHECK_ERROR(slice(f({2, 3}), 0, 0, 1, 0), "slice: ");
  CHECK_ERROR(concat({}), "concat: needs at least one tensor");
  CHECK_ERROR(concat({f({2, 3}), f({2, 4})}),
              "concat: [2, 3] and [2, 4] differ outside dimension 0");
  CHECK_ERROR(concat({f({2, 3}), f({2})}), "concat: [2, 3] and [2] differ outside dimension 0");
  CHECK_ERROR(concat({f({}), f({})}), "concat: cannot join tensors of rank 0; use stack");
  CHECK_ERROR(stack({f({2}), f({3})}), "stack: shapes [2] and [3] differ");
  CHECK_ERROR(split(f({5}), std::vector<int64_t>{2, 2}),
              "split: sizes add up to 4, dimension 0 of [5] has 5");
  CHECK_ERROR(split(f({5}), 0), "split: the size must be above 0, not 0");
  CHECK_ERROR(pad(f({2}), {1}),
              "pad: takes two numbers for each of the last dimensions, 1 were given for [2]");
  CHECK_ERROR(pad(f({2}), {1, -1}), "pad: sizes must be 0 or more");
  CHECK_ERROR(flatten(f({2, 3}), 1, 0), "flatten: start 1 comes after end 0");
}

TEST_CASE("indices out of range") {
  const Tensor bad = tensor({0, 5}, {2}), negative = tensor({0, -1}, {2});
  CHECK_ERROR(embedding(f({5, 2}), bad),
              "embedding: index 5 at position 1 is out of range; it must be in [0, 5)");
  CHECK_ERROR(embedding(f({5, 2}), negative),
              "embedding: index -1 at position 1 is out of range; it must be in [0, 5)");
  CHECK_ERROR(embedding(f({5}), bad), "embedding: the weight must be [count, dim], not [5]");
  CHECK_ERROR(index_select(f({5, 2}), 0, bad),
              "index_select: index 5 at position 1 is out of range");
  CHECK_ERROR(index_select(f({5, 2}), 0, i({1, 1})),
              "index_select: takes a list of indices [n], not [1, 1]");
  CHECK_ERROR(gather(f({5}), 0, bad), "gather: index 5 at position 1 is out of range");
  CHECK_ERROR(gather(f({5, 2}), 0, bad), "gather: the index [2] must have the rank of [5, 2]");
  CHECK_ERROR(gather(f({5, 2}), 0, i({1, 3})),
              "gather: an index of shape [1, 3] does not fit shape [5, 2]");
  CHECK_ERROR(scatter_add(f({5}), 0, bad, f({2})),
              "scatter_add: index 5 at position 1 is out of range");
  CHECK_ERROR(scatter_add(f({5}), 0, i({3}), f({2})),
              "scatter_add: the index [3] is larger than the source [2]");
  CHECK_ERROR(one_hot(bad, 5), "one_hot: index 5 at position 1 is out of range");
  CHECK_ERROR(cross_entropy(f({2, 5}), bad),
              "cross_entropy: target 5 at position 1 is out of range; there are 5 classes");
  CHECK_ERROR(nll_loss(f({2, 5}), negative),
              "nll_loss: target -1 at position 1 is out of range; there are 5 classes");
  CHECK_ERROR(cross_entropy(f({2, 5}), i({3})),
              "cross_entropy: scores [2, 5] need targets of shape [2], not [3]");
  CHECK_ERROR(mse_loss(f({2, 3}), f({3})), "mse_loss: [2, 3] and [3] must have one shape");
  CHECK_ERROR(binary_cross_entropy_with_logits(f({2}), f({3})),
              "binary_cross_entropy_with_logits: [2] and [3] must have one shape");
  CHECK_ERROR(cross_entropy(f({2, 5}), i({2}), {.label_smoothing = 2}),
              "cross_entropy: label smoothing must be in [0, 1], not 2");
}

TEST_CASE("numbers that make no sense") {
  CHECK_ERROR(arange(-1), "arange: the end must be 0 or more, not -1");
  CHECK_ERROR(arange(0.0, 1.0, -1.0), "arange: a step of -1 does not lead from 0 to 1");
  CHECK_ERROR(linspace(0, 1, -1), "linspace: the count must be 0 or more, not -1");
  CHECK_ERROR(tensor({1.0}, {2, 3}),
              "tensor: 1 values do not fill shape [2, 3], which has 6 elements");
  CHECK_ERROR(layer_norm(f({2, 3}), f({2})),
              "layer_norm: input [2, 3] has 3 features, [2] does not");
  CHECK_ERROR(concat({Tensor()}), "undefined");
  CHECK_ERROR(matmul(Tensor(), f({2})), "undefined");
  CHECK_ERROR(softmax(Tensor(), 0), "undefined");
}

TEST_SUITE_END();

}  // namespace

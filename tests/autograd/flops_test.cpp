// The numbers are counted by hand from the definitions.
#include "autograd/trace/flops.h"

#include <doctest/doctest.h>

using namespace regrad;

TEST_CASE("products take two operations for each term") {
  CHECK(flops("matmul", {{2, 3}, {3, 5}}, {2, 5}) == 2 * 2 * 3 * 5);
  CHECK(flops("matmul", {{7, 2, 3}, {7, 3, 5}}, {7, 2, 5}) == 7 * 2 * 2 * 3 * 5);
  CHECK(flops("linear", {{4, 3}, {6, 3}, {6}}, {4, 6}) ==
        2 * 4 * 3 * 6);  // the bias is not counted
  CHECK(flops("linear", {{4, 3}, {6, 3}, {}}, {4, 6}) == 2 * 4 * 3 * 6);
  CHECK(flops("matmul", {{2, 0}, {0, 5}}, {2, 5}) == 0);
}

TEST_CASE("attention is two products and a softmax of all pairs") {
  const int64_t pairs = 2 * 4 * 6;  // batch, queries, keys
  CHECK(flops("scaled_dot_product_attention", {{2, 4, 3}, {2, 6, 3}, {2, 6, 5}, {}}, {2, 4, 5}) ==
        pairs * (2 * 3 + 2 * 5 + 5));
  CHECK(flops("additive_scores", {{2, 4, 3}, {2, 6, 3}, {3}}, {2, 4, 6}) == pairs * 3 * 4);
  CHECK(flops("squared_distance", {{2, 4, 3}, {2, 6, 3}}, {2, 4, 6}) == pairs * 3 * 3);
}

TEST_CASE("a recurrent sequence has the products of each step and the cell") {
  const int64_t t = 5, b = 2, in = 3, h = 4;
  CHECK(flops("gru_sequence", {{t, b, in}, {b, h}, {3 * h, in}, {3 * h, h}, {}, {}}, {t, b, h}) ==
        t * b * (2 * 3 * h * in + 2 * 3 * h * h + 10 * h));
  CHECK(flops("lstm_sequence", {{t, b, in}, {b, h}, {b, h}, {4 * h, in}, {4 * h, h}, {}, {}},
              {2, t, b, h}) == t * b * (2 * 4 * h * in + 2 * 4 * h * h + 9 * h));
  CHECK(flops("gru_step", {{b, 3 * h}, {b, 3 * h}, {b, h}}, {b, h}) == 10 * b * h);
  CHECK(flops("lstm_step", {{b, 4 * h}, {b, h}}, {b, 2 * h}) == 9 * b * h);
}

TEST_CASE("elementwise ops count results, reductions what they reduce, views nothing") {
  CHECK(flops("mul", {{2, 3}, {2, 3}}, {2, 3}) == 6);
  CHECK(flops("tanh", {{2, 3}}, {2, 3}) == 6);
  CHECK(flops("exp", {{}}, {}) == 1);
  CHECK(flops("sum", {{2, 3}}, {2}) == 6);
  CHECK(flops("softmax", {{2, 3}}, {2, 3}) == 5 * 6);
  CHECK(flops("layer_norm", {{2, 3}, {3}, {3}}, {2, 3}) == 7 * 6);
  CHECK(flops("cross_entropy", {{2, 3}}, {2}) == 4 * 6);
  CHECK(flops("transpose", {{2, 3}}, {3, 2}) == 0);
  CHECK(flops("concat", {{2}, {3}}, {5}) == 0);
}

TEST_CASE("a convolution takes two operations for each place and tap") {
  const Shape x = {2, 6, 9, 9}, weight = {4, 3, 3, 5}, y = {2, 4, 7, 5};  // two groups
  CHECK(flops("conv2d", {x, weight, {}}, y) == 2 * (2 * 4 * 7 * 5) * (3 * 3 * 5));
  CHECK(flops("conv2d_weight", {x, y}, weight) == 2 * (2 * 4 * 7 * 5) * (3 * 3 * 5));
  CHECK(flops("conv_transpose2d", {y, weight, {}}, x) == 2 * (2 * 4 * 7 * 5) * (3 * 3 * 5));
  CHECK(flops("conv2d", {}, {}) == 0);
}

TEST_CASE("an op of a program, odd shapes and huge ones give a number") {
  CHECK(flops("cube", {{2, 3}}, {2, 3}) == 0);
  CHECK(flops("matmul", {}, {}) == 0);
  CHECK(flops("scaled_dot_product_attention", {{}, {}}, {}) == 0);
  CHECK(flops("gru_sequence", {{3}}, {}) == 0);
  const int64_t side = int64_t{1} << 28;
  CHECK(flops("matmul", {{side, side}, {side, side}}, {side, side}) == INT64_MAX);
}

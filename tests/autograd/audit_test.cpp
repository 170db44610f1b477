// audit() on a bank of planted faults.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "regrad.h"
#include "tests/errors.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("autograd");

using Parameters = std::vector<std::pair<std::string, Tensor>>;

Tensor leaf(const Shape& shape, uint64_t seed = 1, DType dtype = float32) {
  Generator generator(seed);
  return randn(shape, generator, {.dtype = dtype, .requires_grad = true});
}

AuditRow row_of(const Audit& audit, const std::string& name) {
  for (const AuditRow& row : audit.rows) {
    if (row.name == name) return row;
  }
  FAIL("no row " << name);
  return {};
}

// The row of x beside a parameter w that is in order.
AuditRow row_of(const Tensor& x, const Tensor& w, const Tensor& loss) {
  const Audit found = audit(Parameters{{"w", w}, {"x", x}}, loss);
  CHECK(row_of(found, "w").verdict == "ok");
  return row_of(found, "x");
}

bool says(const AuditRow& row, const std::string& text) {
  const bool found = row.why.find(text) != std::string::npos;
  if (!found) MESSAGE(row.verdict << ": " << row.why);
  return found;
}

TEST_CASE("audit: a parameter in order, with its norms") {
  Tensor w = tensor({3.0, 4.0}, {2}).set_requires_grad(true);
  const Tensor loss = sum(w * tensor({6.0, 8.0}, {2}));
  loss.backward();
  const Audit found = audit(Parameters{{"w", w}}, loss);
  CHECK(found.rows[0].verdict == "ok");
  CHECK(found.rows[0].gradient_norm == 10);
  CHECK(found.rows[0].parameter_norm == 5);
  CHECK_FALSE(found.rows[0].wrong);
  CHECK(found.str() == "ok      w  |g| 1.0e+01  |g|/|w| 2\n");
  CHECK(found.wrong().rows.empty());
}

TEST_CASE("audit: CUT by detach()") {
  Tensor w = leaf({3}), x = leaf({3}, 2);
  SUBCASE("of the parameter") {
    const Tensor loss = sum(w * x.detach());
    loss.backward();
    const AuditRow row = row_of(x, w, loss);
    CHECK(row.verdict == "CUT");
    CHECK(says(row, "detach()"));
    CHECK(row.wrong);
  }
  SUBCASE("of what was computed from it, further ops behind it") {
    const Tensor h = exp(tanh(x)).detach();
    const Tensor loss = sum(softmax(reshape(h * w, {1, 3}) + 1, 1) * tensor({1.f, 2.f, 3.f}, {3}));
    loss.backward();
    const AuditRow row = row_of(x, w, loss);
    CHECK(row.verdict == "CUT");
    CHECK(says(row, "detach()"));
  }
  SUBCASE("but not where another way leads to the loss") {
    const Tensor loss = sum(w * x.detach() + x);
    loss.backward();
    CHECK(row_of(x, w, loss).verdict == "ok");
  }
  SUBCASE("of one that is made a leaf again") {
    Tensor h = exp(x).detach().set_requires_grad(true);
    const Tensor loss = sum(w * h);
    loss.backward();
    CHECK(row_of(x, w, loss).verdict == "CUT");
    CHECK(row_of(h, w, loss).verdict == "ok");
  }
  SUBCASE("before backward(), with the graph there, and after it") {
    const Tensor loss = sum(w * x.detach());
    CHECK(row_of(x, w, loss).verdict == "CUT");
    CHECK_FALSE(w.grad().defined());
    loss.backward({}, {.retain_graph = true});
    CHECK(row_of(x, w, loss).verdict == "CUT");
  }
}

TEST_CASE("audit: CUT under NoGrad, at the op") {
  Tensor w = leaf({3}), x = leaf({3}, 2), weight = leaf({3, 3}, 3);
  Tensor h;
  {
    const NoGrad guard;
    h = tanh(linear(x, weight));
  }
  const Tensor loss = sum(w * h);
  loss.backward();
  CHECK(row_of(x, w, loss).verdict == "CUT");
  CHECK(row_of(weight, w, loss).verdict == "CUT");
  CHECK(says(row_of(weight, w, loss), "linear, computed under NoGrad"));
}

TEST_CASE("audit: two cuts, each by its own op") {
  Tensor w = leaf({3}), a = leaf({3}, 2), b = leaf({3}, 3);
  Tensor h;
  {
    const NoGrad guard;
    h = exp(b);
  }
  const Tensor loss = sum(w * h + tanh(a).detach());
  loss.backward();
  const AuditRow by_detach = row_of(a, w, loss), by_no_grad = row_of(b, w, loss);
  CHECK(says(by_detach, "detach()"));
  CHECK(says(by_no_grad, "exp, computed under NoGrad"));
}

TEST_CASE("audit: CUT by grad() without create_graph, and by an op of the user") {
  Tensor w = leaf({3}), x = leaf({3}, 2);
  const Tensor slope = grad({sum(exp(x))}, {x})[0];
  const Tensor loss = sum(w * slope);
  loss.backward();
  CHECK(says(row_of(x, w, loss), "grad() without create_graph"));

  const auto forgetful = [&](const Tensor& a, const Tensor& b) {
    return record("forgetful", a.detach() * b.detach(),
                  {{a, [b](const Tensor& g) { return g * b; }}});
  };
  w.zero_grad();
  const Tensor other = sum(forgetful(w, x));
  other.backward();
  CHECK(row_of(x, w, other).verdict == "CUT");
}

TEST_CASE("audit: what an op computes inside is no cut") {
  Tensor w = leaf({4, 3}), x = leaf({4, 3}, 2), unused = leaf({3}, 3);
  const Tensor mask = tensor(std::vector<bool>{true, false, true}, {3});
  Tensor y = masked_softmax(linear(x, w), eye(4).to(bool_), 1);
  y = matmul(y, var(x, 1, true)) + max(x, 1, true) + squared_distance(x, w);
  const Tensor loss = sum(square(y)) + sum(masked_softmax(x, mask, 1));
  loss.backward();
  CHECK(loss.body().origin.cut.empty());
  CHECK(row_of(unused, w, loss).verdict == "NONE");
}

TEST_CASE("audit: NONE") {
  Tensor w = leaf({3}), x = leaf({3}, 2);
  sum(w * x).backward();  // an earlier step
  w.zero_grad(), x.zero_grad();
  Tensor loss;
  SUBCASE("never used") {
    loss = sum(w);
    loss.backward();
    CHECK(says(row_of(x, w, loss), "not used in this forward"));
  }
  SUBCASE("computed, but not a part of the loss") {
    const Tensor aside = sum(w * x);
    loss = sum(w);
    loss.backward();
    CHECK(says(row_of(x, w, loss), "nothing that was computed from it reaches the loss"));
  }
  SUBCASE("taken out as a number") {
    loss = sum(w * sum(x).item<double>());
    loss.backward();
  }
  SUBCASE("used under NoGrad, but not a part of the loss") {
    const NoGrad guard;
    static_cast<void>(exp(x));
    const GradMode recorded(true);
    loss = sum(w * 2);
    loss.backward();
  }
  SUBCASE("a gradient of an earlier step is still there") {
    sum(x).backward();
    loss = sum(w);
    loss.backward();
    REQUIRE(x.grad().defined());
  }
  const AuditRow row = row_of(x, w, loss);
  CHECK(row.verdict == "NONE");
  CHECK(row.wrong);
  CHECK(row.gradient_norm == 0);
}

TEST_CASE("audit: a parameter that is no leaf") {
  Tensor w = leaf({3}), x = leaf({3}, 2) * 0.1;
  const Tensor loss = sum(w * x);
  loss.backward();
  CHECK(says(row_of(x, w, loss), "not a leaf: mul computed it"));
}

TEST_CASE("audit: ZERO, and why where the graph is there") {
  Tensor w = leaf({3}), x = leaf({3}, 2);
  Tensor loss;
  std::string why;
  SUBCASE("relu") {
    loss = sum(w + relu(-1 - exp(x)));
    why = "relu is closed";
  }
  SUBCASE("clamp") {
    loss = sum(w + clamp(exp(x), -2, -1));
    why = "clamp: every input is beyond its bounds";
  }
  SUBCASE("where") {
    loss = sum(where(tensor(std::vector<bool>{true, true, true}, {3}), w, x));
    why = "the mask excludes it";
  }
  SUBCASE("times 0") {
    loss = sum(w + x * 0);
    why = "all its contributions are 0";
  }
  CHECK(says(row_of(x, w, loss), why));  // before backward()
  loss.backward({}, {.retain_graph = true});
  const AuditRow kept = row_of(x, w, loss);
  CHECK(kept.verdict == "ZERO");
  CHECK(kept.wrong);
  CHECK(says(kept, why));
  w.zero_grad(), x.zero_grad();
  loss.backward();
  const AuditRow freed = row_of(x, w, loss);
  CHECK(freed.verdict == "ZERO");
  CHECK(freed.wrong);
  CHECK(says(freed, "exactly 0"));
}

TEST_CASE_TEMPLATE("audit: a bias before a softmax is ZERO, graph or not", T, float, double) {
  constexpr DType dtype = dtype_of<T>;
  for (const bool retain : {false, true}) {
    for (const int form : {0, 1, 2, 3, 4, 5, 6}) {
      CAPTURE(retain);
      CAPTURE(form);
      Tensor w = leaf({1, 8}, 1, dtype), bias = leaf({1}, 2, dtype),
             h = leaf({16, 40, 8}, 3, dtype);
      const Tensor mask = ones({16, 40}, {.dtype = int64}).to(bool_);
      Tensor weights;  // [16, 40, 1]
      const Tensor scores = linear(h, w, bias);
      if (form == 0) weights = softmax(scores, 1);
      if (form == 1) weights = masked_softmax(scores, unsqueeze(mask, 2), 1);
      if (form == 2) weights = unsqueeze(softmax(squeeze(scores, 2), -1), 2);
      if (form == 3) weights = softmax(linear(h, w) + bias, 1);
      if (form == 4) weights = softmax(where(unsqueeze(mask, 2), scores, -1e9), 1);
      if (form == 5) weights = transpose(softmax(transpose(scores, 1, 2), 2), 1, 2);
      if (form == 6) weights = exp(log_softmax(scores, 1));
      const Tensor loss = sum(square(sum(weights * h, 1)) * 30);
      loss.backward({}, {.retain_graph = retain});
      const AuditRow row = row_of(bias, w, loss);
      CHECK(row.verdict == "ZERO");
      CHECK(says(row, "ignores a shift"));
      CHECK_FALSE(row.wrong);
    }
  }
}

TEST_CASE("audit: a bias before a softmax in many steps and backward passes") {
  Tensor w = leaf({1, 8}), bias = leaf({1}, 2);
  Tensor loss;
  for (int pass = 0; pass < 3; ++pass) {
    loss = scalar(0, float32);
    for (uint64_t step = 0; step < 12; ++step) {
      const Tensor h = leaf({32, 50, 8}, 10 + step);
      loss = loss + sum(square(sum(softmax(linear(h, w, bias), 1) * h, 1)));
    }
    loss.backward();
  }
  CHECK(row_of(bias, w, loss).verdict == "ZERO");
}

TEST_CASE("audit: the keys' bias in attention is ignored, the queries' is not") {
  Tensor q_bias = leaf({8}, 1), k_bias = leaf({8}, 2), x = leaf({2, 6, 8}, 3), w = leaf({8, 8}, 4);
  const Tensor q = linear(x, w, q_bias), k = linear(x, transpose(w), k_bias);
  for (const bool fused : {true, false}) {
    const Tensor out = fused ? scaled_dot_product_attention(q, k, x)
                             : matmul(softmax(matmul(q, transpose(k)) * 0.3, -1), x);
    const Tensor loss = sum(square(out));
    w.zero_grad(), x.zero_grad(), q_bias.zero_grad(), k_bias.zero_grad();
    loss.backward({}, {.retain_graph = true});
    CHECK(row_of(k_bias, w, loss).verdict == "ZERO");
    CHECK(row_of(q_bias, w, loss).verdict == "ok");
  }
}

TEST_CASE("audit: a gradient that is small but real is ok") {
  Tensor w = leaf({5}), x = leaf({5}, 2), bias = leaf({5}, 3), one = leaf({1}, 4);
  const Tensor loss =
      sum(w * 1e3) + sum(exp(x) * 1e-9) +
      sum(softmax(x.detach() * 20 + bias, 0) * tensor({1.f, 2.f, 3.f, 4.f, 5.f}, {5})) * 1e-9 +
      sum(softmax(one * tensor({1.f, 2.f, 3.f}, {3}), 0) * tensor({3.f, 1.f, 2.f}, {3})) * 1e-9;
  for (const bool retain : {true, false}) {
    loss.backward({}, {.retain_graph = retain});
    for (const Tensor& small : {x, bias, one}) CHECK(row_of(small, w, loss).verdict == "ok");
  }
}

TEST_CASE("audit: ROWS") {
  Tensor table = leaf({20, 4}), w = leaf({4}, 2);
  const Tensor index = tensor(std::vector<int64_t>{3, 5, 3, 7}, {2, 2});
  Tensor loss = sum(embedding(table, index) * w);
  loss.backward();
  const AuditRow row = row_of(table, w, loss);
  CHECK(row.verdict == "ROWS");
  CHECK(row.why == "3 of 20 rows have a gradient");
  CHECK_FALSE(row.wrong);

  Tensor positions = leaf({9, 4}, 3), dense = leaf({9, 4}, 4);
  loss = sum(narrow(positions, 0, 0, 6) * w) +
         sum(relu(dense * 0 + (arange(9.0) - 4.0).to(float32).reshape({9, 1})) * dense);
  loss.backward();
  CHECK(row_of(positions, w, loss).why == "6 of 9 rows have a gradient");
  CHECK(row_of(dense, w, loss).verdict == "ok");  // no embedding
}

TEST_CASE("audit: NAN, in the gradient or in the parameter") {
  Tensor w = leaf({3}), x = tensor({0.f, 1.f, 4.f}, {3}).set_requires_grad(true);
  const Tensor loss = sum(w) + sum(sqrt(x) * tensor({0.f, 1.f, 1.f}, {3}));
  loss.backward();
  const AuditRow row = row_of(x, w, loss);
  CHECK(row.verdict == "NAN");
  CHECK(row.wrong);
  CHECK(says(row, "1 of 3 elements of its gradient"));
  Tensor broken = full({2}, std::numeric_limits<double>::infinity()).set_requires_grad(true);
  CHECK(says(row_of(broken, w, loss), "itself"));
}

TEST_CASE("audit: FROZEN") {
  Tensor w = leaf({3}), x = leaf({3}, 2);
  x.set_requires_grad(false);
  const Tensor loss = sum(w * x);
  loss.backward();
  const AuditRow row = row_of(x, w, loss);
  CHECK(row.verdict == "FROZEN");
  CHECK_FALSE(row.wrong);
}

TEST_CASE("audit: gradients that were cleared are an Error, not a verdict") {
  Tensor w = leaf({3});
  const Tensor loss = sum(exp(w));
  loss.backward();
  w.zero_grad();
  CHECK_ERROR(audit(Parameters{{"w", w}}, loss),
              "audit: the gradient of w was cleared since backward(); call audit() before "
              "zero_grad()");
  CHECK_ERROR(audit(Parameters{{"w", Tensor()}}, loss), "audit: the parameter w is undefined");
}

TEST_CASE("audit: a loss with no graph at all") {
  Tensor x = leaf({3});
  const NoGrad guard;
  CHECK(audit(Parameters{{"x", x}}, sum(exp(x))).rows[0].verdict == "CUT");
  CHECK(audit(Parameters{{"x", x}}, scalar(1)).rows[0].verdict == "NONE");
}

TEST_CASE("audit: after other passes over the same graph") {
  Tensor w = leaf({3}), x = leaf({3}, 2);
  const Tensor loss = sum(exp(w));
  loss.backward({}, {.retain_graph = true});
  static_cast<void>(grad({loss}, {w}, {.retain_graph = true}));
  static_cast<void>(explain(loss, w));
  CHECK(row_of(x, w, loss).verdict == "NONE");
}

struct Block {
  nn::Linear linear{4, 4};
  void visit(auto&& each) { each("linear", linear); }
};

struct Model {
  nn::Embedding embedding{10, 4};
  std::vector<Block> blocks{Block(), Block(), Block()};
  nn::Attention attention{4};
  nn::Linear tied{4, 10}, unused{4, 4};
  std::optional<nn::LayerNorm> norm = nn::LayerNorm(4);
  Model() { tied.weight = embedding.weight; }
  Tensor loss(const Tensor& tokens) const {
    Tensor h = embedding(tokens);  // [batch, time, 4]
    h = blocks[0].linear(h);
    h = tanh(blocks[1].linear(h)).detach();
    h = blocks[2].linear((*norm)(h));
    const Tensor context = sum(attention(h).weights * h, 1);
    return cross_entropy(tied(context), select(tokens, 1, 0));
  }
  void visit(auto&& each) {
    each("embedding", embedding), each("blocks", blocks), each("attention", attention);
    each("tied", tied), each("unused", unused), each("norm", norm);
  }
};

TEST_CASE("audit of a model: containers, tied weights, several faults at once") {
  nn::default_generator() = Generator(1);
  const Model model;
  const Tensor loss = model.loss(tensor(std::vector<int64_t>{1, 2, 3, 4, 5, 6}, {2, 3}));
  loss.backward();
  const Audit found = audit(model, loss);
  const std::vector<std::pair<std::string, std::string>> expected = {
      {"embedding.weight", "ok"},  // also the output layer's, which reaches all rows
      {"blocks.0.linear.weight", "CUT"},
      {"blocks.0.linear.bias", "CUT"},
      {"blocks.1.linear.weight", "CUT"},
      {"blocks.1.linear.bias", "CUT"},
      {"blocks.2.linear.weight", "ok"},
      {"blocks.2.linear.bias", "ok"},
      {"attention.linear.weight", "ok"},
      {"attention.linear.bias", "ZERO"},
      {"tied.bias", "ok"},
      {"unused.weight", "NONE"},
      {"unused.bias", "NONE"},
      {"norm.weight", "ok"},
      {"norm.bias", "ok"},
  };
  REQUIRE(found.rows.size() == expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    CAPTURE(expected[i].first);
    CHECK(found.rows[i].name == expected[i].first);
    CHECK(found.rows[i].verdict == expected[i].second);
  }
  CHECK(found.wrong().rows.size() == 6);
  CHECK(found.str().find("ZERO    attention.linear.bias") != std::string::npos);
}

TEST_CASE("audit: a model of 300 parameters of which half are cut") {
  Parameters all;
  Tensor kept = scalar(0, float32), lost = scalar(0, float32);
  for (uint64_t i = 0; i < 300; ++i) {
    all.emplace_back(std::to_string(i), leaf({2}, i));
    if (i % 3 == 2) continue;  // not used
    Tensor& part = i % 3 == 0 ? kept : lost;
    part = part + sum(exp(all.back().second));
  }
  const Tensor loss = kept + lost.detach();
  loss.backward();
  const Audit found = audit(all, loss);
  for (size_t i = 0; i < 300; ++i) {
    CAPTURE(i);
    CHECK(found.rows[i].verdict == (i % 3 == 0 ? "ok" : i % 3 == 1 ? "CUT" : "NONE"));
  }
}

TEST_SUITE_END();

}  // namespace

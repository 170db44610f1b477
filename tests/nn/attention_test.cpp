// Attention: the tutorial's layer and equations, score functions, masks, and multi-head attention.
#include "tests/errors.h"
#include "tests/nn/patterns.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("nn");

TEST_CASE("Attention is a softmax of one linear score along time") {
  const nn::Attention attention = patterned(nn::Attention(3));
  const Tensor hidden = waves({2, 4, 3});
  const auto [weights, scores] = attention(hidden);
  CHECK(weights.shape() == Shape{2, 4, 1});
  CHECK(largest_difference(scores, attention.linear(hidden)) == 0);
  CHECK(largest_difference(weights, softmax(attention.linear(hidden), 1)) < 1e-15);
  CHECK(largest_difference(sum(weights, 1), ones({2, 1}, {.dtype = float64})) < 1e-15);
  CHECK(nn::named_parameters(attention)[0].first == "linear.weight");
}

TEST_CASE("masked positions weigh nothing; a sequence without any gives zeros and no gradient") {
  const nn::Attention attention = patterned(nn::Attention(3));
  Tensor hidden = waves({2, 4, 3}).set_requires_grad(true);
  const Tensor mask = tensor({true, false, true, false, false, false, false, false}, {2, 4});
  const auto [weights, scores] = attention(hidden, mask);
  CHECK(weights.to_vector<double>()[1] == 0);
  CHECK(weights.to_vector<double>()[0] + weights.to_vector<double>()[2] == doctest::Approx(1));
  CHECK(max(abs(select(weights, 0, 1))).item<double>() == 0);
  sum(square(weights)).backward();
  CHECK(all_finite(hidden.grad()));
  CHECK(max(abs(select(hidden.grad(), 0, 1))).item<double>() == 0);
  CHECK_ERROR(attention(hidden, ones({2, 4})), "bool [2, 4]");
  CHECK_ERROR(attention(zeros({4, 3}), {}), "[4, 3]");
}

TEST_CASE("the bias before a softmax has a gradient of zero") {
  const nn::Attention attention = patterned(nn::Attention(3));
  sum(attention(waves({2, 4, 3})).weights * waves({2, 4, 1}, 2)).backward();
  CHECK(std::abs(attention.linear.bias.grad().item<double>()) < 1e-15);
  CHECK(max(abs(attention.linear.weight.grad())).item<double>() > 1e-3);
}

// Each score written out for one pair of vectors.
template <class Pair>
void check_score(const nn::ScoreFunction& score, const Pair& pair, double key_size = 3) {
  const Tensor query = waves({2, 4, 3}), key = waves({2, 5, static_cast<int64_t>(key_size)}, 3);
  const Tensor scores = std::visit([&](const auto& f) { return f(query, key); }, score);
  REQUIRE(scores.shape() == Shape{2, 4, 5});
  for (int64_t b = 0; b < 2; ++b) {
    for (int64_t i = 0; i < 4; ++i) {
      for (int64_t j = 0; j < 5; ++j) {
        const Tensor q = select(select(query, 0, b), 0, i), k = select(select(key, 0, b), 0, j);
        const double given = select(select(select(scores, 0, b), 0, i), 0, j).item<double>();
        CHECK(given == doctest::Approx(pair(q, k, j).template item<double>()).epsilon(1e-10));
      }
    }
  }
  const auto function = [&](const std::vector<Tensor>& in) {
    return std::visit([&](const auto& f) { return f(in[0], in[1]); }, score);
  };
  const GradcheckResult result = gradcheck(function, {query, key});
  CHECK_MESSAGE(result, result.message);
}

TEST_CASE("score functions give their formulas") {
  using Row = const Tensor&;
  check_score(nn::DotScore(), [](Row q, Row k, int64_t) { return sum(q * k); });
  check_score(nn::ScaledDotScore(),
              [](Row q, Row k, int64_t) { return sum(q * k) * (1 / std::sqrt(3.0)); });
  check_score(nn::DistanceScore(), [](Row q, Row k, int64_t) { return -sum(square(q - k)); });
  check_score(nn::CosineScore(), [](Row q, Row k, int64_t) {
    return sum(q * k) / sqrt(sum(square(q)) * sum(square(k)));
  });
  const nn::GeneralScore general = patterned(nn::GeneralScore(3, 2));
  check_score(
      general, [&](Row q, Row k, int64_t) { return sum(q * matmul(general.linear.weight, k)); }, 2);
  const nn::AdditiveScore additive = patterned(nn::AdditiveScore(3, 2, 4));
  check_score(
      additive,
      [&](Row q, Row k, int64_t) {
        return sum(squeeze(additive.energy.weight, 0) *
                   tanh(matmul(additive.query.weight, q) + additive.query.bias +
                        matmul(additive.key.weight, k)));
      },
      2);
  const nn::LocationScore location = patterned(nn::LocationScore(3, 6));
  const auto function = [&](Row q, Row, int64_t j) {
    return sum(select(location.linear.weight, 0, j) * q) + select(location.linear.bias, 0, j);
  };
  const Tensor scores = location(waves({2, 4, 3}), waves({2, 5, 3}));
  CHECK(scores.shape() == Shape{2, 4, 5});
  CHECK(select(select(select(scores, 0, 0), 0, 0), 0, 4).item<double>() ==
        doctest::Approx(
            function(select(select(waves({2, 4, 3}), 0, 0), 0, 0), {}, 4).item<double>()));
  CHECK_ERROR(location(zeros({1, 1, 3}), zeros({1, 7, 3})), "there are 7 keys");
  CHECK_ERROR(nn::DotScore()(zeros({1, 1, 3}), zeros({1, 1, 2})), "GeneralScore");
  CHECK_ERROR(nn::make_score("dots", {.hidden = 3}), "scaled_dot");
  CHECK_ERROR(nn::make_score("location", {.hidden = 3}), "max_length");
}

TEST_CASE("distances stay exact far from the origin, and a cosine with zero is zero") {
  Generator generator(2);
  const Tensor a = randn({5, 8}, generator), b = randn({6, 8}, generator);
  const Tensor near = nn::squared_distance(a.to(float64), b.to(float64));
  CHECK(largest_difference(nn::squared_distance(a + 1024.0, b + 1024.0), near) < 2e-2);
  Tensor zero = zeros({1, 1, 3}, {.requires_grad = true});
  const Tensor cosine = nn::CosineScore()(zero, ones({1, 2, 3}));
  CHECK(max(abs(cosine)).item<double>() == 0);
  sum(cosine).backward();
  CHECK(all_finite(zero.grad()));
}

TEST_CASE("self_attention is the tutorial's equations, written as loops") {
  const Tensor h = waves({4, 3});
  const auto [weights, outputs, summary] = nn::self_attention(h, nn::DotScore());
  for (int64_t i = 0; i < 4; ++i) {
    Tensor exponentials = exp(matmul(h, select(h, 0, i)));
    const Tensor a = exponentials / sum(exponentials);
    CHECK(largest_difference(select(weights, 0, i), a) < 1e-14);
    CHECK(largest_difference(select(outputs, 0, i), matmul(a, h)) < 1e-14);
  }
  CHECK(largest_difference(summary, sum(outputs, 0)) < 1e-14);
  const auto batched = nn::self_attention(unsqueeze(h, 0), nn::ScoreFunction(nn::DotScore()));
  CHECK(batched.weights.shape() == Shape{1, 4, 4});
  CHECK(largest_difference(squeeze(batched.summary, 0), summary) < 1e-14);
}

TEST_CASE("self_attention: padding changes nothing") {
  const Tensor h = waves({1, 5, 3});
  const auto padded =
      nn::self_attention(h, nn::ScaledDotScore(), tensor({true, true, true, false, false}, {1, 5}));
  const auto alone = nn::self_attention(narrow(h, 1, 0, 3), nn::ScaledDotScore());
  CHECK(largest_difference(padded.summary, alone.summary) < 1e-14);
  CHECK(largest_difference(narrow(padded.outputs, 1, 0, 3), alone.outputs) < 1e-14);
  CHECK(max(abs(narrow(padded.weights, 1, 3, 2))).item<double>() == 0);
  const Tensor past = tril(ones({5, 5})).to(bool_);
  const auto causal = nn::self_attention(squeeze(h, 0), nn::DotScore(), past);
  CHECK(max(abs(triu(causal.weights, 1))).item<double>() == 0);
  CHECK_ERROR(nn::self_attention(h, nn::DotScore(), zeros({1, 5})), "bool");
}

TEST_CASE("attention_variance_loss is the tutorial's sum") {
  const Tensor h = waves({2, 4, 3});
  const auto attended = nn::self_attention(h, nn::DotScore());
  double expected = 0;
  for (int64_t b = 0; b < 2; ++b) {
    for (int64_t i = 0; i < 4; ++i) {
      for (int64_t j = 0; j < 4; ++j) {
        const Tensor a = select(select(select(attended.weights, 0, b), 0, i), 0, j);
        const Tensor apart =
            select(select(h, 0, b), 0, j) - select(select(attended.outputs, 0, b), 0, i);
        expected += (a * sum(square(apart))).item<double>();
      }
    }
  }
  const Tensor loss = nn::attention_variance_loss(attended.weights, h, attended.outputs);
  CHECK(loss.item<double>() == doctest::Approx(expected).epsilon(1e-12));
  const auto of_outputs = [&](const std::vector<Tensor>& in) {
    return nn::attention_variance_loss(in[0], in[1], in[2]);
  };
  CHECK(gradcheck(of_outputs, {attended.weights, h, attended.outputs}));
  Tensor outputs = attended.outputs.detach().set_requires_grad(true);
  nn::attention_variance_loss(attended.weights, h, outputs).backward();
  CHECK(max(abs(outputs.grad())).item<double>() < 1e-14);  // while rows sum to 1
}

TEST_CASE("multi-head attention gives PyTorch's numbers") {
  const nn::MultiheadAttention attention = patterned(nn::MultiheadAttention(4, 2));
  const Tensor q = waves({1, 2, 4}), k = waves({1, 3, 4}, 3), v = waves({1, 3, 4}, 7);
  CHECK(largest_difference(attention(q, k, v).output,
                           {-1.015690187, 0.1091664141, -0.8919192378, 0.1843773975, -0.8577543578,
                            -0.09155673402, -0.6716033985, -0.03007246612}) < 1e-9);
  const auto with_weights = attention(q, k, v, {.need_weights = true});
  CHECK(largest_difference(with_weights.output, attention(q, k, v).output) < 1e-12);
  CHECK(largest_difference(with_weights.weights,
                           {0.1693481528, 0.5419025215, 0.2887493257, 0.3146669851, 0.3583536023,
                            0.3269794126, 0.565677712, 0.2940865829, 0.1402357051, 0.3090389159,
                            0.311947968, 0.379013116}) < 1e-9);
  const Tensor existing = tensor({true, false, true}, {1, 3});
  CHECK(largest_difference(attention(q, k, v, {.key_mask = existing}).output,
                           {-0.9900869054, 0.1177735308, -0.933742155, 0.2545832546, -0.803940353,
                            -0.1459506296, -0.6229151161, -0.06742894525}) < 1e-9);
  CHECK(largest_difference(attention(q, q, q, {.causal = true}).output,
                           {-0.2583158778, -0.6604710846, -0.1989542564, -0.3518392775,
                            -0.5091027764, -0.4205351289, -0.4003133934, -0.2123250785}) < 1e-9);
  CHECK(largest_difference(attention(q, q, q, {.causal = true, .need_weights = true}).output,
                           attention(q, q, q.clone(), {.causal = true}).output) < 1e-12);
  std::string names;
  for (const auto& [name, value] : nn::named_parameters(attention)) names += name + " ";
  CHECK(names == "in_proj_weight in_proj_bias out_proj.weight out_proj.bias ");
}

TEST_CASE("multi-head attention with nothing to attend to is finite; wrong arguments are named") {
  const nn::MultiheadAttention attention(4, 2, {.dropout = 0.5});
  Tensor x = ones({1, 2, 4}, {.requires_grad = true});
  const auto out = attention(x, x, x, {.key_mask = zeros({1, 2}, {.dtype = bool_})});
  sum(out.output).backward();
  CHECK(all_finite(out.output));
  CHECK(all_finite(x.grad()));
  CHECK_ERROR(nn::MultiheadAttention(5, 2), "5 features cannot be shared out among 2 heads");
  CHECK_ERROR(attention(zeros({1, 2, 3}), x, x), "[batch, time, 4], not [1, 2, 3]");
  CHECK_ERROR(attention(x, x, x, {.mask = ones({2, 2})}), "bool");
}

TEST_SUITE_END();

}  // namespace

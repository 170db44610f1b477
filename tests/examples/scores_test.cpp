#include "examples/attention/scores.h"

#include <doctest/doctest.h>

#include <cmath>

#include "autograd/error.h"
#include "ops/ops.h"

namespace regrad::example {
namespace {

using Texts = std::vector<std::string>;

void check_scores(const Texts& hypotheses, const References& references, double expected_bleu,
                  double expected_chrf) {
  CAPTURE(hypotheses.back());
  CHECK(std::abs(bleu(hypotheses, references) - expected_bleu) < 1e-4);
  CHECK(std::abs(chrf(hypotheses, references) - expected_chrf) < 1e-4);
}

}  // namespace

TEST_SUITE_BEGIN("examples");

TEST_CASE("scores: what sacrebleu 2.6.0 computes for the same texts") {
  check_scores({"The cat sat on the mat, didn't it?"}, {{"The cat sat on a mat, did it not?"}},
               30.3744, 60.6115);
  check_scores({"Je suis là .", "C'est l'eau, n'est-ce pas ?"},
               {{"Je suis là."}, {"C'est de l'eau, n'est-ce pas\u202F?"}}, 77.8113, 84.7244);
  check_scores({"我们明天去北京。", "你好"}, {{"我们明天去上海。"}, {"你好，世界"}}, 0, 33.2549);
  check_scores({"שלום עולם טוב", "Привет, мир, это я"},
               {{"שלום לעולם טוב"}, {"Привет, мир: это мы"}}, 28.2280, 62.3560);
  check_scores({"It cost &quot;1,000.50&quot; in 1990-95."}, {{"It cost \"1,000.50\" in 1990-96."}},
               78.2542, 56.3634);
  check_scores({"", "one two three four five"}, {{"something"}, {"one two three four six"}},
               54.7518, 60.5840);
  check_scores({"totally different"}, {{"nothing shared xyz"}}, 0, 11.5972);
}

TEST_CASE("scores: of several references, the best n-grams and the nearest length") {
  check_scores({"a b c d e f g"}, {{"a b c d x y", "a b c d e f g h i j"}}, 100, 63.05);
}

TEST_CASE("scores: the ends of the scale") {
  const Texts texts = {"the same five words here", "and four more words"};
  CHECK(bleu(texts, texts) == doctest::Approx(100));
  CHECK(chrf(texts, texts) == doctest::Approx(100));
  CHECK(bleu(Texts{"", ""}, texts) == 0);
  CHECK(chrf(Texts{"", ""}, texts) == 0);
  CHECK(bleu(Texts{"too short"}, Texts{"too short"}) == 0);  // no four words: as sacrebleu has it
  CHECK(bleu(Texts{}, Texts{}) == 0);
  CHECK(chrf(Texts{}, Texts{}) == 0);
}

TEST_CASE("scores: tokenisation 13a") {
  CHECK(tokenised_13a("It's 3.14, no. 1,5,x...- 5-6 a-b &quot;x&quot;/y$") ==
        "It's 3.14 , no . 1,5 , x . . . - 5 - 6 a-b \" x \" / y $");
  CHECK(tokenised_13a("-\na") == "a");
  CHECK(tokenised_13a("well<skipped>-\n\n  \u3000") == "well-");
  CHECK(tokenised_13a("").empty());
}

TEST_CASE("scores: refusals") {
  CHECK_THROWS_WITH_AS(bleu(Texts{"a"}, Texts{}),
                       "bleu: 1 hypotheses, but references for 0; expected as many", Error);
  CHECK_THROWS_WITH_AS(chrf(Texts{"a"}, References{{}}),
                       "chrf: hypothesis 0 has no reference; expected at least one", Error);
  CHECK_THROWS_AS(chrf(Texts{"\xFF"}, Texts{"a"}), Error);
}

TEST_CASE("scores: next tokens are counted where they are wanted") {
  NextTokens tokens;
  CHECK(std::isnan(tokens.accuracy()));
  CHECK(std::isnan(tokens.perplexity()));
  const double half = std::log(0.5), quarter = std::log(0.25), never = std::log(1e-30);
  const Tensor logits = tensor({half, quarter, quarter,  // wanted: 0
                                never, quarter, half,    // wanted: 2
                                half, quarter, quarter,  // wanted: 1, which is not the likeliest
                                half, never, never},     // ignored
                               {2, 2, 3});
  tokens.add(logits, tensor(std::vector<int64_t>{0, 2, 1, 9}, {2, 2}), 9);
  const double loss = -(half + std::log(2.0 / 3) + quarter) / 3;
  CHECK(tokens.accuracy() == doctest::Approx(2.0 / 3));
  CHECK(tokens.perplexity() == doctest::Approx(std::exp(loss)));
  tokens.add(logits, tensor(std::vector<int64_t>{9, 9, 9, 9}, {2, 2}), 9);  // changes nothing
  CHECK(tokens.perplexity() == doctest::Approx(std::exp(loss)));
  CHECK_THROWS_AS(tokens.add(logits, tensor(std::vector<int64_t>{0, 2}, {1, 2}), 9), Error);
}

TEST_SUITE_END();

}  // namespace regrad::example

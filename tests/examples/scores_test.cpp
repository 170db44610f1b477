#include <doctest/doctest.h>

#include <cmath>

#include "autograd/error.h"
#include "examples/attention/evaluation.h"
#include "examples/text/bleu.h"
#include "examples/text/chrf.h"
#include "ops/ops.h"

namespace regrad::example {
namespace {

using Texts = std::vector<std::string>;

double bleu(const Texts& hypotheses, const References& references,
            Tokenisation tokenisation = Tokenisation::mteval_13a) {
  return corpus_bleu(hypotheses, references, tokenisation).score;
}

References one_each(const Texts& texts) {
  References references;
  for (const std::string& text : texts) references.push_back({text});
  return references;
}

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
  CHECK(bleu(texts, one_each(texts)) == doctest::Approx(100));
  CHECK(chrf(texts, one_each(texts)) == doctest::Approx(100));
  CHECK(bleu({"", ""}, one_each(texts)) == 0);
  CHECK(chrf({"", ""}, one_each(texts)) == 0);
  CHECK(bleu({"too short"}, {{"too short"}}) == 0);  // no four words: as sacrebleu has it
  CHECK(bleu({}, {}) == 0);
  CHECK(chrf({}, {}) == 0);
}

TEST_CASE("scores: tokenisation 13a") {
  CHECK(tokenised_13a("It's 3.14, no. 1,5,x...- 5-6 a-b &quot;x&quot;/y$") ==
        "It's 3.14 , no . 1,5 , x . . . - 5 - 6 a-b \" x \" / y $");
  CHECK(tokenised_13a("-\na") == "a");
  CHECK(tokenised_13a("well<skipped>-\n\n  \u3000") == "well-");
  CHECK(tokenised_13a("").empty());
}

// The scores of BLEU(tokenize=T).corpus_score(hypotheses, streams), T "13a", "zh" and "char", and
// of CHRF().corpus_score(), in sacrebleu 2.6.0; streams: the first references, the second ones, ..
TEST_CASE("scores: scripts without spaces, as sacrebleu 2.6.0 tokenises them") {
  struct Case {
    Texts hypotheses;
    References references;
    double of_13a, of_zh, of_char, chrf;
    const char* suitable;
  };
  const std::vector<Case> cases = {
      {{"我们明天去北京。", "你好", "价格是3.5元，不是 PyTorch 2.0 的“价格”—对吧？"},
       {{"我们明天去上海。", "明天我们去上海。"},
        {"你好，世界"},
        {"价格为3.5元，不是PyTorch 2.0的“价钱”——对吧？"}},
       0,
       55.9019,
       68.1479,
       64.9806,
       "zh"},
      {{"今日は天気がいいですね。", "彼は東京に住んでいる"},
       {{"今日はいい天気ですね。"}, {"彼は東京に住んでいます"}},
       0,
       51.2057,
       63.8034,
       55.7104,
       "char"},
      {{"วันนี้อากาศดีมาก"}, {{"วันนี้อากาศดีที่สุด"}}, 0, 0, 65.6339, 65.643, "char"},
      {{"他说：“走吧…”（笑）①𠀀好", "ＡＢ　Ｃ→D, e.g. 5-6"},
       {{"他说：“走吧！”（大笑）①𠀀好"}, {"ＡＢ　Ｃ→E, e.g. 5-7"}},
       64.5078,
       64.1026,
       64.1026,
       51.9713,
       "zh"}};
  for (const Case& one : cases) {
    check_scores(one.hypotheses, one.references, one.of_13a, one.chrf);
    const auto score = [&](Tokenisation how) { return bleu(one.hypotheses, one.references, how); };
    CHECK(std::abs(score(Tokenisation::chinese) - one.of_zh) < 1e-4);
    CHECK(std::abs(score(Tokenisation::characters) - one.of_char) < 1e-4);
    CHECK(name_of(suitable_tokenisation(one.references)) == one.suitable);
  }
  CHECK(tokenised_zh("　他说3.5元“好”…𠀀𠀁a-b，5-6 ok.  ") ==
        "他 说 3.5 元 “ 好 ” … 𠀀𠀁a-b ， 5 - 6 ok .");
}

TEST_CASE("scores: the tokenisation follows the script of the references") {
  const auto suits = [](const Texts& references) {
    return name_of(suitable_tokenisation({references}));
  };
  CHECK(suits({}) == "13a");
  CHECK(suits({"1994-09-27", "3 + 4 = 7"}) == "13a");
  CHECK(suits({"She said: \"你好\" to everybody in the room."}) == "13a");
  CHECK(suits({"나는 학생입니다. 오늘 날씨가 좋네요."}) == "13a");
  CHECK(suits({"Привет, мир", "שלום עולם", "مرحبا بالعالم", "नमस्ते दुनिया"}) == "13a");
  CHECK(suits({"用 PyTorch 训练 Transformer 的注意力模型"}) == "zh");
  CHECK(suits({"一", "二"}) == "zh");
  CHECK(suits({"コンピュータ"}) == "char");
  CHECK(suits({"私は東京大学の学生です"}) == "char");
  CHECK(suits({"ខ្ញុំស្រឡាញ់ភាសាខ្មែរ", "ຂ້ອຍຮັກພາສາລາວ"}) == "char");
}

TEST_CASE("scores: a BLEU that does not apply says so") {
  const auto text = [](const Texts& hypotheses, const Texts& references, Tokenisation how) {
    return bleu_text(corpus_bleu(hypotheses, one_each(references), how));
  };
  CHECK(text({"a b c"}, {"a b c"}, Tokenisation::mteval_13a) ==
        "does not apply: no answer has four words");
  CHECK(text({"一二"}, {"一二"}, Tokenisation::characters) ==
        "does not apply: no answer has four characters");
  CHECK(text({"a b c d"}, {"a b c d"}, Tokenisation::mteval_13a) == "100.00");
  CHECK(text({"e f g h"}, {"a b c d"}, Tokenisation::mteval_13a) == "0.00");
}

TEST_CASE("scores: refusals") {
  CHECK_THROWS_WITH_AS(bleu({"a"}, {}),
                       "bleu: 1 hypotheses, but references for 0; expected as many", Error);
  CHECK_THROWS_WITH_AS(chrf({"a"}, References{{}}),
                       "chrf: hypothesis 0 has no reference; expected at least one", Error);
  CHECK_THROWS_AS(chrf({"\xFF"}, {{"a"}}), Error);
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
